#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, Differentiable, Result, Target};
use burnsight_network::{ExactGradient, Trace, TraceAttributor};

/// The gradient of the score with respect to every pixel and channel, with its sign.
#[derive(Debug, Clone, Copy, Default)]
pub struct VanillaGradient;

impl VanillaGradient {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "vanilla-gradient";
}

impl<M: Differentiable + ?Sized> Attributor<M> for VanillaGradient {
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        Ok(model.gradient(images, target)?.into_attribution(Self::NAME))
    }
}

impl TraceAttributor for VanillaGradient {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        Ok(trace.input_gradient(target, &ExactGradient)?.into_attribution(Self::NAME))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::AutodiffModel;
    use burnsight_testkit::{conformance, nets, numeric_gradient, relative_l2, trace_conformance, values};

    use super::*;

    /// Two channels of 1 × 2 pixels, two classes: the gradient of class k is row k of the weights, whatever the picture.
    #[test]
    fn map_of_a_linear_model_is_its_weights() {
        let device = Device::default();
        let network = nets::linear(Tensor::from_data([[1.0, -2.0, 0.5, 4.0], [0.0, 3.0, -1.0, 2.0]], &device));
        let images = Tensor::from_data([[[[1.0, 1.0]], [[2.0, -1.0]]], [[[0.0, 9.0]], [[0.0, 0.0]]]], &device);
        // Logits: 1 − 2 + 1 − 4 = −4 and 0 + 3 − 2 − 2 = −1; then −18 and 27.
        let top = VanillaGradient.attribute(&network, images.clone(), &Target::Top).unwrap();
        assert_eq!(top.scores, [-1.0, 27.0]);
        assert_eq!(values(top.map), [[0.0, 3.0, -1.0, 2.0]; 2].concat());
        let contrast = Target::Contrast { class: 0, against: 1 };
        let contrast = VanillaGradient.attribute(&network, images, &contrast).unwrap();
        assert_eq!(contrast.scores, [-3.0, -45.0]);
        assert_eq!(values(contrast.map), [[1.0, -5.0, 1.5, 2.0]; 2].concat());
    }

    /// y = 1 − ReLU(1 − x₁ − x₂): below x₁ + x₂ = 1 the slope is (1, 1); above it is 0, although both pixels matter.
    #[test]
    fn saturated_pixels_get_nothing() {
        let device = Device::default();
        let network = nets::saturation(&device, DType::F32);
        let images = Tensor::from_data([[[[0.25, 0.5]]], [[[1.0, 1.0]]]], &device);
        let attribution = VanillaGradient.attribute(&network, images, &Target::Class(0)).unwrap();
        assert_eq!(attribution.scores, [0.75, 1.0]);
        assert_eq!(values(attribution.map), [1.0, 1.0, 0.0, 0.0]);
    }

    /// Where the softmax saturates, its gradient vanishes and that of the logit does not.
    #[test]
    fn probability_has_no_gradient_where_the_model_is_sure() {
        let device = Device::default();
        let network = nets::linear(Tensor::from_data([[50.0, 0.0], [0.0, 50.0]], &device));
        let picture = || Tensor::from_data([[[[4.0, 0.0]]]], &device);
        let probability = Target::function("probability of class 0", |logits| {
            burn::tensor::activation::softmax(logits, 1).slice_dim(1, 0..1)
        });
        let logit = VanillaGradient.attribute(&network, picture(), &Target::Class(0)).unwrap();
        let probability = VanillaGradient.attribute(&network, picture(), &probability).unwrap();
        assert_eq!((values(logit.map), probability.scores), (vec![50.0, 0.0], vec![1.0]));
        assert_eq!(values(probability.map), [0.0, 0.0]);
    }

    #[test]
    fn map_is_the_slope_found_by_differences() {
        let device = Device::default();
        let network = nets::branches(&device, DType::F64);
        let images = nets::pictures([2, 3, 9, 11], &device, DType::F64);
        for target in [Target::Class(2), Target::Contrast { class: 3, against: 0 }] {
            let map = VanillaGradient.attribute(&network, images.clone(), &target).unwrap().map;
            let error = relative_l2(&values(map), &numeric_gradient(&network, &images, &target, 1e-6));
            assert!(error < 1e-5, "{target}: {error:e}");
        }
    }

    /// Burn's autodiff and the reverse walk agree on y = ReLU(W x), and so on every model that is given as a closure.
    #[test]
    fn closures_and_networks_agree() {
        let device = Device::default();
        let weight = nets::Draw::new(3, &device, DType::F32).tensor([4, 12], 0.0, 1.0);
        let model = AutodiffModel::from_closure({
            let weight = weight.clone();
            move |images: Tensor<4>| {
                burn::tensor::activation::relu(images.flatten::<2>(1, 3).matmul(weight.clone().transpose()))
            }
        });
        let network = nets::chain([
            ("flatten", burnsight_network::Layer::Flatten),
            ("linear", burnsight_network::Layer::Linear(burnsight_network::Linear::new(weight, None))),
            ("relu", burnsight_network::Layer::Relu),
        ]);
        let images = nets::pictures([3, 1, 3, 4], &device, DType::F32);
        let target = Target::Weighted(vec![1.0, -0.5, 2.0, 0.25]);
        let closure = VanillaGradient.attribute(&model, images.clone(), &target).unwrap();
        let walk = VanillaGradient.attribute(&network, images.clone(), &target).unwrap();
        assert!(values(walk.map.clone()).iter().any(|slope| *slope != 0.0));
        assert!(relative_l2(&values(closure.map), &values(walk.map)) < 1e-6);
        conformance(&VanillaGradient, &model, images);
    }

    #[test]
    fn conforms() {
        let device = Device::default();
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
            conformance(&VanillaGradient, &network, images.clone());
            trace_conformance(&VanillaGradient, &network, images.clone());
        }
    }
}
