//! Many pictures, one number and how sure it is.

use burnsight_core::Seed;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// The mean of a reading over the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Mean over the pictures on which the metric is defined; `None` when there are none.
    pub mean: Option<f64>,
    /// 95 % confidence interval of that mean; `None` for fewer than two pictures, which say nothing about others.
    pub interval: Option<[f64; 2]>,
    /// Pictures on which the metric is defined.
    pub pictures: usize,
    /// Pictures on which it is not.
    pub undefined: usize,
}

/// Draws of the bootstrap.
const RESAMPLES: usize = 2000;

/// The normal distribution's 97.5th percentile.
const Z: f64 = 1.959_963_984_540_054;

impl Summary {
    /// Mean and interval of values of any size, by the percentiles of a bootstrap over the pictures (Efron 1979); of hits and
    /// misses (all 0 or 1), by Wilson's score interval (1927), because a bootstrap of 20 hits in 20 would claim certainty.
    ///
    /// The same values give the same interval: the bootstrap has its own fixed seed.
    pub fn of(values: &[Option<f64>]) -> Self {
        let defined: Vec<f64> = values.iter().copied().flatten().collect();
        let count = defined.len();
        let mean = (count > 0).then(|| defined.iter().sum::<f64>() / count as f64);
        let are_hits = defined.iter().all(|value| *value == 0.0 || *value == 1.0);
        let interval = match mean {
            Some(share) if count > 1 && are_hits => Some(wilson(share, count as f64)),
            Some(_) if count > 1 => Some(bootstrap(&defined)),
            _ => None,
        };
        Self { mean, interval, pictures: count, undefined: values.len() - count }
    }
}

fn wilson(share: f64, count: f64) -> [f64; 2] {
    let square = Z * Z / count;
    let center = (share + square / 2.0) / (1.0 + square);
    let half = Z / (1.0 + square) * (share * (1.0 - share) / count + square / (4.0 * count)).sqrt();
    [(center - half).max(0.0), (center + half).min(1.0)]
}

fn bootstrap(values: &[f64]) -> [f64; 2] {
    let mut generator = Seed(0).stream(0);
    let count = values.len();
    let mut draw = || (0..count).map(|_| values[generator.random_range(0..count)]).sum::<f64>() / count as f64;
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| draw()).collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
    [at(0.025), at(0.975)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn undefined_values_are_counted_apart() {
        let summary = Summary::of(&[Some(1.5), None, Some(2.5)]);
        assert_eq!((summary.mean, summary.pictures, summary.undefined), (Some(2.0), 2, 1));
        let [low, high] = summary.interval.unwrap();
        assert!((1.5..2.0).contains(&low) && high > 2.0 && high <= 2.5);
    }

    #[test]
    fn one_picture_has_no_interval_and_none_has_no_mean() {
        assert_eq!(Summary::of(&[Some(3.0)]).interval, None);
        assert_eq!(Summary::of(&[None]), Summary { mean: None, interval: None, pictures: 0, undefined: 1 });
    }

    #[test]
    fn hits_get_wilsons_interval() {
        // 8 of 10: (0.8 + 0.19207) / 1.38415 ± 1.95996 / 1.38415 · √(0.016 + 0.0096036).
        let values: Vec<Option<f64>> = (0..10).map(|index| Some(f64::from(index < 8))).collect();
        let [low, high] = Summary::of(&values).interval.unwrap();
        assert!((low - 0.490_162).abs() < 1e-5 && (high - 0.943_318).abs() < 1e-5, "{low} {high}");
        let [low, high] = Summary::of(&[Some(1.0); 20]).interval.unwrap();
        assert!((low - 0.838_875).abs() < 1e-5 && high == 1.0, "{low}");
    }

    #[test]
    fn bootstrap_covers_the_mean_as_often_as_it_says() {
        let mut generator = Seed(1).stream(0);
        let covered = (0..200).filter(|_| {
            let values: Vec<Option<f64>> = (0..40).map(|_| Some(generator.random::<f64>())).collect();
            let [low, high] = Summary::of(&values).interval.unwrap();
            (low..high).contains(&0.5)
        });
        let covered = covered.count();
        assert!((180..200).contains(&covered), "{covered} of 200 intervals cover the mean, 190 should");
    }
}
