#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod module;

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, Result, Target};
use burnsight_network::{Activation, BackwardRule, Network, Step, Trace, TraceAttributor};

/// The gradient with another rule at every ReLU: pass what is positive, where the unit was active.
#[derive(Debug, Clone, Copy, Default)]
pub struct GuidedBackprop;

impl GuidedBackprop {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "guided-backprop";
}

impl BackwardRule for GuidedBackprop {
    fn check(&self, network: &Network) -> Result<()> {
        network.require_relu(Self::NAME)
    }

    /// R_in = max(R_out, 0) where the unit was active, else 0: DeconvNet's rule and the gradient's at once.
    fn relu(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream.relu()))
    }
}

impl TraceAttributor for GuidedBackprop {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        Ok(trace.input_gradient(target, self)?.into_attribution(Self::NAME))
    }
}

impl Attributor<Network> for GuidedBackprop {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::{Differentiable, Error};
    use burnsight_deconvnet::DeconvNet;
    use burnsight_network::{Convolution, Layer, Linear};
    use burnsight_testkit::{conformance, nets, relative_l2, trace_conformance, values};

    use super::*;

    /// Two 3 × 3 windows of ones with thresholds 50 and 75, on the numbers 0 to 15; the score adds the first five of
    /// their eight places and subtracts the last three.
    ///
    /// ```text
    /// sums of the windows 45 54     channel 0 −5  4     weights  1  1     channel 1 −30 −21     weights  1 −1
    ///                     81 90               31 40              1  1                 6  15             −1 −1
    /// ```
    /// What passes the ReLUs lays a 3 × 3 square of its size over the picture. Guided: the three places of channel 0 that
    /// are on. DeconvNet: all five places with positive weight. Gradient: three times 1, twice −1. The net and the first
    /// two maps are those of captum's tests (`BasicModel_ConvNet_One_Conv`).
    #[test]
    fn hand_computed_and_captums() {
        let device = Device::default();
        let bias = Tensor::<1>::from_data([-50.0, -75.0], &device);
        let convolution = Convolution::new(Tensor::ones([2, 1, 3, 3], &device), Some(bias));
        let weights = Tensor::<2>::from_data([[1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0]], &device);
        let network = nets::chain([
            ("conv1", Layer::Convolution(convolution)),
            ("relu1", Layer::Relu),
            ("flatten", Layer::Flatten),
            ("fc1", Layer::Linear(Linear::new(weights, None))),
            ("relu2", Layer::Relu),
        ]);
        let numbers: Vec<f32> = (0..16u8).map(f32::from).collect();
        let picture = Tensor::<1>::from_data(numbers.as_slice(), &device).reshape([1, 1, 4, 4]);
        let trace = network.record(picture).unwrap();
        let target = Target::Class(0);
        let guided = GuidedBackprop.attribute_trace(&trace, &target).unwrap();
        assert_eq!(guided.scores, [54.0]); // 4 + 31 + 40 − 6 − 15
        #[rustfmt::skip]
        assert_eq!(values(guided.map), [
            0.0, 1.0, 1.0, 1.0,
            1.0, 3.0, 3.0, 2.0,
            1.0, 3.0, 3.0, 2.0,
            1.0, 2.0, 2.0, 1.0,
        ]);
        #[rustfmt::skip]
        assert_eq!(values(DeconvNet.attribute_trace(&trace, &target).unwrap().map), [
            2.0, 3.0, 3.0, 1.0,
            3.0, 5.0, 5.0, 2.0,
            3.0, 5.0, 5.0, 2.0,
            1.0, 2.0, 2.0, 1.0,
        ]);
        let gradient = trace.input_gradient(&target, &burnsight_network::ExactGradient).unwrap().gradient;
        #[rustfmt::skip]
        assert_eq!(values(gradient), [
            0.0, 1.0, 1.0, 1.0,
            0.0, 1.0, 1.0, 1.0,
            0.0, 1.0, 1.0, 1.0,
            0.0, 0.0, 0.0, 0.0,
        ]);
    }

    /// Where every unit is on and everything that comes back is positive, there is nothing to stop.
    #[test]
    fn gradient_deconvnet_and_guided_agree_where_all_is_positive() {
        let device = Device::default();
        let mut draw = nets::Draw::new(4, &device, DType::F32);
        let (a, b) = (draw.convolution([4, 3, 3, 3]), draw.convolution([2, 4, 2, 2]));
        let logits = draw.linear([3, 40]);
        let positive = |layer: Convolution| {
            let bias = layer.bias.clone().map(Tensor::abs);
            Layer::Convolution(Convolution { weight: layer.weight.clone().abs(), bias, ..layer })
        };
        let network = nets::chain([
            ("a", positive(a)),
            ("relu_a", Layer::Relu),
            ("b", positive(b)),
            ("relu_b", Layer::Relu),
            ("flatten", Layer::Flatten),
            ("logits", Layer::Linear(Linear::new(logits.weight.abs(), logits.bias))),
        ]);
        let trace = network.record(nets::pictures([2, 3, 7, 8], &device, DType::F32).abs()).unwrap();
        let target = Target::Class(2);
        let gradient = trace.input_gradient(&target, &burnsight_network::ExactGradient).unwrap().gradient.into_data();
        assert_eq!(GuidedBackprop.attribute_trace(&trace, &target).unwrap().map.into_data(), gradient);
        assert_eq!(DeconvNet.attribute_trace(&trace, &target).unwrap().map.into_data(), gradient);
    }

    /// Elsewhere the three differ, and not by a little.
    #[test]
    fn gradient_deconvnet_and_guided_differ_in_general() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        let guided = values(GuidedBackprop.attribute(&network, images.clone(), &Target::Top).unwrap().map);
        let deconvnet = values(DeconvNet.attribute(&network, images.clone(), &Target::Top).unwrap().map);
        let gradient = values(network.gradient(images, &Target::Top).unwrap().gradient);
        for (left, right) in [(&guided, &deconvnet), (&guided, &gradient), (&deconvnet, &gradient)] {
            assert!(relative_l2(left, right) > 0.1);
        }
    }

    #[test]
    fn networks_without_relu_are_refused() {
        let device = Device::default();
        let network = nets::linear(Tensor::ones([2, 4], &device));
        let error = GuidedBackprop.attribute(&network, Tensor::ones([1, 1, 2, 2], &device), &Target::Top).unwrap_err();
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
            conformance(&GuidedBackprop, &network, images.clone());
            trace_conformance(&GuidedBackprop, &network, images.clone());
        }
    }
}
