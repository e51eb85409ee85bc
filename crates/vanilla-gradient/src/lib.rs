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
