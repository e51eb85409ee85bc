#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use burnsight_core::{
    Attribution, Attributor, Baseline, Completeness, Differentiable, Error, InputGradient, MicroBatcher, Moments,
    Provenance, Result, Seed, Target, check_images, read, select_images,
};
use rand::RngExt;
use serde_json::json;

/// Settings of [`ExpectedGradients`].
#[derive(Debug, Clone)]
pub struct ExpectedGradientsConfig {
    /// Draws of a baseline and a place on the way from it to the picture. Default: 200, as in SHAP.
    pub samples: usize,
    /// What the baselines are drawn from. Give it pictures of the training set: the default is what can be had without
    /// any, uniform noise in [−√3, √3), whose mean 0 and variance 1 are those of normalised pictures.
    pub baselines: Baseline,
    /// Where the draws start. Default: 0.
    pub seed: Seed,
}

impl Default for ExpectedGradientsConfig {
    fn default() -> Self {
        let high = 3.0f32.sqrt();
        Self { samples: 200, baselines: Baseline::Noise { low: -high, high, seed: Seed(0) }, seed: Seed(0) }
    }
}

impl ExpectedGradientsConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no samples, more than [`MOST_SAMPLES`](ExpectedGradients::MOST_SAMPLES), or an empty
    /// set of baselines.
    pub fn init(self) -> Result<ExpectedGradients> {
        let most = ExpectedGradients::MOST_SAMPLES;
        if !(1..=most).contains(&self.samples) {
            return Err(Error::parameter("samples", self.samples, &format!("1 to {most} draws can be averaged")));
        }
        if self.baselines.count() == 0 {
            return Err(Error::parameter("baselines", "a set of 0 pictures", "at least 1 is needed"));
        }
        Ok(ExpectedGradients { config: self, batches: MicroBatcher::default() })
    }
}

/// What one sample is made with, for every picture alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// Number of the baseline, as in [`Baseline::nth`].
    pub baseline: usize,
    /// Place on the way from the baseline, 0, to the picture, 1, which is not reached.
    pub position: f64,
}

/// Integrated gradients averaged over many baselines, baseline and place on the path drawn together.
#[derive(Debug, Clone)]
pub struct ExpectedGradients {
    config: ExpectedGradientsConfig,
    batches: MicroBatcher,
}

/// Noise baselines take the first streams, perhaps of the same seed; positions must not follow their pixels.
const FIRST_STREAM: u64 = 1 << 32;

impl ExpectedGradients {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "expected-gradients";

    /// More samples are refused.
    pub const MOST_SAMPLES: usize = 1_000_000;

    /// The same with other batches: how many samples are in memory at once, and who is told of the progress.
    pub fn with_batches(mut self, batches: MicroBatcher) -> Self {
        self.batches = batches;
        self
    }

    /// What sample number `sample` is made with: a picture of the set, each equally likely, or the noise of that
    /// number, and a place on the way, uniform in [0, 1).
    pub fn draw(&self, sample: usize) -> Draw {
        let mut generator = self.config.seed.stream(FIRST_STREAM + sample as u64);
        let position = generator.random();
        let baseline = match &self.config.baselines {
            Baseline::Noise { .. } => sample,
            baselines => generator.random_range(0..baselines.count()),
        };
        Draw { baseline, position }
    }

    /// f(x) − the mean of f(b) over the baselines that are drawn, for every picture.
    fn differences<M: Differentiable + ?Sized>(
        &self,
        model: &M,
        images: &Tensor<4>,
        scores: &[f32],
        target: &Target,
    ) -> Result<Vec<f64>> {
        let samples = self.config.samples;
        let mut drawn = BTreeMap::<usize, usize>::new();
        for sample in 0..samples {
            *drawn.entry(self.draw(sample).baseline).or_default() += 1;
        }
        let drawn: Vec<(usize, usize)> = drawn.into_iter().collect();
        let mut differences: Vec<f64> = scores.iter().copied().map(f64::from).collect();
        self.batches.run(scores.len(), drawn.len(), |rows| {
            let target = target.select(rows.iter().map(|row| row.image));
            let baselines = self.baselines(images, rows.iter().map(|row| (row.image, drawn[row.sample].0)))?;
            for (row, score) in rows.iter().zip(baseline_scores(model, baselines, &target)?) {
                differences[row.image] -= f64::from(score) * drawn[row.sample].1 as f64 / samples as f64;
            }
            Ok(())
        })?;
        Ok(differences)
    }

