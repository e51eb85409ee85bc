//! One line per map: should it be believed?

use std::fmt;

use burn::tensor::Tensor;
use burnsight::{
    Attribution, Error, Result, Seed,
    evaluation::{PixelValue, pixel_values, spearman},
    network::Network,
    read,
};
use serde::Serialize;

/// Likeness from which on a map is said to ignore the weights: it then has more in common with the map of a model that
/// knows little than it has of its own.
const ALIKE: f64 = 0.5;

/// The same network with fresh weights in the upper half of its layers.
pub struct Randomized {
    network: Network,
    /// The lowest of the layers.
    down_to: String,
}

/// What speaks for and against a map.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The weights are random from the logits down to this layer.
    randomized_down_to: Option<String>,
    /// Spearman's correlation of the map with that of the network with random weights; of maps that are drawn by magnitude,
    /// that of the magnitudes if it is larger. 1: the map ignores these weights. Absent where it is not defined, because one
    /// of the maps is the same everywhere.
    likeness: Option<f64>,
    /// How far the map is from adding up to what it should, as a share of that.
    completeness_gap: Option<f32>,
    /// The mean standard error of a sampled map as a share of its mean magnitude.
    standard_error: Option<f64>,
}

impl Randomized {
    /// `None` for a network without weights.
    ///
    /// # Errors
    /// Those of the network.
    pub fn upper_half(network: &Network, seed: Seed) -> Result<Option<Self>> {
        let layers = network.layers_with_weights();
        let upper = &layers[layers.len() / 2..];
        let Some(lowest) = upper.first() else { return Ok(None) };
        let down_to = network.node(*lowest).name().to_string();
        Ok(Some(Self { network: network.randomized(upper, seed)?, down_to }))
    }

    /// How alike a map stays.
    fn likeness(&self, map: &Tensor<4>, other: &Tensor<4>, pixel_value: PixelValue) -> Result<Option<f64>> {
        let compare = |pixel_value| {
            let values = |map: &Tensor<4>| -> Result<Vec<f64>> {
                Ok(pixel_values(map, pixel_value)?.remove(0).into_iter().map(f64::from).collect())
            };
            Ok::<_, Error>(spearman(&values(map)?, &values(other)?))
        };
        let signed = compare(PixelValue::Signed)?;
        Ok(match pixel_value {
            PixelValue::Signed => signed,
            PixelValue::Magnitude => signed.into_iter().chain(compare(PixelValue::Magnitude)?).reduce(f64::max),
        })
    }
}

impl Verdict {
    /// Explains the picture once more, with random weights.
    ///
    /// # Errors
    /// Those of the method.
    pub fn of(
        attribution: &Attribution,
        pixel_value: PixelValue,
        randomized: Option<&Randomized>,
        explain: impl FnOnce(&Network) -> Result<Attribution>,
    ) -> Result<Self> {
        let likeness = match randomized {
            None => None,
            Some(randomized) => {
                randomized.likeness(&attribution.map, &explain(&randomized.network)?.map, pixel_value)?
            }
        };
        let mean = |tensor: Tensor<4>| Ok::<f64, Error>(f64::from(read(tensor.abs().mean())?[0]));
        let standard_error = match &attribution.standard_error {
            None => None,
            Some(error) => {
                Some(mean(error.clone())? / mean(attribution.map.clone())?).filter(|share| share.is_finite())
            }
        };
        Ok(Self {
            randomized_down_to: randomized.map(|randomized| randomized.down_to.clone()),
            likeness,
            completeness_gap: attribution.completeness.as_ref().map(|all| all[0].relative_gap()),
            standard_error,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.randomized_down_to, self.likeness) {
            (None, _) => write!(f, "the model has no weights to test it with")?,
            (Some(_), None) => write!(f, "flat, or flat with random weights: nothing to compare")?,
            (Some(layer), Some(likeness)) if likeness >= ALIKE => {
                write!(f, "HARDLY DEPENDS ON THE WEIGHTS: {likeness:.2} alike when they are random down to {layer}")?;
            }
            (Some(layer), Some(likeness)) => {
                write!(f, "depends on the weights: {likeness:.2} alike when they are random down to {layer}")?;
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
