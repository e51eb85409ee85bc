//! How much of the picture a map needs.

use burnsight_core::Result;
use serde_json::{Value, json};

use crate::{Direction, Metric, Reading, Subject};

/// How concentrated a map is: the Gini index of the pixels' magnitudes. Higher is sparser.
///
/// ```text
/// Gini = Σ_i (2i − n − 1) · v_i / (n · Σ_i v_i)        v_1 ≤ … ≤ v_n the magnitudes
///
/// 0   every pixel the same        1 − 1/n   one pixel alone
/// ```
///
/// Chalasani et al. 2020, <https://arxiv.org/abs/1810.06583>. Costs no pass. A map that is zero everywhere has no value.
///
/// # When it misleads
/// It says nothing about the model: a random pixel alone is as sparse as the right one. Where the evidence is spread, a sparse map
/// is wrong. Coarse maps, such as Grad-CAM's, cannot be sparse.
///
/// # Where libraries differ
/// Quantus 0.6 and xplique 2.0 have the same formula; Quantus divides the map by its largest magnitude first, which changes
/// nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sparseness;

/// How many pixels a map needs: the entropy of the pixels' shares of its magnitude, in nats. Lower is simpler.
///
/// ```text
/// entropy = − Σ_i p_i · ln p_i        p_i = |v_i| / Σ_j |v_j|
///
/// 0   one pixel alone        ln n   every pixel the same
/// ```
///
/// Bhatt et al. 2020, <https://arxiv.org/abs/2005.00631>. Costs no pass. A map that is zero everywhere has no value. It depends
/// on the size of the picture: compare maps of one size. Otherwise as [`Sparseness`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Complexity;

impl Sparseness {
    /// The name in the tool.
    pub const NAME: &str = "sparseness";
}

impl Complexity {
    /// The name in the tool.
    pub const NAME: &str = "complexity";
}

impl Metric for Sparseness {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Chalasani et al. 2020, Concise Explanations of Neural Networks using Adversarial Training, arXiv:1810.06583"
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
        "Bhatt et al. 2020, Evaluating and Aggregating Feature-based Model Explanations, arXiv:2005.00631"
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let values = subject.pixel_values()?.iter().map(|map| entropy(map)).collect();
        Ok(vec![Reading::new(Self::NAME, Direction::Lower, values)])
    }
}

/// The magnitudes and their sum, unless that is zero.
fn magnitudes(map: &[f32]) -> Option<(Vec<f64>, f64)> {
    let magnitudes: Vec<f64> = map.iter().map(|value| f64::from(value.abs())).collect();
    let sum: f64 = magnitudes.iter().sum();
    (sum > 0.0).then_some((magnitudes, sum))
}

fn gini(map: &[f32]) -> Option<f64> {
    let (mut magnitudes, sum) = magnitudes(map)?;
    magnitudes.sort_by(f64::total_cmp);
    let n = magnitudes.len() as f64;
    let weighted: f64 =
        magnitudes.iter().enumerate().map(|(i, value)| (2.0 * (i as f64 + 1.0) - n - 1.0) * value).sum();
    Some(weighted / (n * sum))
}

fn entropy(map: &[f32]) -> Option<f64> {
    let (magnitudes, sum) = magnitudes(map)?;
    let shares = magnitudes.iter().map(|value| value / sum).filter(|share| *share > 0.0);
    Some(shares.map(|share| -share * share.ln()).sum())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn by_hand() {
        assert!(gini(&[0.5; 8]).unwrap().abs() < 1e-12);
        assert!((gini(&[0.0, 0.0, -7.0, 0.0]).unwrap() - 0.75).abs() < 1e-12);
        // (−2 · 1 + 0 · 2 + 2 · 5) / (3 · 8)
        assert!((gini(&[5.0, -1.0, 2.0]).unwrap() - 8.0 / 24.0).abs() < 1e-12);
        assert!((entropy(&[0.5; 8]).unwrap() - 8.0f64.ln()).abs() < 1e-12);
        assert_eq!(entropy(&[0.0, -7.0]).unwrap(), 0.0);
        // Shares ¼ and ¾.
        assert!((entropy(&[1.0, -3.0]).unwrap() - (0.25 * 4.0f64.ln() + 0.75 * (4.0f64 / 3.0).ln())).abs() < 1e-12);
    }

    #[test]
    fn nothing_has_no_value() {
        assert_eq!((gini(&[0.0; 4]), entropy(&[0.0; 4])), (None, None));
    }
}
