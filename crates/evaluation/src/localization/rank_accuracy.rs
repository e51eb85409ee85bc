use burnsight_core::Result;
use serde_json::{Value, json};

use super::{highest_first, measure_where_defined};
use crate::{Direction, Metric, Reading, Subject};

/// Are the highest pixels, as many as the object has, those of the object?
///
/// ```text
/// |{the K highest pixels} ∩ mask| / K        K = |mask|
/// ```
///
/// *Relevance rank accuracy*, Arras et al. 2022, <https://arxiv.org/abs/2003.07258>. 0 to 1, higher is better.
///
/// **Cost:** no passes.
///
/// **Chance:** the share of the picture that the mask covers.
///
/// **No value:** for an empty mask, one that covers everything, and a constant map.
///
/// **When it misleads:** it wants the whole object. A map of the one part that decides, the beak of a bird, cannot
/// score high; nor can a map of outlines. Only the order of the pixels counts, so a spread of nearly equal values
/// scores as one with a clear cut.
///
/// **Where ours differs:** where the K-th highest value is shared by more pixels than there is room for, they count by
/// the share of them that lies inside, which is the mean over all orders of the tie; a map that is 0 in most places
/// would else be judged by the corner that a sort begins with. Quantus takes an order of the sort's choice. Negative
/// values rank below 0; in the paper there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RankAccuracy;

impl RankAccuracy {
    /// Its name.
    pub const NAME: &str = "rank-accuracy";
}

impl Metric for RankAccuracy {
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
            let size = mask.count();
            let (mut room, mut inside) = (size, 0.0);
            for tie in highest_first(map, mask) {
                let taken = tie.pixels.min(room);
                inside += tie.inside as f64 * taken as f64 / tie.pixels as f64;
                room -= taken;
            }
            Some(inside / size as f64)
        })?;
        Ok(vec![Reading::new(Self::NAME, Direction::Higher, values)])
    }
}
