#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod estimator;
mod patterns;

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, Error, Result, Target, read};
use burnsight_network::{Activation, BackwardRule, Network, Step, Trace, TraceAttributor};
use serde_json::json;

pub use estimator::PatternEstimator;
pub use patterns::{Origin, Patterns};

/// The gradient with patterns instead of weights: the signal that each layer detects, handed back to the layer below.
#[derive(Debug, Clone)]
pub struct PatternNet {
    patterns: Patterns,
}

impl PatternNet {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "pattern-net";

    /// By these patterns.
    pub fn new(patterns: Patterns) -> Self {
        Self { patterns }
    }

    /// The transposed layer with a in the place of w.
    fn signal(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        let (layer, a) = self.patterns.of(step)?;
        Ok(layer.with(a, None).backward(&step.input(0).dims(), upstream))
    }
}

impl BackwardRule for PatternNet {
    fn check(&self, network: &Network) -> Result<()> {
        self.patterns.require(Self::NAME, network)
    }

    /// What is handed back is a signal, so it starts with the output itself.
    fn start(&self, output: &Activation, slope: Activation) -> Result<Activation> {
        Ok(slope.multiply(output.clone()))
    }

    fn convolution(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.signal(step, upstream)
    }

    fn linear(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.signal(step, upstream)
    }
}

impl TraceAttributor for PatternNet {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        trace.with_batch_norms_folded(target, |trace, target| {
            let mut attribution = trace.input_gradient(target, self)?.into_attribution(Self::NAME);
            // Every layer adds up the signals of all its outputs, which can be tens of times the input.
            if !read(attribution.map.clone())?.iter().all(|value| value.is_finite()) {
                let problem = "its signal grows beyond single precision from layer to layer: use pattern-attribution";
                return Err(Error::unsupported(Self::NAME, problem));
            }
            attribution.provenance.parameters = json!({ "patterns": self.patterns.origin });
            Ok(attribution)
        })
    }
}

impl Attributor<Network> for PatternNet {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}

#[cfg(test)]
mod tests;
