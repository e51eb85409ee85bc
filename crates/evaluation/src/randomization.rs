//! # Sanity checks
//!
//! Does the map depend on what the network has learned? Adebayo et al. 2018, "Sanity Checks for Saliency Maps"
//! (<https://arxiv.org/abs/1810.03292>), draw weights anew and see whether the map changes. A method whose maps stay as they
//! were draws edges of the picture, whatever the network does.
//!
//! | metric | what is new | passes of the method |
//! |---|---|---|
//! | [`CascadingRandomization`] | all layers from the logits down to one, for every layer with weights | one per layer |
//! | [`IndependentRandomization`] | one layer at a time, the others are as trained | one per layer |
//! | [`DataRandomization`] | the labels: a twin of the network was trained on random ones | one |
//!
//! Each explains the same pictures and the **same target** on the changed network, and compares with the map of the
//! network as it is. Lower is better in every reading:
//!
//! | reading | of | what it sees |
//! |---|---|---|
//! | `…, Spearman` | the sum over the colours | order of the pixels, with sign |
//! | `…, Spearman of magnitudes` | the largest magnitude among the colours | order of the pixels, whatever the sign |
//! | `…, SSIM` | the same, from 0 to 1 | local means and details; pictures from 11 × 11 |
//! | `…, HOG` | the same, from 0 to 1 | directions of edges; pictures from 48 × 48 |
//!
//! A picture's value is the mean over the cuts; the network as it is, which is like itself, is drawn at the left of the
//! curve but **not** in the mean. (Quantus 0.6 means to leave it out but does not; it takes Spearman's correlation of
//! magnitudes. Xplique draws weights uniformly from 0 to 1 and stops at a quarter of the layers.) How a layer is drawn anew
//! is said at [`Network::randomized`](burnsight_network::Network::randomized).
//!
//! At a cut where one of the maps is the same everywhere, as a class activation map that no unit speaks for, or not finite,
//! or the picture is too small, there is no similarity: `None` there, and the mean is over the other cuts.
//!
//! When it misleads: a random convolution still shows the picture, so maps that are multiplied by the picture stay similar
//! to themselves by more than chance. SSIM and HOG are far above 0 for any two sparse maps. Deep in a network without batch norm a cut can
//! leave every ReLU off or on. The weights are one draw: repeat with other seeds before a close call. And to depend on the
//! weights is not yet to be right.

mod comparison;
mod networks;

use burnsight_core::{Result, Seed};
use burnsight_network::Network;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use networks::{RandomizedNetwork, RandomizedNetworks};

use crate::{Metric, Reading, Subject};
use comparison::compare;

const PAPER: &str = "Adebayo et al. 2018, Sanity Checks for Saliency Maps, arXiv:1810.03292";

/// How alike maps stay when the layers from the logits down get fresh weights. Lower is better.
///
/// See the table of the readings in the crate's chapter on sanity checks. The curve's abscissa is how far down the fresh
/// weights reach; a value is the mean over these cuts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CascadingRandomization {
    /// Where the fresh weights start. Default: 0.
    pub seed: Seed,
    /// Names of the layers down to which the weights are fresh; the cuts that are looked at. One cut costs one pass of the
    /// method. Default: every layer with weights.
    pub layers: Option<Vec<String>>,
}

/// How alike maps stay when one layer gets fresh weights and the others keep theirs. Lower is better.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IndependentRandomization {
    /// Where the fresh weights start. Default: 0.
    pub seed: Seed,
    /// Names of the layers that get fresh weights, one after the other. Default: every layer with weights.
    pub layers: Option<Vec<String>>,
}

/// How alike maps are on a network of the same layers that was trained on random labels. Lower is better.
///
/// The twin learned the pictures by heart: it has seen them, and nothing that makes a class. Its path is not in
/// [`parameters`](Metric::parameters).
#[derive(Debug, Clone)]
pub struct DataRandomization<'n> {
    /// The network that was trained on random labels. It must have the explained class (or unit).
    pub twin: &'n Network,
}

impl CascadingRandomization {
    /// The name in the tool.
    pub const NAME: &str = "cascading-randomization";
}

impl IndependentRandomization {
    /// The name in the tool.
    pub const NAME: &str = "independent-randomization";
}

impl DataRandomization<'_> {
    /// The name in the tool.
    pub const NAME: &'static str = "data-randomization";
}

impl Metric for CascadingRandomization {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        PAPER
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`](burnsight_core::Error::Parameter) for layers that are not there or have no weights.
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let network = subject.network(Self::NAME)?;
        let networks = RandomizedNetworks::cascading(network, self.layers.as_deref(), self.seed)?;
        let names = networks.layers();
        let comparison = compare(subject, Self::NAME, networks.map(|cut| cut.network))?;
        Ok(comparison.readings(Self::NAME, Some(("randomized from the logits down to", names))))
    }
}

impl Metric for IndependentRandomization {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        PAPER
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`](burnsight_core::Error::Parameter) for layers that are not there or have no weights.
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let network = subject.network(Self::NAME)?;
        let networks = RandomizedNetworks::independent(network, self.layers.as_deref(), self.seed)?;
        let names = networks.layers();
        let comparison = compare(subject, Self::NAME, networks.map(|cut| cut.network))?;
        Ok(comparison.readings(Self::NAME, Some(("randomized layer", names))))
    }
}

impl Metric for DataRandomization<'_> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        PAPER
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    /// Also [`Error::Target`](burnsight_core::Error::Target) and [`Error::Image`](burnsight_core::Error::Image) when the
    /// twin has another head or takes other pictures.
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let comparison = compare(subject, Self::NAME, [self.twin].into_iter())?;
        Ok(comparison.readings(Self::NAME, None))
    }
}

#[cfg(test)]
mod tests;