    /// Baselines by picture and number, one below the other.
    fn baselines(&self, images: &Tensor<4>, rows: impl Iterator<Item = (usize, usize)>) -> Result<Tensor<4>> {
        let baseline = |(picture, number): (usize, usize)| {
            self.config.baselines.nth(&images.clone().slice_dim(0, picture..picture + 1), number)
        };
        Ok(Tensor::cat(rows.map(baseline).collect::<Result<_>>()?, 0))
    }
}

impl<M: Differentiable + ?Sized> Attributor<M> for ExpectedGradients {
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        check_images(&images)?;
        let images = images.inner();
        let (device, dtype) = (images.device(), images.dtype());
        let ExpectedGradientsConfig { samples, baselines, seed } = &self.config;
        // The picture itself decides what is explained on every path.
        let InputGradient { scores, target, .. } = model.gradient(images.clone(), target)?;
        let differences = self.differences(model, &images, &scores, &target)?;

        let mut moments = vec![Moments::default(); scores.len()];
        self.batches.run(scores.len(), *samples, |rows| {
            let of = || rows.iter().map(|row| row.image);
            let draws: Vec<Draw> = rows.iter().map(|row| self.draw(row.sample)).collect();
            let starts = self.baselines(&images, of().zip(draws.iter().map(|draw| draw.baseline)))?;
            let positions: Vec<f64> = draws.iter().map(|draw| draw.position).collect();
            let positions = Tensor::from_data(TensorData::new(positions, [rows.len(), 1, 1, 1]), (&device, dtype));
            let way = select_images(&images, of()) - starts.clone();
            let points = starts + way.clone() * positions;
            let maps = way * model.gradient(points, &target.select(of()))?.gradient;
            for (index, row) in rows.iter().enumerate() {
                moments[row.image].add(maps.clone().slice_dim(0, index..index + 1));
            }
            Ok(())
        })?;

        let gather = |part: fn(&Moments) -> Option<Tensor<4>>| {
            let maps: Option<Vec<_>> = moments.iter().map(part).collect();
            maps.map(|maps| Tensor::cat(maps, 0))
        };
        let map = gather(Moments::mean).ok_or_else(|| Error::parameter("samples", samples, "no sample was drawn"))?;
        let sums = read(map.clone())?;
        let sums = sums.chunks(sums.len() / scores.len()).map(|map| map.iter().copied().map(f64::from).sum::<f64>());
        let completeness = sums.zip(differences);
        let completeness =
            completeness.map(|(sum, difference)| Completeness { sum: sum as f32, difference: difference as f32 });
        let parameters = json!({ "samples": samples, "baselines": baselines });
        Ok(Attribution {
            map,
            scores,
            target,
            completeness: Some(completeness.collect()),
            standard_error: gather(Moments::standard_error),
            provenance: Provenance::new(Self::NAME, parameters, &device).with_seed(*seed),
        })
    }
}

/// The scores without their gradient, unless the target is a hidden unit, which logits do not show.
fn baseline_scores<M: Differentiable + ?Sized>(model: &M, images: Tensor<4>, target: &Target) -> Result<Vec<f32>> {
    match target {
        Target::Unit { .. } => Ok(model.gradient(images, target)?.scores),
        _ => Ok(target.score(model.logits(images)?)?.values),
    }
}

#[cfg(test)]
mod tests;
