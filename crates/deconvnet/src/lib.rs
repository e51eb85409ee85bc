#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod module;

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, Result, Target};
use burnsight_network::{Activation, BackwardRule, Network, Step, Trace, TraceAttributor};

/// The gradient with another rule at every ReLU: keep what is positive of what comes back.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeconvNet;

impl DeconvNet {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "deconvnet";
}

impl BackwardRule for DeconvNet {
    fn check(&self, network: &Network) -> Result<()> {
        network.require_relu(Self::NAME)
    }

    /// R_in = max(R_out, 0), whether or not the unit was active.
    fn relu(&self, _step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(upstream.relu())
    }
}

impl TraceAttributor for DeconvNet {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        Ok(trace.input_gradient(target, self)?.into_attribution(Self::NAME))
    }
}

impl Attributor<Network> for DeconvNet {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::{Differentiable, Error};
    use burnsight_network::{Convolution, Layer, Linear, MaxPool};
    use burnsight_testkit::{conformance, nets, relative_l2, trace_conformance, values};

    use super::*;

    /// The picture and its negative, pooled, then ReLU, then two classes.
    ///
    /// ```text
    /// picture −1 −2     channel 0 = picture:  its maximum −1 lies at the top left, and the ReLU turns it off
    ///         −5 −3     channel 1 = −picture: its maximum  5 lies at the bottom left, and passes
    /// ```
    /// Class 0 weighs the channels 3 and −4, class 1 weighs them −1 and 2. DeconvNet lets the 3 through the unit that is
    /// off, to where the switch points, and stops the −4; the gradient does the opposite.
    #[test]
    fn hand_computed() {
        let device = Device::default();
        let signs = Tensor::<4>::from_data([[[[1.0]]], [[[-1.0]]]], &device);
        let weights = Tensor::<2>::from_data([[3.0, -4.0], [-1.0, 2.0]], &device);
        let network = nets::chain([
            ("signs", Layer::Convolution(Convolution::new(signs, None))),
            ("pool", Layer::MaxPool(MaxPool::new(2))),
            ("relu", Layer::Relu),
            ("flatten", Layer::Flatten),
            ("logits", Layer::Linear(Linear::new(weights, None))),
        ]);
        let picture = || Tensor::from_data([[[[-1.0, -2.0], [-5.0, -3.0]]]], &device);
        for (class, score, deconvnet, gradient) in [
            (0, -20.0, [3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]),
            (1, 10.0, [0.0, 0.0, -2.0, 0.0], [0.0, 0.0, -2.0, 0.0]),
        ] {
            let attribution = DeconvNet.attribute(&network, picture(), &Target::Class(class)).unwrap();
            assert_eq!(attribution.scores, [score]);
            assert_eq!(values(attribution.map), deconvnet, "class {class}");
            assert_eq!(values(network.gradient(picture(), &Target::Class(class)).unwrap().gradient), gradient);
        }
    }

    /// The rule looks at signs only, so it passes positive factors on.
    #[test]
    fn map_of_twice_the_score_is_twice_the_map() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
        let map = |weight: f32| {
            let target = Target::Weighted(vec![0.0, weight, 0.0, 0.0, 0.0]);
            values(DeconvNet.attribute(&network, images.clone(), &target).unwrap().map)
        };
        let twice: Vec<f64> = map(1.0).iter().map(|value| 2.0 * value).collect();
        assert!(relative_l2(&map(2.0), &twice) < 1e-6);
        // A negative factor is no mirror: what was stopped before passes now.
        let mirrored: Vec<f64> = map(1.0).iter().map(|value| -value).collect();
        assert!(relative_l2(&map(-1.0), &mirrored) > 0.1);
    }

    /// Nothing of the forward pass is used but the switches: without a max pool the picture does not enter at all.
    #[test]
    fn without_max_pools_every_picture_has_the_same_map() {
        let device = Device::default();
        let mut draw = nets::Draw::new(6, &device, DType::F32);
        let network = nets::chain([
            ("convolution", Layer::Convolution(draw.convolution([4, 3, 3, 3]))),
            ("relu", Layer::Relu),
            ("flatten", Layer::Flatten),
            ("logits", Layer::Linear(draw.linear([2, 48]))),
        ]);
        let images = nets::pictures([2, 3, 5, 6], &device, DType::F32);
        let gradient = network.gradient(images.clone(), &Target::Class(1)).unwrap().gradient;
        let of = |map: &Tensor<4>, image: usize| values(map.clone().slice_dim(0, image..image + 1));
        assert!(relative_l2(&of(&gradient, 0), &of(&gradient, 1)) > 0.1);
        let map = DeconvNet.attribute(&network, images, &Target::Class(1)).unwrap().map;
        assert!(of(&map, 0).iter().any(|value| *value != 0.0));
        assert!(relative_l2(&of(&map, 0), &of(&map, 1)) < 1e-6);
    }

    #[test]
    fn networks_without_relu_are_refused() {
        let device = Device::default();
        let network = nets::linear(Tensor::ones([2, 4], &device));
        let error = DeconvNet.attribute(&network, Tensor::ones([1, 1, 2, 2], &device), &Target::Top).unwrap_err();
        assert!(
            matches!(error, Error::Unsupported { .. }) && error.to_string().contains("vanilla-gradient"),
            "{error}"
        );
    }

    #[test]
    fn conforms() {
        let device = Device::default();
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
            conformance(&DeconvNet, &network, images.clone());
            trace_conformance(&DeconvNet, &network, images.clone());
        }
    }
}
