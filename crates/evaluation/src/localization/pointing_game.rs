use burnsight_core::Result;
use serde::Serialize;
use serde_json::{Value, json};

use super::{has_both_sides, measure_where_defined};
use crate::{Direction, Metric, Reading, Subject};

/// Does the highest pixel lie on the object?
///
/// ```text
/// hit = 1 where a pixel of the mask is at most `tolerance` pixels from argmax M, else 0
/// ```
///
/// Zhang et al. 2018, <https://arxiv.org/abs/1608.00507>. Higher is better: the mean is the share of hits.
///
/// **Cost:** no passes.
///
/// **Chance:** the share of the picture that is within `tolerance` of the mask.
///
/// **No value:** for an empty mask (Quantus writes NaN into a Boolean array, which makes a hit of it), for one that
/// covers everything, widened or not, and for a constant map, which points nowhere.
///
/// **When it misleads:** it looks at one pixel. A map can be right there and wrong everywhere else, and a single noisy
/// pixel loses the game for a good map; smooth maps win more often. Hits and misses are a coarse measure: see the
/// interval before two methods are told apart.
///
/// **Where ours differs:** the paper forgives 15 pixels. On the small pictures of many models a disc of 15 pixels
/// covers a good part of everything, and masks that are exact need no forgiveness: 0 by default, as in Quantus.
/// TorchRay draws the paper's disc of 15 pixels and averages over classes. Where several pixels share the highest
/// value, all of them must hit, because a map that points at two places, one of them wrong, has not found the object;
/// Quantus is content with any, which rewards maps that are clipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PointingGame {
    /// How far beside the object is still a hit, in pixels; 0 by default, 15 in the paper.
    pub tolerance: usize,
}

impl PointingGame {
    /// Its name.
    pub const NAME: &str = "pointing-game";
}

impl Metric for PointingGame {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Zhang et al. 2018, https://arxiv.org/abs/1608.00507"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let values = measure_where_defined(subject, Self::NAME, |map, mask| {
            let mask = mask.widened(self.tolerance);
            let highest = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let all_hit = map.iter().zip(mask.inside()).all(|(value, inside)| *value < highest || *inside);
            has_both_sides(&mask).then(|| f64::from(u8::from(all_hit)))
        })?;
        Ok(vec![Reading::new(Self::NAME, Direction::Higher, values)])
    }
}
