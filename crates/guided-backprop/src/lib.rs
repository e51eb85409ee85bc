#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

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
