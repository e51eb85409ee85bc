//! Sanity checks: does a map depend on what the network has learned?

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
/// Does the map depend on what the network has learned? Adebayo et al. 2018, "Sanity Checks for Saliency Maps"
/// (<https://arxiv.org/abs/1810.03292>), draw weights anew and see whether the map changes. A method whose maps stay as they
/// were draws edges of the picture, whatever the network does.
///
/// | metric | what is new | passes of the method |
/// |---|---|---|
/// | [`CascadingRandomization`] | all layers from the logits down to one, for every layer with weights | one per layer |
/// | [`IndependentRandomization`] | one layer at a time, the others are as trained | one per layer |
/// | [`DataRandomization`] | the labels: a twin of the network was trained on random ones | one |
///
/// Each explains the same pictures and the **same target** on the changed network, and compares with the map of the
/// network as it is, in four readings:
///
/// | reading | of | what it sees |
/// |---|---|---|
/// | `cascading-randomization, Spearman` | the sum over the colours | order of the pixels, with sign |
/// | `…, Spearman of magnitudes` | the largest magnitude among the colours | order of the pixels, whatever the sign |
/// | `…, SSIM` ([`ssim`](crate::ssim)) | the same, from 0 to 1 | local means and details; pictures from 11 × 11 |
/// | `…, HOG` ([`hog_similarity`](crate::hog_similarity)) | the same, from 0 to 1 | directions of edges; pictures from 48 × 48 |
///
/// A picture's value is the mean over the cuts; the network as it is, which is like itself, stands at the left of the curve
/// but is **not** in the mean. How a layer is drawn anew is said at [`Network::randomized`].
///
/// At a cut where a map is the same everywhere (a class activation map that no unit speaks for), or not finite, there is
/// no similarity: `None` there, and the mean is over the other cuts.
///
/// # When it misleads
/// Depending on the weights is not yet being right. A random convolution still shows the picture, so maps that are
/// multiplied by the picture stay more alike than chance would have it. SSIM and HOG are far above 0 for any two sparse
/// maps. The weights are one draw: repeat with other seeds before a close call.
///
/// # Where libraries differ
/// The authors draw the sum of the colours' magnitudes and cut off the largest hundredth; here the largest magnitude counts,
/// and nothing is cut off. Quantus 0.6 resets layers as torch does, takes Spearman's correlation of magnitudes only, and its
/// mean includes the unchanged network; given the same fresh weights and maps, the curves are the same. Xplique 2.0 draws all
/// weights uniformly from 0 to 1, stops at a quarter of the layers, and takes Spearman's correlation of the colours' mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CascadingRandomization {
    /// Where the fresh weights start. Default: 0.
    pub seed: Seed,
    /// Names of the layers down to which the weights are fresh; the cuts that are looked at. One cut costs one pass of the
    /// method. Default: every layer with weights.
    pub layers: Option<Vec<String>>,
}

/// How alike maps stay when one layer gets fresh weights and the others keep theirs. Lower is better.
///
/// Otherwise as [`CascadingRandomization`], with the same readings and the same seeds: a layer gets the same fresh weights
/// in both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IndependentRandomization {
    /// Where the fresh weights start. Default: 0.
    pub seed: Seed,
    /// Names of the layers that get fresh weights, one after the other. Default: every layer with weights.
    pub layers: Option<Vec<String>>,
}

/// How alike maps are on a network of the same layers that was trained on random labels. Lower is better.
///
/// The twin learned the pictures by heart: it has seen them, and nothing that makes a class. The readings are those of
/// [`CascadingRandomization`], without a curve. Which twin it was is not in [`parameters`](Metric::parameters): whoever
/// loaded it knows its file.
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
