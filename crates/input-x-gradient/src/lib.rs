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
