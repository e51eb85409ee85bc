#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use burn::tensor::Tensor;
use burnsight_core::{
    Attribution, Attributor, Completeness, Differentiable, Error, InputGradient, MicroBatcher, Provenance, Result, Row,
    Target, check_images, gaussian_blur, read, select_images,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Settings of [`BlurIntegratedGradients`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlurIntegratedGradientsConfig {
    /// Parts into which the path is cut. Default: 50.
    pub steps: usize,
    /// Standard deviation of the blur where the path starts, in pixels. Default: 50, as in the authors' code: little
    /// is left of a picture of 224 pixels but its colours.
    pub max_sigma: f64,
}

impl Default for BlurIntegratedGradientsConfig {
    fn default() -> Self {
        Self { steps: 50, max_sigma: 50.0 }
    }
}

impl BlurIntegratedGradientsConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no steps, or a blur that is not above 0 and at most
    /// [`LARGEST_SIGMA`](BlurIntegratedGradients::LARGEST_SIGMA).
    pub fn init(self) -> Result<BlurIntegratedGradients> {
        if self.steps == 0 {
            return Err(Error::parameter("steps", 0, "the path has at least 1 step"));
        }
        let largest = BlurIntegratedGradients::LARGEST_SIGMA;
        // Not `<=`, so that NaN is refused too.
        if !(self.max_sigma > 0.0 && self.max_sigma <= largest) {
            let requirement = format!("a number of pixels above 0 and at most {largest}");
            return Err(Error::parameter("max_sigma", self.max_sigma, &requirement));
        }
        Ok(BlurIntegratedGradients { config: self, batches: MicroBatcher::default() })
    }
}

/// The gradient integrated along the path on which the picture comes into focus.
#[derive(Debug, Clone)]
pub struct BlurIntegratedGradients {
    config: BlurIntegratedGradientsConfig,
    batches: MicroBatcher,
}

impl BlurIntegratedGradients {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "blur-integrated-gradients";

    /// A blur in pixels beyond which nothing changes in pictures that a network can take, but the time it takes.
    pub const LARGEST_SIGMA: f64 = 1000.0;

    /// The same with other batches: how many steps are in memory at once, and who is told of the progress.
    pub fn with_batches(mut self, batches: MicroBatcher) -> Self {
        self.batches = batches;
        self
    }

    /// σ_k, falling from `max_sigma` at k = 0 to 0 at k = `steps`, in equal parts of ln(1 + σ).
    fn sigma(&self, k: usize) -> f64 {
        let left = (self.config.steps - k) as f64 / self.config.steps as f64;
        (left * self.config.max_sigma.ln_1p()).exp_m1()
    }
}

impl<M: Differentiable + ?Sized> Attributor<M> for BlurIntegratedGradients {
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        check_images(&images)?;
        let images = images.inner();
        let BlurIntegratedGradientsConfig { steps, max_sigma } = self.config;
        // The picture in focus decides what is explained on its whole path.
        let InputGradient { scores, target, .. } = model.gradient(images.clone(), target)?;
        let start_scores = model.gradient(gaussian_blur(images.clone(), self.sigma(0)), &target)?.scores;

        let mut maps = vec![images.clone().slice_dim(0, 0..1).zeros_like(); scores.len()];
        self.batches.run(scores.len(), steps, |rows| {
            let blurred = |after: usize| {
                let blur =
                    |row: &Row| gaussian_blur(select_images(&images, [row.image]), self.sigma(row.sample + after));
                Tensor::cat(rows.iter().map(blur).collect(), 0)
            };
            let (from, to) = (blurred(0), blurred(1));
            let middle = (from.clone() + to.clone()) * 0.5;
            let gradient = model.gradient(middle, &target.select(rows.iter().map(|row| row.image)))?.gradient;
            let terms = gradient * (to - from);
            for (index, row) in rows.iter().enumerate() {
                let map = &mut maps[row.image];
                *map = map.clone() + terms.clone().slice_dim(0, index..index + 1);
            }
            Ok(())
        })?;

        let completeness = |((map, score), start): ((&Tensor<4>, &f32), f32)| {
            let sum: f64 = read(map.clone())?.into_iter().map(f64::from).sum();
            Ok(Completeness { sum: sum as f32, difference: score - start })
        };
        let completeness = maps.iter().zip(&scores).zip(start_scores).map(completeness).collect::<Result<_>>()?;
        let parameters = json!({ "steps": steps, "max-sigma": max_sigma });
        let provenance = Provenance::new(Self::NAME, parameters, &images.device());
        let map = Tensor::cat(maps, 0);
        Ok(Attribution { map, scores, target, completeness: Some(completeness), standard_error: None, provenance })
    }
}

#[cfg(test)]
mod tests;
