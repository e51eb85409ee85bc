#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod composite;
mod propagation;
mod rule;

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, Result, Target};
use burnsight_network::{BackwardRule, Network, Trace, TraceAttributor};
use serde_json::json;

pub use composite::{Composite, Layers};
pub use propagation::{LayerRelevance, Propagation, Start};
pub use rule::{PixelBounds, Rule, STABILIZER};

/// Settings of [`Lrp`].
#[derive(Debug, Clone, PartialEq)]
pub struct LrpConfig {
    /// Which layer shares out by which rule. Default: ε for fully connected layers, z⁺ for convolutions.
    pub composite: Composite,
    /// Whether biases take their share in the rules 0, ε, γ and αβ, as the formulas of the papers have it; that share is
    /// then missing from the map. Default: true.
    pub biases: bool,
}

impl Default for LrpConfig {
    fn default() -> Self {
        Self { composite: Composite::epsilon_plus(), biases: true }
    }
}

impl LrpConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Parameter`](burnsight_core::Error::Parameter) for an ε or γ below 0, α − β other than 1, or bounds that are
    /// none.
    pub fn init(self) -> Result<Lrp> {
        self.composite.check()?;
        Ok(Lrp { config: self })
    }
}

/// The score, shared out layer by layer down to the pixels.
#[derive(Debug, Clone, Default)]
pub struct Lrp {
    config: LrpConfig,
}

impl Lrp {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "lrp";

    /// Where relevance stays on its way, layer by layer from the logits down: biases, stabilisers and borders keep what the
    /// map then lacks. Batch norms are folded, so they have no line.
    ///
    /// # Errors
    /// As [`Attributor::attribute`].
    pub fn conservation(&self, trace: &Trace<'_>, target: &Target) -> Result<Vec<LayerRelevance>> {
        trace.with_batch_norms_folded(target, |trace, target| self.propagation(trace.network())?.books(trace, target))
    }

    /// Refuses networks that this cannot explain.
    ///
    /// # Errors
    /// [`Error::Unsupported`](burnsight_core::Error::Unsupported) that names the first layer without a rule.
    pub fn check(&self, network: &Network) -> Result<()> {
        let folded = network.fold_batch_norms();
        self.propagation(&folded)?.check(&folded)
    }

    fn propagation(&self, network: &Network) -> Result<Propagation> {
        let LrpConfig { composite, biases } = &self.config;
        Ok(Propagation { method: Self::NAME, rules: composite.rules(network)?, biases: *biases, start: Start::Score })
    }
}

impl TraceAttributor for Lrp {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        let LrpConfig { composite, biases } = &self.config;
        let parameters = json!({ "composite": composite, "biases": biases });
        trace.with_batch_norms_folded(target, |trace, target| {
            self.propagation(trace.network())?.explain(trace, target, parameters)
        })
    }
}

impl Attributor<Network> for Lrp {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}

#[cfg(test)]
mod tests;
