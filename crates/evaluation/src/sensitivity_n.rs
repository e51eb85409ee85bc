use burnsight_core::{Baseline, Result, Seed, select_images};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Curve, Direction, Metric, Reading, Subject,
    removal::{check_least, check_share, correlation, random_set, removals},
};

/// Sensitivity-n: is a set of pixels worth what the map says, whatever the size of the set?
///
/// ```text
/// value    = mean over n of  corr_S( Σ_{i ∈ S} A_i ,  f(x) − f(x with S set to the baseline) )         |S| = n
///
/// A   one value per pixel        S   random sets of n pixels        corr   Pearson's        f   the explained score
/// ```
///
/// Ancona et al. 2018, <https://arxiv.org/abs/1711.06104>. The higher the better: 1 for a map that adds up to the
/// change for every set, as gradient × input does on a linear model with baseline 0. The curve shows the correlation
/// over n.
///
/// # Cost
/// `sizes` · `sets` forward passes per picture.
///
/// # When it misleads
/// - Pictures with pixels missing are like nothing the model has seen; what it says of them need not be about the
///   object.
/// - Single pixels change a score by little more than rounding, and large sets are all alike: both ends of the curve
///   are noisy. With `sets` sets a correlation is known to about 1 / √`sets`.
/// - A correlation ignores the map's scale, and a shift of all its values: sets of one size change by the same.
///
/// # Where ours differs
/// Ours are sets of pixels, all colours together, because a map may have no colours. Sizes are spaced evenly on a
/// logarithmic scale from 1 to `largest` of the pixels. The paper plots the curve; its mean is ours. Quantus' metric
/// of the name takes pixels away in the map's order, one after the other, and correlates over pictures: another
/// quantity. `f` here is the logit (or whatever was explained); Quantus takes softmax probabilities unless told
/// otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct SensitivityN {
    /// How many sizes n. Default: 8.
    pub sizes: usize,
    /// The largest n as a share of the pixels. Default: 0.8.
    pub largest: f64,
    /// Random sets of each size. Default: 100.
    pub sets: usize,
    /// What taken pixels are replaced by. Default: zero.
    pub baseline: Baseline,
    /// Where the sets start. Default: 0.
    pub seed: Seed,
}

impl Default for SensitivityN {
    fn default() -> Self {
        Self { sizes: 8, largest: 0.8, sets: 100, baseline: Baseline::Zero, seed: Seed(0) }
    }
}

impl SensitivityN {
    /// The name in the tool and in readings.
    pub const NAME: &str = "sensitivity-n";

    /// 1 to `largest · pixels` in equal ratios; fewer where small ones round to the same number.
    fn sizes_of(&self, pixels: usize) -> Vec<usize> {
        let largest = (self.largest * pixels as f64).max(1.0);
        let size = |index: usize| largest.powf(index as f64 / (self.sizes - 1) as f64);
        let mut sizes: Vec<usize> = (0..self.sizes).map(|index| size(index).round() as usize).collect();
        sizes.dedup();
        sizes
    }
}

impl Metric for SensitivityN {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Ancona et al. 2018, https://arxiv.org/abs/1711.06104"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        check_least("sizes", self.sizes, 2)?;
        check_share("largest", self.largest)?;
        check_least("sets", self.sets, 2)?;
        let [_, _, height, width] = subject.images().dims();
        let pixels = height * width;
        let sizes = self.sizes_of(pixels);
        let baseline = self.baseline.of(subject.images())?;
        let removals = removals(
            subject,
            sizes.len() * self.sets,
            |rows| Ok(select_images(&baseline, rows.iter().map(|row| row.image))),
            |row| Ok(random_set(self.seed.stream(row.sample as u64), pixels, sizes[row.sample / self.sets])),
        )?;
        let y: Vec<Vec<Option<f64>>> =
            removals.iter().map(|removals| removals.chunks(self.sets).map(correlation).collect()).collect();
        let mean = |curve: &Vec<Option<f64>>| {
            let defined: Vec<f64> = curve.iter().copied().flatten().collect();
            (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
        };
        let curve = Curve {
            x_label: "pixels taken away".into(),
            y_label: "Pearson correlation".into(),
            x: sizes.iter().map(|size| *size as f64).collect(),
            ticks: Vec::new(),
            y: y.clone(),
        };
        let values = y.iter().map(mean).collect();
        Ok(vec![Reading::new(Self::NAME, Direction::Higher, values).with_curve(curve)])
    }
}
