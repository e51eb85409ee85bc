#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod path;

use burn::tensor::Tensor;
use burnsight_core::{
    Attribution, Attributor, Baseline, Completeness, Differentiable, Error, InputGradient, MicroBatcher, Provenance,
    Result, Target, check_images, read,
};
use path::Path;
use serde_json::json;

/// Settings of [`GuidedIntegratedGradients`]. The defaults are those of the authors' code.
#[derive(Debug, Clone)]
pub struct GuidedIntegratedGradientsConfig {
    /// Gradients on the path, each of which decides where it goes next. Default: 200.
    pub steps: usize,
    /// Share of the features, those with the smallest slopes, that move first. Default: 0.25.
    pub fraction: f64,
    /// How far a feature may be ahead of the straight line or behind it, as a share of its own way. 0 is the straight
    /// line, 1 leaves the path free. Default: 0.02.
    pub max_distance: f64,
    /// Where the path starts. Default: zero, the mean colour of the training pictures of most models.
    pub baseline: Baseline,
}

impl Default for GuidedIntegratedGradientsConfig {
    fn default() -> Self {
        Self { steps: 200, fraction: 0.25, max_distance: 0.02, baseline: Baseline::Zero }
    }
}

impl GuidedIntegratedGradientsConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no steps, a fraction that is not above 0 and at most 1, a distance that is not from 0
    /// to 1, or an empty set of baselines.
    pub fn init(self) -> Result<GuidedIntegratedGradients> {
        if self.steps == 0 {
            return Err(Error::parameter("steps", 0, "the path has at least 1 step"));
        }
        // Not `<=`, so that NaN is refused too.
        if !(self.fraction > 0.0 && self.fraction <= 1.0) {
            return Err(Error::parameter("fraction", self.fraction, "a share of the features above 0 and at most 1"));
        }
        if !(0.0..=1.0).contains(&self.max_distance) {
            return Err(Error::parameter("max_distance", self.max_distance, "a share of the way, from 0 to 1"));
        }
        if self.baseline.count() == 0 {
            return Err(Error::parameter("baseline", "a set of 0 pictures", "at least 1 is needed"));
        }
        Ok(GuidedIntegratedGradients { config: self, batches: MicroBatcher::default() })
    }
}

/// The gradient integrated along a path that goes, near the straight line, where the score changes least.
#[derive(Debug, Clone)]
pub struct GuidedIntegratedGradients {
    config: GuidedIntegratedGradientsConfig,
    batches: MicroBatcher,
}

impl GuidedIntegratedGradients {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "guided-integrated-gradients";

    /// The same with other batches: how many pictures take a step at once, and who is told of the progress. The steps
    /// of one picture cannot share a batch.
    pub fn with_batches(mut self, batches: MicroBatcher) -> Self {
        self.batches = batches;
        self
    }
}

impl<M: Differentiable + ?Sized> Attributor<M> for GuidedIntegratedGradients {
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        check_images(&images)?;
        let images = images.inner();
        let [count, ..] = images.dims();
        let GuidedIntegratedGradientsConfig { steps, fraction, max_distance, baseline } = &self.config;
        let baselines = baseline.count();
        let path = |picture: usize, index: usize| {
            let image = images.clone().slice_dim(0, picture..picture + 1);
            Path::new(baseline.nth(&image, index)?, image)
        };
        let mut paths = (0..count).map(|picture| path(picture, 0)).collect::<Result<Vec<_>>>()?;
        // The picture itself decides what is explained on its whole path, and ends it.
        let InputGradient { gradient: at_the_end, scores, target } = model.gradient(images.clone(), target)?;

        let mut maps = vec![images.clone().slice_dim(0, 0..1).zeros_like(); count];
        let mut differences: Vec<f64> = scores.iter().copied().map(f64::from).collect();
        // Steps in the place of pictures: every picture takes one before the next is taken.
        self.batches.run(baselines * steps, count, |rows| {
            // No picture twice at once: where it goes depends on its last gradient.
            for rows in rows.chunks(count) {
                let of = || rows.iter().map(|row| row.sample);
                let points = Tensor::cat(of().map(|picture| paths[picture].point()).collect(), 0);
                let InputGradient { gradient, scores, .. } = model.gradient(points, &target.select(of()))?;
                for (index, (row, score)) in rows.iter().zip(scores).enumerate() {
                    let (number, step, picture) = (row.image / steps, row.image % steps, row.sample);
                    let share = (step + 1) as f64 / *steps as f64;
                    let gradient = gradient.clone().slice_dim(0, index..index + 1);
                    let mut term = paths[picture].step(gradient, share, &self.config)?;
                    if step == 0 {
                        differences[picture] -= f64::from(score) / baselines as f64;
                    }
                    if step + 1 == *steps {
                        term = term + paths[picture].end(at_the_end.clone().slice_dim(0, picture..picture + 1));
                        if number + 1 < baselines {
                            paths[picture] = path(picture, number + 1)?;
                        }
                    }
                    maps[picture] = maps[picture].clone() + term / baselines as f64;
                }
            }
            Ok(())
        })?;

        let completeness = |(map, difference): (&Tensor<4>, f64)| {
            let sum: f64 = read(map.clone())?.into_iter().map(f64::from).sum();
            Ok(Completeness { sum: sum as f32, difference: difference as f32 })
        };
        let completeness = maps.iter().zip(differences).map(completeness).collect::<Result<_>>()?;
        let parameters = json!({
            "steps": steps,
            "fraction": fraction,
            "max-distance": max_distance,
            "baseline": baseline,
        });
        let provenance = Provenance::new(Self::NAME, parameters, &images.device());
        let map = Tensor::cat(maps, 0);
        Ok(Attribution { map, scores, target, completeness: Some(completeness), standard_error: None, provenance })
    }
}

#[cfg(test)]
mod tests;
