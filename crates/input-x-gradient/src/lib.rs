#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, Differentiable, InputGradient, Result, Target};
use burnsight_network::{ExactGradient, Trace, TraceAttributor};

/// The gradient of the score times the input, pixel by pixel and channel by channel.
#[derive(Debug, Clone, Copy, Default)]
pub struct InputXGradient;

impl InputXGradient {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "input-x-gradient";
}

impl<M: Differentiable + ?Sized> Attributor<M> for InputXGradient {
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        Ok(attribution(images.clone(), model.gradient(images, target)?))
    }
}

impl TraceAttributor for InputXGradient {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        Ok(attribution(trace.images(), trace.input_gradient(target, &ExactGradient)?))
    }
}

fn attribution(images: Tensor<4>, mut answer: InputGradient) -> Attribution {
    answer.gradient = answer.gradient * images.inner();
    answer.into_attribution(InputXGradient::NAME)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::AutodiffModel;
    use burnsight_network::{Convolution, Layer, Linear, MaxPool};
    use burnsight_testkit::{conformance, nets, trace_conformance, values};

    use super::*;

    /// One 2 × 2 convolution, ReLU and a linear layer, all without bias.
    ///
    /// ```text
    /// picture   1 2 0     kernel  1  2     convolution   4  1     weights   1 −1
    ///           3 1 1             0 −1                   3 −1               2  ½
    ///           0 2 4
    /// ```
    /// The last place is off, so the score is 4 − 1 + 6 = 9 and the gradient is the sum of the kernel at the three other
    /// places, times 1, −1 and 2:
    /// ```text
    /// gradient   1  1 −2     times picture   1  2  0
    ///            2  3  1                     6  3  1
    ///            0 −2  0                     0 −4  0     which sums to 9
    /// ```
    #[test]
    fn hand_computed() {
        let device = Device::default();
        let kernel = Tensor::<4>::from_data([[[[1.0, 2.0], [0.0, -1.0]]]], &device);
        let weights = Tensor::<2>::from_data([[1.0, -1.0, 2.0, 0.5]], &device);
        let network = nets::chain([
            ("convolution", Layer::Convolution(Convolution::new(kernel, None))),
            ("relu", Layer::Relu),
            ("flatten", Layer::Flatten),
            ("score", Layer::Linear(Linear::new(weights, None))),
        ]);
        let picture = Tensor::from_data([[[[1.0, 2.0, 0.0], [3.0, 1.0, 1.0], [0.0, 2.0, 4.0]]]], &device);
        let attribution = InputXGradient.attribute(&network, picture, &Target::Class(0)).unwrap();
        assert_eq!(attribution.scores, [9.0]);
        assert_eq!(values(attribution.map), [1.0, 2.0, 0.0, 6.0, 3.0, 1.0, 0.0, -4.0, 0.0]);
    }

    /// Without biases the score is homogeneous, f(a x) = a f(x) for a > 0, so the map adds up to it (Euler).
    #[test]
    fn adds_up_to_the_score_without_biases() {
        let device = Device::default();
        let mut draw = nets::Draw::new(5, &device, DType::F64);
        let mut convolution = |shape| Layer::Convolution(Convolution { bias: None, ..draw.convolution(shape) });
        let layers = [("a", convolution([4, 3, 3, 3])), ("b", convolution([6, 4, 2, 2]))];
        let [a, b] = layers;
        let score = Layer::Linear(Linear { bias: None, ..draw.linear([3, 36]) });
        let pool = ("pool", Layer::MaxPool(MaxPool::new(2)));
        let network = nets::chain([
            a,
            ("relu", Layer::Relu),
            pool,
            b,
            ("relu_b", Layer::Relu),
            ("flat", Layer::Flatten),
            ("score", score),
        ]);
        let images = nets::pictures([2, 3, 8, 10], &device, DType::F64);
        let attribution = InputXGradient.attribute(&network, images, &Target::Class(1)).unwrap();
        let sums = values(attribution.map.sum_dim(3).sum_dim(2).sum_dim(1));
        for (sum, score) in sums.iter().zip(&attribution.scores) {
            assert!((sum - f64::from(*score)).abs() < 1e-6 && score.abs() > 1e-3, "{sum} against {score}");
        }
    }

    /// With a bias it does not: y = 1 − ReLU(1 − x₁ − x₂) is 1 at (1, 1), where its slope is 0.
    #[test]
    fn does_not_add_up_with_biases() {
        let device = Device::default();
        let network = nets::saturation(&device, DType::F32);
        let images = Tensor::from_data([[[[0.25, 0.5]]], [[[1.0, 1.0]]]], &device);
        let attribution = InputXGradient.attribute(&network, images, &Target::Class(0)).unwrap();
        assert_eq!(values(attribution.map), [0.25, 0.5, 0.0, 0.0]);
        assert_eq!(attribution.scores, [0.75, 1.0]);
        assert!(attribution.completeness.is_none(), "nothing is promised");
    }

    /// One function of the picture behind two normalisations, x and x − 1: the same scores, other maps.
    #[test]
    fn map_depends_on_the_normalisation() {
        let device = Device::default();
        let model = |shift: f32| {
            AutodiffModel::from_closure(move |images: Tensor<4>| (images + shift).flatten::<2>(1, 3).sum_dim(1) * 2.0)
        };
        let picture = Tensor::<4>::from_data([[[[1.0, 3.0]]]], &device);
        let raw = InputXGradient.attribute(&model(0.0), picture.clone(), &Target::Class(0)).unwrap();
        let shifted = InputXGradient.attribute(&model(1.0), picture - 1.0, &Target::Class(0)).unwrap();
        assert_eq!(raw.scores, shifted.scores);
        assert_eq!(values(raw.map), [2.0, 6.0]);
        assert_eq!(values(shifted.map), [0.0, 4.0]);
    }

    #[test]
    fn conforms() {
        let device = Device::default();
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
            conformance(&InputXGradient, &network, images.clone());
            trace_conformance(&InputXGradient, &network, images.clone());
        }
    }
}
