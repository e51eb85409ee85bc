#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

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
