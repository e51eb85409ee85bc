use burnsight_core::Result;
use serde_json::{Value, json};

use crate::{Direction, Metric, Reading, Subject};

/// Sparseness: is the map's weight on few pixels?
///
/// ```text
/// value    = Σ_i (2i − n − 1) a_i / (n · Σ_i a_i)          a = |A| in ascending order, i = 1 … n pixels
/// ```
///
/// The Gini index of the magnitudes: 0 when all pixels have the same, 1 − 1/n when one pixel has all. Chalasani et al.
/// 2020, <https://arxiv.org/abs/1810.06583>. The higher the sparser. Undefined for a map of zeros.
///
/// # Cost
/// No pass of the model.
///
/// # When it misleads
/// It knows nothing of the model: a single dot anywhere is perfect. Read it beside a measure of faithfulness. Maps
/// that were enlarged from a coarse layer (Grad-CAM) are smooth by construction.
///
/// # Where ours differs
/// Of pixels, the sum over the colours (or their largest magnitude, as the subject reads them). Quantus and xplique
/// use the same formula on the map as it is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sparseness;

/// Complexity: over how many pixels is the map's weight spread?
///
/// ```text
/// value    = −Σ_i p_i ln p_i          p = |A| / Σ |A|
/// ```
///
/// The entropy of the shares: 0 when one pixel has all, ln n when n pixels share alike; eᵛᵃˡᵘᵉ is the number of
/// pixels that would do. Bhatt et al. 2020, <https://arxiv.org/abs/2005.00631>. The lower the simpler. Undefined for
/// a map of zeros.
///
/// # Cost
/// No pass of the model.
///
/// # When it misleads
/// As [`Sparseness`]. It grows with the number of pixels: compare maps of one size.
///
/// # Where ours differs
/// As [`Sparseness`]. The natural logarithm, as in Quantus and xplique.
#[derive(Debug, Clone, Copy, Default)]
pub struct Complexity;

impl Sparseness {
    /// The name in the tool and in readings.
    pub const NAME: &str = "sparseness";
}

impl Complexity {
    /// The name in the tool and in readings.
    pub const NAME: &str = "complexity";
}

impl Metric for Sparseness {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Chalasani et al. 2020, https://arxiv.org/abs/1810.06583"
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let values = subject.pixel_values()?.iter().map(|map| gini(map)).collect();
        Ok(vec![Reading::new(Self::NAME, Direction::Higher, values)])
    }
}

impl Metric for Complexity {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Bhatt et al. 2020, https://arxiv.org/abs/2005.00631"
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let values = subject.pixel_values()?.iter().map(|map| entropy(map)).collect();
        Ok(vec![Reading::new(Self::NAME, Direction::Lower, values)])
    }
}

fn gini(map: &[f32]) -> Option<f64> {
    let mut magnitudes: Vec<f64> = map.iter().map(|value| f64::from(value.abs())).collect();
    magnitudes.sort_by(f64::total_cmp);
    let count = magnitudes.len() as f64;
    let total: f64 = magnitudes.iter().sum();
    let weighted: f64 =
        magnitudes.iter().enumerate().map(|(index, value)| (2.0 * index as f64 + 1.0 - count) * value).sum();
    (total > 0.0).then(|| weighted / (count * total))
}

fn entropy(map: &[f32]) -> Option<f64> {
    let total: f64 = map.iter().map(|value| f64::from(value.abs())).sum();
    let shares = map.iter().filter(|value| **value != 0.0).map(|value| f64::from(value.abs()) / total);
    // The sum of one share is −0.
    (total > 0.0).then(|| shares.map(|share| -share * share.ln()).sum::<f64>().max(0.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn by_hand() {
        // (−3·1 − 1·1 + 1·2 + 3·4) / (4 · 8), whatever the order and the signs.
        assert!((gini(&[2.0, -1.0, 4.0, 1.0]).unwrap() - 10.0 / 32.0).abs() < 1e-12);
        // Shares ¼, ⅛, ½, ⅛: (¼ · 2 + 2 · ⅛ · 3 + ½ · 1) ln 2.
        assert!((entropy(&[2.0, -1.0, 4.0, 1.0]).unwrap() - 1.75 * 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn extremes() {
        assert_eq!(gini(&[-0.3; 12]).map(|value| value.abs() < 1e-12), Some(true));
        assert!((entropy(&[-0.3; 12]).unwrap() - 12f64.ln()).abs() < 1e-12);
        let dot = [0.0, 0.0, -7.0, 0.0];
        assert_eq!((gini(&dot), entropy(&dot)), (Some(0.75), Some(0.0)));
        assert_eq!((gini(&[0.0; 9]), entropy(&[0.0; 9])), (None, None));
    }
}
