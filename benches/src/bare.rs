//! The same network without burnsight.

use burn::tensor::{
    Tensor,
    activation::relu,
    module::{adaptive_avg_pool2d, conv2d, linear, max_pool2d},
    ops::{ConvOptions, MaxPoolOptions},
};
use burnsight::network::{Layer, Network};

/// A VGG as one would write it in Burn: its own functions forward, its autodiff backward.
#[derive(Debug, Clone)]
pub struct BareVgg {
    /// Weight and bias of every convolution, which a ReLU follows; `None` is a max pool.
    features: Vec<Option<(Tensor<4>, Tensor<1>)>>,
    pool: [usize; 2],
    /// Weight `[in, out]`, as Burn stores it, and bias.
    classifier: Vec<(Tensor<2>, Tensor<1>)>,
}

impl BareVgg {
    /// Takes the weights of a VGG. Those of linear layers are copied into Burn's layout.
    ///
    /// # Panics
    /// When a layer has no bias.
    pub fn new(network: &Network) -> Self {
        let mut bare = Self { features: Vec::new(), pool: [1, 1], classifier: Vec::new() };
        for (_, node) in network.nodes() {
            match node.layer() {
                Layer::Convolution(layer) => {
                    bare.features.push(Some((layer.weight.clone(), layer.bias.clone().expect("a VGG has biases"))));
                }
                Layer::MaxPool(_) => bare.features.push(None),
                Layer::AdaptiveAveragePool(layer) => bare.pool = layer.output,
                Layer::Linear(layer) => {
                    let [out, features] = layer.weight.dims();
                    // By way of the host, so that the copy is laid out in its new order.
                    let data = layer.weight.clone().transpose().into_data();
                    let weight = Tensor::from_data(data, &layer.weight.device());
                    debug_assert_eq!(weight.dims(), [features, out]);
                    bare.classifier.push((weight, layer.bias.clone().expect("a VGG has biases")));
                }
                _ => {}
            }
        }
        bare
    }

    /// Pictures `[n, 3, h, w]` to logits `[n, classes]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let x = self.features.iter().fold(pictures, |x, layer| match layer {
            Some((weight, bias)) => {
                let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                relu(conv2d(x, weight.clone(), Some(bias.clone()), options))
            }
            None => max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2])),
        });
        let x: Tensor<2> = adaptive_avg_pool2d(x, self.pool).flatten(1, 3);
        let last = self.classifier.len() - 1;
        self.classifier.iter().enumerate().fold(x, |x, (index, (weight, bias))| {
            let x = linear(x, weight.clone(), Some(bias.clone()));
            if index < last { relu(x) } else { x }
        })
    }

    /// The gradient of class 0's logit with respect to the pictures.
    ///
    /// # Panics
    /// Never, unless Burn loses the gradient.
    pub fn gradient(&self, pictures: Tensor<4>) -> Tensor<4> {
        let pictures = pictures.autodiff().require_grad();
        let gradients = self.forward(pictures.clone()).slice_dim(1, 0..1).sum().backward();
        pictures.grad(&gradients).expect("the logits depend on the pictures")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burnsight::{Classifier, Differentiable, Target, read};

    use super::*;
    use crate::{Subject, devices};

    /// What is compared must be the same function.
    #[test]
    fn both_compute_the_same() {
        let (_, device) = devices().remove(0);
        let network = Subject::BuiltIn.network(&device).unwrap();
        let picture = Subject::BuiltIn.picture(&device);
        let bare = BareVgg::new(&network);
        let largest = |a: Vec<f32>| a.into_iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));

        let logits = read(network.logits(picture.clone()).unwrap() - bare.forward(picture.clone())).unwrap();
        assert!(largest(logits) < 1e-4);
        let gradient = network.gradient(picture.clone(), &Target::Class(0)).unwrap().gradient;
        let difference = largest(read(gradient.clone() - bare.gradient(picture)).unwrap());
        assert!(difference < 1e-4 * largest(read(gradient).unwrap()), "{difference}");
    }
}
