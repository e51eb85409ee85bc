use burnsight_core::{Baseline, Result, Seed, select_images};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Direction, Metric, Reading, Subject,
    removal::{check_least, check_share, correlation, random_set, removals},
};

/// Faithfulness correlation: is a random set of pixels worth what the map says?
///
/// ```text
/// value    = corr_S( Σ_{i ∈ S} A_i ,  f(x) − f(x with S set to the baseline) )         |S| = share · pixels
///
/// A   one value per pixel        S   random sets        corr   Pearson's        f   the explained score
/// ```
///
/// Bhatt et al. 2020, <https://arxiv.org/abs/2005.00631>. The higher the better. It is
/// [`SensitivityN`](crate::SensitivityN) at one size.
///
/// # Cost
/// `sets` forward passes per picture.
///
/// # When it misleads
/// - The size of the sets decides much and the paper leaves it open: compare methods at one size, or use
///   sensitivity-n.
/// - With `sets` sets a correlation is known to about 1 / √`sets`: 0.1 by default. Means over many pictures are
///   needed.
/// - The rest is as for sensitivity-n.
///
/// # Where ours differs
/// Sets of pixels, all colours together. Quantus draws 224 single values, colours apart, 100 times, sets them to the
/// picture's smallest value ("black"), and divides the map by its largest magnitude first, which a correlation ignores.
/// xplique's µFidelity is the rank correlation (Spearman) over 200 sets of 20 % of the cells of a 9 × 9 grid.
#[derive(Debug, Clone, Serialize)]
pub struct FaithfulnessCorrelation {
    /// Size of the sets as a share of the pixels. Default: 0.2.
    pub share: f64,
    /// How many sets. Default: 100.
    pub sets: usize,
    /// What taken pixels are replaced by. Default: zero, which after the usual normalisation is the training
    /// pictures' mean, the paper's choice.
    pub baseline: Baseline,
    /// Where the sets start. Default: 0.
    pub seed: Seed,
}

impl Default for FaithfulnessCorrelation {
    fn default() -> Self {
        Self { share: 0.2, sets: 100, baseline: Baseline::Zero, seed: Seed(0) }
    }
}

impl FaithfulnessCorrelation {
    /// The name in the tool and in readings.
    pub const NAME: &str = "faithfulness-correlation";
}

impl Metric for FaithfulnessCorrelation {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Bhatt et al. 2020, https://arxiv.org/abs/2005.00631"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        check_share("share", self.share)?;
        check_least("sets", self.sets, 2)?;
        let [_, _, height, width] = subject.images().dims();
        let pixels = height * width;
        let size = ((self.share * pixels as f64).round() as usize).max(1);
        let baseline = self.baseline.of(subject.images())?;
        let removals = removals(
            subject,
            self.sets,
            |rows| Ok(select_images(&baseline, rows.iter().map(|row| row.image))),
            |row| Ok(random_set(self.seed.stream(row.sample as u64), pixels, size)),
        )?;
        let values = removals.iter().map(|removals| correlation(removals)).collect();
        Ok(vec![Reading::new(Self::NAME, Direction::Higher, values)])
    }
}
