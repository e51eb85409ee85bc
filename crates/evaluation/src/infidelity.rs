use burn::tensor::{Tensor, TensorData};
use burnsight_core::{Baseline, Error, Result, Row, Seed, read, select_images};
use rand::RngExt;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Direction, Metric, Reading, Subject,
    removal::{check_least, check_share},
};

/// Infidelity: how far is the map from what the score does when the picture changes?
///
/// ```text
/// value    = mean over changes I of  ( β · Σ_i w_i A_i  −  (f(x) − f(x − I)) )²
///
/// w   I for a map in score per unit of input (a gradient): the step in every value
///     I / (x − x₀) for a map in units of the score (gradient × input, LRP): 1 in a square that is set to x₀, else 0
/// β   1, or with `scaled` the factor that suits the map best: Σ (w·A)(f(x) − f(x − I)) / Σ (w·A)², at least 0
/// ```
///
/// Yeh et al. 2019, <https://arxiv.org/abs/1901.09392>. The lower the better: 0 for a map that adds up to every
/// change, in squared units of the score. A map of zeros gets the mean square of the changes.
///
/// # Cost
/// `samples` forward passes per picture.
///
/// # When it misleads
/// - Without scaling it is a question of units. The map must be in units of the score, or per unit of input: methods
///   that promise neither (Grad-CAM, guided backpropagation, deconvnet) are only comparable with `scaled`.
/// - Pictures with large scores dominate a mean over pictures.
/// - The best map depends on the changes: SmoothGrad is best for noise of its own width. A blank square is like
///   nothing the model has seen.
///
/// # Where ours differs
/// β is 1 in the paper's definition, here and in captum by default; the paper's own code scales. captum's β
/// (`normalize`) may be negative, so that an inverted map counts as a perfect one; ours stops at 0. captum has no
/// changes of its own and takes 10 samples. Quantus moves squares of 4 × 4 values over the picture without taking
/// them back, multiplies the map by the change in every value whatever its unit, and averages. f is the explained
/// score, the logit; captum and Quantus take what the model returns, probabilities if it ends in a softmax.
#[derive(Debug, Clone, Serialize)]
pub struct Infidelity {
    /// How pictures are changed. Default: squares of up to 0.4 of the shorter side, set to zero.
    pub change: Change,
    /// What the numbers of the map are. Default: units of the score.
    pub unit: MapUnit,
    /// Whether the map is multiplied by the factor β that suits it best. Default: no.
    pub scaled: bool,
    /// Changes per picture. Default: 100.
    pub samples: usize,
    /// Where the changes start. Default: 0.
    pub seed: Seed,
}

/// How [`Infidelity`] changes pictures.
// A boxed baseline would save bytes and cost every caller a `Box::new`.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A square of random size and place is set to the baseline ("square removal").
    Square {
        /// The longest side as a share of the picture's shorter side.
        largest: f64,
        /// What the square is set to.
        baseline: Baseline,
    },
    /// Normal noise on every value. Only for maps in score per unit of input.
    Noise {
        /// Standard deviation in units of the model's input.
        deviation: f64,
    },
}

/// What the numbers of a map are, which decides what they are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapUnit {
    /// Shares of the score: gradient × input, integrated gradients, LRP, DeepLIFT.
    Score,
    /// Score per unit of the model's input: gradients, SmoothGrad. Read colour by colour.
    ScorePerInput,
}

impl Default for Infidelity {
    fn default() -> Self {
        let change = Change::Square { largest: 0.4, baseline: Baseline::Zero };
        Self { change, unit: MapUnit::Score, scaled: false, samples: 100, seed: Seed(0) }
    }
}

impl Infidelity {
    /// The name in the tool and in readings.
    pub const NAME: &str = "infidelity";

    fn check(&self) -> Result<()> {
        check_least("samples", self.samples, 1)?;
        match self.change {
            Change::Square { largest, .. } => check_share("largest", largest),
            Change::Noise { deviation } if !deviation.is_finite() || deviation <= 0.0 => {
                Err(Error::parameter("deviation", deviation, "a positive number in units of the model's input"))
            }
            Change::Noise { .. } if self.unit == MapUnit::Score => {
                let requirement = "noise needs a map in score per unit of input; take squares for this one";
                Err(Error::parameter("unit", "score", requirement))
            }
            Change::Noise { .. } => Ok(()),
        }
    }

