//! Which sign is kept, and which value becomes full scale.

use burnsight_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Second step: which part of the reduced values is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// The magnitude `|v|`: how strong, not in which direction.
    Absolute,
    /// `max(v, 0)`: evidence for the target.
    Positive,
    /// `max(−v, 0)`: evidence against the target.
    Negative,
    /// `v` itself, in diverging colours. Zero is always the neutral colour: the scale is symmetric, however lopsided
    /// the map.
    Signed,
}

impl Sign {
    pub(crate) fn apply(self, value: f64) -> f64 {
        match self {
            Self::Absolute => value.abs(),
            Self::Positive => value.max(0.0),
            Self::Negative => (-value).max(0.0),
            Self::Signed => value,
        }
    }
}

/// Third step: the value that becomes full scale, `1`. Zero stays zero always, and what lies beyond full scale is
/// drawn as full scale.
///
/// A *percentile* here is one of the magnitudes of all the pixels, zeros included, linear between ranks as in numpy.
/// Below 100 it keeps a few outliers from darkening everything else; 99 as in Smilkov et al. 2017 (SmoothGrad,
/// section 3.1 and its code). Where even that percentile is zero the maximum is taken, and the drawing says so.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scaling {
    /// Each map by itself. Shows *where*; hides that one map is a thousand times weaker than the next.
    PerImage {
        /// Percentile of this map's magnitudes that becomes full scale, in `(0, 100]`.
        percentile: f64,
    },
    /// One full scale for a set of maps, so that they can be compared; from [`Style::shared_over`].
    ///
    /// [`Style::shared_over`]: crate::Style::shared_over
    Shared {
        /// Percentile of the magnitudes of all maps together that gave `full_scale`, in `(0, 100]`.
        percentile: f64,
        /// The value drawn as `1`, in the maps' unit; finite, not negative.
        full_scale: f64,
    },
    /// Values are in `[0, 1]`, or `[-1, 1]` when signed, already; what is not is clipped, and the drawing says so.
    None,
}

impl Scaling {
    pub(crate) fn check(self) -> Result<()> {
        if let Self::PerImage { percentile } | Self::Shared { percentile, .. } = self
            && !(percentile > 0.0 && percentile <= 100.0)
        {
            return Err(Error::parameter("percentile", percentile, "give a number above 0 and up to 100"));
        }
        if let Self::Shared { full_scale, .. } = self
            && !(full_scale >= 0.0 && full_scale.is_finite())
        {
            return Err(Error::parameter("full_scale", full_scale, "give a finite number, not negative"));
        }
        Ok(())
    }
}

/// The value that becomes full scale: a percentile of the magnitudes, or the maximum where that percentile is zero
/// although the map is not (a map with few pixels set would otherwise be drawn empty, or divided by zero).
pub(crate) struct FullScale {
    pub value: f64,
    pub fell_back_to_maximum: bool,
}

impl FullScale {
    /// `values` must not be empty.
    pub fn of(values: impl Iterator<Item = f64>, percentile: f64) -> Self {
        let mut magnitudes: Vec<f64> = values.map(f64::abs).collect();
        magnitudes.sort_unstable_by(f64::total_cmp);
        let maximum = magnitudes[magnitudes.len() - 1];
        let rank = percentile / 100.0 * (magnitudes.len() - 1) as f64;
        let (below, above) = (magnitudes[rank.floor() as usize], magnitudes[rank.ceil() as usize]);
        let at_percentile = below + (above - below) * rank.fract();
        let fell_back_to_maximum = at_percentile == 0.0 && maximum > 0.0;
        Self { value: if fell_back_to_maximum { maximum } else { at_percentile }, fell_back_to_maximum }
    }
}

/// `value / full_scale`, clipped to `[-1, 1]`. Zero is zero even where full scale is.
pub(crate) fn scaled(value: f64, full_scale: f64) -> f32 {
    if value == 0.0 { 0.0 } else { (value / full_scale).clamp(-1.0, 1.0) as f32 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn signs() {
        let of = |sign: Sign| [-2.0, 0.0, 3.0].map(|v| sign.apply(v));
        assert_eq!(of(Sign::Absolute), [2.0, 0.0, 3.0]);
        assert_eq!(of(Sign::Positive), [0.0, 0.0, 3.0]);
        assert_eq!(of(Sign::Negative), [2.0, 0.0, 0.0]);
        assert_eq!(of(Sign::Signed), [-2.0, 0.0, 3.0]);
    }

    #[test]
    fn a_percentile_is_linear_between_ranks_of_magnitude() {
        let values = [-4.0, 0.0, 1.0, -2.0, 3.0];
        let at = |percentile| FullScale::of(values.into_iter(), percentile).value;
        assert_eq!(at(100.0), 4.0);
        assert_eq!(at(75.0), 3.0);
        assert_eq!(at(90.0), 3.6); // rank 3.6 of 0 1 2 3 4
        assert_eq!(FullScale::of([7.0].into_iter(), 99.0).value, 7.0);
    }

    #[test]
    fn a_sparse_map_falls_back_to_its_maximum_and_a_zero_map_does_not() {
        let sparse = FullScale::of((0..1000).map(|i| if i == 5 { -2.0 } else { 0.0 }), 99.0);
        assert!(sparse.fell_back_to_maximum);
        assert_eq!(sparse.value, 2.0);
        let zero = FullScale::of([0.0; 4].into_iter(), 99.0);
        assert!(!zero.fell_back_to_maximum);
        assert_eq!(zero.value, 0.0);
    }

    #[test]
    fn scaling_clips_and_never_divides_by_zero() {
        assert_eq!([-3.0, -1.0, 0.0, 0.5, 9.0].map(|v| scaled(v, 2.0)), [-1.0, -0.5, 0.0, 0.25, 1.0]);
        assert_eq!([-1.0, 0.0, 1.0].map(|v| scaled(v, 0.0)), [-1.0, 0.0, 1.0]);
        assert_eq!([1e-30, 0.5e-30].map(|v| scaled(v, 1e-30)), [1.0, 0.5]);
        assert_eq!([1e30, 0.5e30].map(|v| scaled(v, 1e30)), [1.0, 0.5]);
    }

    #[test]
    fn scalings_out_of_range_are_refused() {
        for percentile in [0.0, -1.0, 100.1, f64::NAN] {
            assert!(Scaling::PerImage { percentile }.check().unwrap_err().to_string().contains("percentile"));
        }
        for full_scale in [-1.0, f64::INFINITY, f64::NAN] {
            assert!(Scaling::Shared { percentile: 99.0, full_scale }.check().is_err());
        }
        assert!(Scaling::Shared { percentile: 100.0, full_scale: 0.0 }.check().is_ok());
    }
}
