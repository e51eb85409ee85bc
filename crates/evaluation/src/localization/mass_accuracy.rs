use burnsight_core::Result;
use serde_json::{Value, json};

use super::measure_where_defined;
use crate::{Direction, Metric, Reading, Subject};

/// How much of the evidence for the class lies on the object?
///
/// ```text
/// Σ_{p in the mask} max(M_p, 0) / Σ_p max(M_p, 0)
/// ```
///
/// *Relevance mass accuracy*, Arras et al. 2022, <https://arxiv.org/abs/2003.07258>. 0 to 1, higher is better.
///
/// **Cost:** no passes.
///
/// **Chance:** the share of the picture that the mask covers.
///
/// **No value:** for an empty mask, one that covers everything, a constant map, and a map without a positive value,
/// which has no evidence to share out.
///
/// **When it misleads:** faint values in a large background add up, so the same object scores less in a larger picture;
/// a map that is 0 almost everywhere scores high if it is right once. Evidence against the class is not looked at.
///
/// **Where ours differs:** the paper pools the colours so that nothing is negative, in several ways; ours is the
/// positive part of the sum over the colours, or the largest magnitude, by the subject's pixel value. Quantus divides
/// sums with signs unless told otherwise, which can leave the range 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MassAccuracy;

impl MassAccuracy {
    /// Its name.
    pub const NAME: &str = "mass-accuracy";
}

impl Metric for MassAccuracy {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Arras et al. 2022, https://arxiv.org/abs/2003.07258"
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let values = measure_where_defined(subject, Self::NAME, |map, mask| {
            let (mut inside_sum, mut sum) = (0.0, 0.0);
            for (value, inside) in map.iter().zip(mask.inside()) {
                let evidence = f64::from(value.max(0.0));
                sum += evidence;
                inside_sum += if *inside { evidence } else { 0.0 };
            }
            (sum > 0.0).then(|| inside_sum / sum)
        })?;
        Ok(vec![Reading::new(Self::NAME, Direction::Higher, values)])
    }
}
