//! Fresh weights for some layers, for tests that ask whether an explanation depends on them.

use burn::tensor::{DType, Device, Tensor};
use burnsight_core::{Error, Result, Seed};

use crate::{BatchNorm, Convolution, Layer, LayerNorm, Linear, Network, Node, NodeId};

impl Network {
    /// The layers that lead to the logits and have weights, in the order of computation: convolutions, linear layers,
    /// batch norms and layer norms.
    ///
    /// Constants are not among them: nobody can tell position embeddings, which were learned, from numbers that a graph
    /// merely computes with.
    pub fn layers_with_weights(&self) -> Vec<NodeId> {
        let leads_to_logits = self.leads_to(self.output);
        let has_weights = |node: &Node| {
            matches!(node.layer, Layer::Convolution(_) | Layer::Linear(_) | Layer::BatchNorm(_) | Layer::LayerNorm(_))
        };
        self.nodes().filter(|(id, node)| leads_to_logits[id.0] && has_weights(node)).map(|(id, _)| id).collect()
    }

    /// The same network with the weights of some layers drawn anew, each as layers of its kind are before training:
    ///
    /// | layer | weight | bias |
    /// |---|---|---|
    /// | convolution | normal, variance 2 / (kernel's places · outputs per group): He et al. 2015 by fan-out | 0 |
    /// | linear | normal, standard deviation 0.01 | 0 |
    /// | batch norm | 1, running mean 0, running variance 1 | 0 |
    /// | layer norm | 1 | 0 |
    ///
    /// That is how torchvision initialises a VGG, and `burnsight-vgg` with it. (Torch counts the outputs of all groups
    /// in the fan-out; here a group's inputs are said to reach the outputs that they do reach.) A layer without a bias
    /// stays without. A layer's fresh weights depend on the seed and the layer's place in the network only, not on
    /// which other layers are drawn anew; they have the number format and the device of the old ones.
    ///
    /// Linear layers so small shrink what passes them by 0.01 · √inputs. Ratios and signs in a map of gradients stay as
    /// they are, and 32 bits hold dozens of such layers in a row; 16 bits do not, so cast first.
    ///
    /// # Errors
    /// [`Error::Parameter`] when one of the layers has no weights.
    pub fn randomized(&self, layers: &[NodeId], seed: Seed) -> Result<Network> {
        let mut network = self.clone();
        for id in layers {
            let node = &mut network.nodes[id.0];
            node.layer = fresh(&node.layer, seed, id.0 as u64).ok_or_else(|| {
                let requirement = format!("a layer of kind {} has no weights to draw anew", node.layer.kind());
                Error::parameter("layers", &node.name, &requirement)
            })?;
        }
        Ok(network)
    }
}

/// The layer as it is before training; `None` when it has no weights.
fn fresh(layer: &Layer, seed: Seed, stream: u64) -> Option<Layer> {
    Some(match layer {
        Layer::Convolution(layer) => {
            let [out, _, height, width] = layer.weight.dims();
            let fan_out = height * width * out / layer.groups;
            let weight = normal(seed, stream, &layer.weight, (2.0 / fan_out as f64).sqrt());
            Layer::Convolution(Convolution {
                weight,
                bias: layer.bias.as_ref().map(Tensor::zeros_like),
                ..layer.clone()
            })
        }
        Layer::Linear(layer) => {
            let weight = normal(seed, stream, &layer.weight, 0.01);
            Layer::Linear(Linear { weight, bias: layer.bias.as_ref().map(Tensor::zeros_like) })
        }
        Layer::BatchNorm(layer) => Layer::BatchNorm(BatchNorm {
            weight: layer.weight.ones_like(),
            bias: layer.bias.zeros_like(),
            mean: layer.mean.zeros_like(),
            variance: layer.variance.ones_like(),
            epsilon: layer.epsilon,
        }),
        Layer::LayerNorm(layer) => Layer::LayerNorm(LayerNorm {
            weight: layer.weight.ones_like(),
            bias: layer.bias.zeros_like(),
            epsilon: layer.epsilon,
        }),
        _ => return None,
    })
}

