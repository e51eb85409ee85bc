use burnsight_core::{Error, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::{highest_first, measure_where_defined};
use crate::{Direction, Mask, Metric, Reading, Subject};

/// Can the object be cut out of the map?
///
/// ```text
/// IoU(t) = |{M ≥ t} ∩ mask| / |{M ≥ t} ∪ mask|
///
/// best threshold    max over t of IoU(t), for each picture        fixed threshold    t = `threshold` · max M
/// ```
///
/// The threshold of a fifth of the maximum is that of Zhou et al. 2016, <https://arxiv.org/abs/1512.04150>. Choe et al.
/// 2020, <https://arxiv.org/abs/2001.07437>, show that the best threshold differs between methods, so that any fixed
/// one favours some of them: hence both. 0 to 1, higher is better.
///
/// **Cost:** no passes; one sort per map.
///
/// **Chance:** a random map with a share q of its pixels above the threshold has q·s / (q + s − q·s) for a mask that
/// covers the share s. The best threshold never falls below s, which is what the whole picture scores: compare with s,
/// not with 0.
///
/// **No value:** for an empty mask, one that covers everything, and a constant map; at the fixed threshold also for a
/// map without a positive value, of whose maximum no share can be taken.
///
/// **When it misleads:** the best threshold is chosen with the truth in hand, so it says what the map contains, not
/// what one would get out of it. The fixed threshold hangs on the highest pixel: one outlier empties the map.
///
/// **Where ours differs:** the papers draw a box around the largest part above the threshold and compare it with the
/// object's box; we have the object's pixels and compare those. Choe et al. sweep one threshold for all pictures, ours
/// is best for each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IntersectionOverUnion {
    /// Which share of the highest value a pixel needs in the reading at a fixed threshold; 0.2 by default.
    pub threshold: f64,
}

impl Default for IntersectionOverUnion {
    fn default() -> Self {
        Self { threshold: 0.2 }
    }
}

impl IntersectionOverUnion {
    /// Its name.
    pub const NAME: &str = "intersection-over-union";

    fn at_best(map: &[f32], mask: &Mask) -> f64 {
        let (mut pixels, mut inside, mut best) = (0, 0, 0.0f64);
        for tie in highest_first(map, mask) {
            pixels += tie.pixels;
            inside += tie.inside;
            best = best.max(ratio(pixels, inside, mask));
        }
        best
    }

    fn at_fixed(&self, map: &[f32], mask: &Mask) -> Option<f64> {
        let highest = map.iter().copied().fold(0.0, f32::max);
        let is_above = |value: &f32| f64::from(*value) >= self.threshold * f64::from(highest);
        let pixels = map.iter().filter(|value| is_above(value)).count();
        let inside = map.iter().zip(mask.inside()).filter(|(value, inside)| is_above(value) && **inside).count();
        (highest > 0.0).then(|| ratio(pixels, inside, mask))
    }
}

/// Of so many pixels, so many inside the mask.
fn ratio(pixels: usize, inside: usize, mask: &Mask) -> f64 {
    inside as f64 / (pixels + mask.count() - inside) as f64
}

impl Metric for IntersectionOverUnion {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Zhou et al. 2016, https://arxiv.org/abs/1512.04150; Choe et al. 2020, https://arxiv.org/abs/2001.07437"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            let requirement = "a share of the highest value, above 0 and at most 1";
            return Err(Error::parameter("threshold", self.threshold, requirement));
        }
        let both = measure_where_defined(subject, Self::NAME, |map, mask| {
            Some((Self::at_best(map, mask), self.at_fixed(map, mask)))
        })?;
        let reading = |way: &str, values| Reading::new(format!("{}, {way}", Self::NAME), Direction::Higher, values);
        Ok(vec![
            reading("best threshold", both.iter().map(|both| both.map(|(best, _)| best)).collect()),
            reading("fixed threshold", both.iter().map(|both| both.and_then(|(_, fixed)| fixed)).collect()),
        ])
    }
}