    /// 1 inside the squares of these rows: `[rows, 1, h, w]`.
    fn squares(&self, largest: f64, rows: &[Row], like: &Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = like.dims();
        let longest = ((height.min(width) as f64 * largest).round() as usize).max(1);
        let mut mask = vec![0.0f32; rows.len() * height * width];
        for (mask, row) in mask.chunks_mut(height * width).zip(rows) {
            let mut generator = self.seed.stream(row.sample as u64);
            let side = generator.random_range(1..=longest);
            let top = generator.random_range(0..=height - side);
            let left = generator.random_range(0..=width - side);
            for line in mask.chunks_mut(width).skip(top).take(side) {
                line[left..left + side].fill(1.0);
            }
        }
        let mask = TensorData::new(mask, [rows.len(), 1, height, width]);
        Tensor::from_data(mask, (&like.device(), like.dtype()))
    }

    /// `change` returns w, `[rows, 1, h, w]` or `[rows, c, h, w]`, and the changed pictures, `[rows, c, h, w]`.
    pub(crate) fn values(
        &self,
        subject: &Subject<'_>,
        change: impl Fn(&[Row]) -> Result<(Tensor<4>, Tensor<4>)>,
    ) -> Result<Vec<Option<f64>>> {
        let images = subject.images();
        let [count, _, height, width] = images.dims();
        let map = match self.unit {
            MapUnit::Score => {
                let values = TensorData::new(subject.pixel_values()?.concat(), [count, 1, height, width]);
                Tensor::from_data(values, (&images.device(), images.dtype()))
            }
            MapUnit::ScorePerInput => subject.attribution().map.clone().inner(),
        };
        let scores = &subject.attribution().scores;
        let mut changes = vec![Vec::with_capacity(self.samples); count];
        subject.batches().run(count, self.samples, |rows| {
            let (weights, changed) = change(rows)?;
            let products = read(select_images(&map, rows.iter().map(|row| row.image)) * weights)?;
            let after = subject.scores(changed, rows)?;
            let products = products.chunks(products.len() / rows.len());
            for ((row, product), after) in rows.iter().zip(products).zip(after) {
                let said: f64 = product.iter().map(|value| f64::from(*value)).sum();
                changes[row.image].push((said, f64::from(scores[row.image]) - f64::from(after)));
            }
            Ok(())
        })?;
        Ok(changes.iter().map(|changes| Some(self.value(changes))).collect())
    }

    /// Of what the map says and what the score does.
    fn value(&self, changes: &[(f64, f64)]) -> f64 {
        let mean = |value: fn(f64, f64) -> f64| {
            changes.iter().map(|(said, done)| value(*said, *done)).sum::<f64>() / changes.len() as f64
        };
        let (said, both, done) = (mean(|said, _| said * said), mean(|said, done| said * done), mean(|_, d| d * d));
        let factor = match self.scaled {
            false => 1.0,
            true if said > 0.0 => (both / said).max(0.0),
            true => return done,
        };
        let error = |(said, done): &(f64, f64)| (factor * said - done).powi(2);
        changes.iter().map(error).sum::<f64>() / changes.len() as f64
    }
}

impl Metric for Infidelity {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Yeh et al. 2019, https://arxiv.org/abs/1901.09392"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        self.check()?;
        let images = subject.images();
        let of = |rows: &[Row], tensor: &Tensor<4>| select_images(tensor, rows.iter().map(|row| row.image));
        let values = match &self.change {
            Change::Square { largest, baseline } => {
                let baseline = baseline.of(images)?;
                self.values(subject, |rows| {
                    let mask = self.squares(*largest, rows, images);
                    let (images, baseline) = (of(rows, images), of(rows, &baseline));
                    let changed = images.clone() * (mask.clone().neg() + 1.0) + baseline.clone() * mask.clone();
                    let weights = match self.unit {
                        MapUnit::Score => mask,
                        MapUnit::ScorePerInput => (images - baseline) * mask,
                    };
                    Ok((weights, changed))
                })?
            }
            Change::Noise { deviation } => {
                let [_, channels, height, width] = images.dims();
                self.values(subject, |rows| {
                    let noise = rows.iter().map(|row| {
                        let shape = [1, channels, height, width];
                        self.seed.normal(row.sample as u64, shape, &images.device()).cast(images.dtype())
                    });
                    let noise = Tensor::cat(noise.collect(), 0) * *deviation;
                    Ok((noise.clone(), of(rows, images) - noise))
                })?
            }
        };
        Ok(vec![Reading::new(Self::NAME, Direction::Lower, values)])
    }
}