fn normal<const D: usize>(seed: Seed, stream: u64, like: &Tensor<D>, deviation: f64) -> Tensor<D> {
    let (device, dtype): (Device, DType) = (like.device(), like.dtype());
    seed.normal(stream, like.dims(), &device).cast(dtype) * deviation
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;
    use burnsight_core::{Classifier, read};

    use super::*;
    use crate::{Activation, NetworkBuilder};

    /// Everything with weights, a constant, and a branch that leads nowhere.
    fn network(dtype: DType) -> Network {
        let device = Device::default();
        let place = (&device, dtype);
        let ones = |size: usize| Tensor::<1>::ones([size], place);
        let mut net = NetworkBuilder::new();
        let input = net.input();
        let convolution = Convolution::new(Tensor::ones([64, 1, 3, 3], place), Some(ones(64))).with_groups(2);
        let convolution = net.add("convolution", Layer::Convolution(convolution), &[input]).unwrap();
        let dead = Convolution::new(Tensor::ones([1, 64, 1, 1], place), None);
        net.add("dead end", Layer::Convolution(dead), &[convolution]).unwrap();
        let norm = BatchNorm {
            weight: ones(64) * 2.0,
            bias: ones(64),
            mean: ones(64),
            variance: ones(64) * 4.0,
            epsilon: 1e-3,
        };
        let norm = net.add("batch norm", Layer::BatchNorm(norm), &[convolution]).unwrap();
        let flatten = net.add("flatten", Layer::Flatten, &[norm]).unwrap();
        let shift = Activation::Vector(Tensor::ones([1, 64], place));
        let shift = net.add("constant", Layer::Constant(shift), &[]).unwrap();
        let sum = net.add("sum", Layer::Sum, &[flatten, shift]).unwrap();
        let norm = LayerNorm { weight: ones(64) * 3.0, bias: ones(64), epsilon: 1e-5 };
        let norm = net.add("layer norm", Layer::LayerNorm(norm), &[sum]).unwrap();
        let linear = Linear::new(Tensor::ones([100, 64], place), None);
        net.add("linear", Layer::Linear(linear), &[norm]).unwrap();
        net.build().unwrap()
    }

    fn names(network: &Network) -> Vec<&str> {
        network.layers_with_weights().into_iter().map(|id| network.node(id).name()).collect()
    }

    /// Mean and variance.
    fn moments<const D: usize>(tensor: &Tensor<D>) -> (f64, f64) {
        let values: Vec<f64> = read(tensor.clone()).unwrap().into_iter().map(f64::from).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64)
    }

    #[test]
    fn every_layer_as_its_kind() {
        let network = network(DType::F32);
        assert_eq!(names(&network), ["convolution", "batch norm", "layer norm", "linear"]);
        let fresh = network.randomized(&network.layers_with_weights(), Seed(0)).unwrap();
        for (_, node) in fresh.nodes() {
            match (node.name(), node.layer()) {
                ("convolution", Layer::Convolution(layer)) => {
                    // 9 places and 64 / 2 outputs: 2 / 288 = 0.00694.
                    let (mean, variance) = moments(&layer.weight);
                    assert!(mean.abs() < 0.015 && (variance / (2.0 / 288.0) - 1.0).abs() < 0.2, "{mean} {variance}");
                    assert_eq!(moments(layer.bias.as_ref().unwrap()), (0.0, 0.0));
                    assert_eq!(layer.groups, 2);
                }
                ("linear", Layer::Linear(layer)) => {
                    let (mean, variance) = moments(&layer.weight);
                    assert!(mean.abs() < 1e-3 && (variance / 1e-4 - 1.0).abs() < 0.1, "{mean} {variance}");
                    assert!(layer.bias.is_none());
                }
                (_, Layer::BatchNorm(layer)) => {
                    assert_eq!(moments(&layer.weight), (1.0, 0.0));
                    assert_eq!(moments(&layer.bias), (0.0, 0.0));
                    assert_eq!(moments(&layer.mean), (0.0, 0.0));
                    assert_eq!(moments(&layer.variance), (1.0, 0.0));
                    assert_eq!(layer.epsilon, 1e-3);
                }
                (_, Layer::LayerNorm(layer)) => {
                    assert_eq!((moments(&layer.weight), moments(&layer.bias)), ((1.0, 0.0), (0.0, 0.0)));
                }
                ("dead end", Layer::Convolution(layer)) => assert_eq!(moments(&layer.weight), (1.0, 0.0)),
                _ => {}
            }
        }
    }

    #[test]
    fn a_layer_does_not_depend_on_the_others() {
        let network = network(DType::F64);
        let last = network.find("linear").unwrap();
        let weight = |network: &Network| match network.node(last).layer() {
            Layer::Linear(layer) => (layer.weight.dtype(), read(layer.weight.clone()).unwrap()),
            other => panic!("{other:?}"),
        };
        let (dtype, alone) = weight(&network.randomized(&[last], Seed(3)).unwrap());
        assert_eq!(dtype, DType::F64);
        let all = network.randomized(&network.layers_with_weights(), Seed(3)).unwrap();
        assert_eq!(weight(&all).1, alone);
        assert_ne!(weight(&network.randomized(&[last], Seed(4)).unwrap()).1, alone);
        // And it still runs.
        let picture = Tensor::ones([1, 2, 3, 3], (&Device::default(), DType::F64));
        assert_eq!(all.logits(picture).unwrap().dims(), [1, 100]);
    }

    #[test]
    fn layers_without_weights_are_refused() {
        let network = network(DType::F32);
        for name in ["flatten", "constant", "input"] {
            let refused = network.randomized(&[network.find(name).unwrap()], Seed(0)).unwrap_err().to_string();
            assert!(refused.contains(name) && refused.contains("no weights"), "{refused}");
        }
    }
}
