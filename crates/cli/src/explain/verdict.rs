//! One line per map: should it be believed?

use std::fmt;

use burn::tensor::Tensor;
use burnsight::{
    Attribution, Result, Seed, Target,
    evaluation::{pixel_values, spearman},
    network::Network,
    read,
};
use serde::Serialize;

use crate::{explainer::Explainer, methods::Method, settings::Settings};

/// Likeness from which on a map is said to ignore the weights: it then shares more with a map of a model that knows
/// nothing than it has of its own.
const ALIKE: f64 = 0.5;

/// The same network with fresh weights in the layer that makes the logits.
pub struct RandomLogits {
    network: Network,
    layer: String,
}

/// What speaks for and against a map.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The layer whose weights were replaced by random ones.
    randomized: Option<String>,
    /// Spearman's correlation of the map with that of the network with random weights there; 1: the map ignores them.
    /// Absent where it is not defined, because one of the maps is the same everywhere.
    likeness: Option<f64>,
    /// How far the map is from adding up to what it should, as a share of that.
    completeness_gap: Option<f32>,
    /// The mean standard error of a sampled map as a share of its mean magnitude.
    standard_error: Option<f64>,
}

impl RandomLogits {
    /// `None` for a network without weights.
    pub fn of(network: &Network, seed: Seed) -> Result<Option<Self>> {
        let Some(&last) = network.layers_with_weights().last() else { return Ok(None) };
        let layer = network.node(last).name().to_string();
        Ok(Some(Self { network: network.randomized(&[last], seed)?, layer }))
    }
}

impl Verdict {
    /// Explains the picture once more, on the network with random logits.
    ///
    /// # Errors
    /// Those of the method.
    pub fn of(
        attribution: &Attribution,
        random: Option<&RandomLogits>,
        (method, settings): (&'static Method, &Settings),
        image: Tensor<4>,
        target: &Target,
    ) -> Result<Self> {
        let likeness = match random {
            None => None,
            Some(RandomLogits { network, .. }) => {
                let explainer = Explainer { method, settings };
                let values = |map: &Tensor<4>| -> Result<Vec<f64>> {
                    let values = pixel_values(map, explainer.pixel_value())?.remove(0);
                    Ok(values.into_iter().map(f64::from).collect())
                };
                let other = (method.explain)(settings, &network.record(image)?, target)?;
                spearman(&values(&attribution.map)?, &values(&other.map)?)
            }
        };
        let mean = |tensor: Tensor<4>| Ok::<f64, burnsight::Error>(f64::from(read(tensor.abs().mean())?[0]));
        let standard_error = match &attribution.standard_error {
            None => None,
            Some(error) => {
                Some(mean(error.clone())? / mean(attribution.map.clone())?).filter(|share| share.is_finite())
            }
        };
        Ok(Self {
            randomized: random.map(|random| random.layer.clone()),
            likeness,
            completeness_gap: attribution.completeness.as_ref().map(|all| all[0].relative_gap()),
            standard_error,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.randomized, self.likeness) {
            (None, _) => write!(f, "the model has no weights to test it with")?,
            (Some(layer), None) => write!(f, "flat, or flat with random weights in {layer}: nothing to compare")?,
            (Some(layer), Some(likeness)) if likeness >= ALIKE => write!(
                f,
                "IGNORES THE WEIGHTS: {likeness:.2} like the map with random weights in {layer}, so it says little about the class"
            )?,
            (Some(layer), Some(likeness)) => {
                write!(f, "depends on the weights ({likeness:.2} like the map with random weights in {layer})")?;
            }
        }
        if let Some(gap) = self.completeness_gap {
            write!(f, "; adds up to within {:.1} %", gap * 100.0)?;
        }
        if let Some(error) = self.standard_error {
            write!(f, "; standard error {:.0} % of the map", error * 100.0)?;
        }
        Ok(())
    }
}
