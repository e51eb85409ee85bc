#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use burn::tensor::Tensor;
use burnsight_core::{
    Attribution, Attributor, Classifier, Error, MicroBatcher, Moments, Provenance, Result, Seed, Target, check_images,
    select_images,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What is made of the maps of the noisy pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// Their mean, with sign: SmoothGrad. The only one with a standard error.
    #[default]
    Mean,
    /// The mean of their squares: SmoothGrad-squared (Hooker et al. 2019).
    MeanOfSquares,
    /// Their variance, E\[x²\] − E\[x\]²: VarGrad (Adebayo et al. 2018).
    Variance,
}

/// Settings of [`SmoothGrad`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SmoothGradConfig {
    /// Noisy copies of each picture. Default: 50, beyond which the paper saw little change.
    pub samples: usize,
    /// Standard deviation of the noise as a share of the picture's largest minus smallest value. Default: 0.15, the
    /// middle of the paper's 10 to 20 %.
    pub noise: f64,
    /// What is made of the maps. Default: their mean.
    pub statistic: Statistic,
    /// Where the noise starts. Default: 0.
    pub seed: Seed,
}

impl Default for SmoothGradConfig {
    fn default() -> Self {
        Self { samples: 50, noise: 0.15, statistic: Statistic::Mean, seed: Seed(0) }
    }
}

impl SmoothGradConfig {
    /// Checks the settings and wraps the method whose maps are to be averaged.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no samples, or noise that is negative or not a number.
    pub fn wrap<A>(self, inner: A) -> Result<SmoothGrad<A>> {
        if self.samples == 0 {
            return Err(Error::parameter("samples", 0, "at least 1 noisy copy of the picture is needed"));
        }
        if !self.noise.is_finite() || self.noise < 0.0 {
            return Err(Error::parameter("noise", self.noise, "a share of the picture's range, 0 or more"));
        }
        Ok(SmoothGrad { inner, config: self, batches: MicroBatcher::default() })
    }
}

/// The mean (or spread) of another method's maps over noisy copies of the picture.
#[derive(Debug, Clone)]
pub struct SmoothGrad<A> {
    inner: A,
    config: SmoothGradConfig,
    batches: MicroBatcher,
}

impl<A> SmoothGrad<A> {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "smoothgrad";

    /// The same with other batches: how many noisy pictures are in memory at once, and who is told of the progress.
    pub fn with_batches(mut self, batches: MicroBatcher) -> Self {
        self.batches = batches;
        self
    }

    /// σ for every picture, `[n, 1, 1, 1]`.
    fn deviation(&self, images: &Tensor<4>) -> Tensor<4> {
        let [count, ..] = images.dims();
        let flat = images.clone().flatten::<2>(1, 3);
        let range = flat.clone().max_dim(1) - flat.min_dim(1);
        (range * self.config.noise).reshape([count, 1, 1, 1])
    }
}

impl<M: Classifier + ?Sized, A: Attributor<M>> Attributor<M> for SmoothGrad<A> {
    /// The inner method's shapes and errors.
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        check_images(&images)?;
        let images = images.inner();
        let [count, channels, height, width] = images.dims();
        let SmoothGradConfig { samples, seed, .. } = self.config;
        // The clean picture decides what is explained; noise must not change the subject. Its score is reported too.
        let clean = self.inner.attribute(model, select_images(&images, 0..count), target)?;
        let target = clean.target;
        let deviation = self.deviation(&images);

        let mut moments = vec![Moments::default(); count];
        self.batches.run(count, samples, |rows| {
            let of = || rows.iter().map(|row| row.image);
            // One stream per sample, shared by all pictures: a picture's map does not depend on its company.
            let noise = rows.iter().map(|row| {
                seed.normal(row.sample as u64, [1, channels, height, width], &images.device()).cast(images.dtype())
            });
            let noise = Tensor::cat(noise.collect(), 0);
            let noisy = select_images(&images, of()) + noise * select_images(&deviation, of());
            let maps = self.inner.attribute(model, noisy, &target.select(of()))?.map;
            for (index, row) in rows.iter().enumerate() {
                moments[row.image].add(maps.clone().slice_dim(0, index..index + 1));
            }
            Ok(())
        })?;

        let gather = |part: fn(&Moments) -> Option<Tensor<4>>| {
            let maps: Option<Vec<_>> = moments.iter().map(part).collect();
            maps.map(|maps| Tensor::cat(maps, 0))
        };
        let (map, standard_error) = match self.config.statistic {
            Statistic::Mean => (gather(Moments::mean), gather(Moments::standard_error)),
            Statistic::MeanOfSquares => (gather(Moments::mean_of_squares), None),
            Statistic::Variance => (gather(Moments::variance), None),
        };
        let map = map.ok_or_else(|| Error::parameter("samples", samples, "no sample was drawn"))?;
        let parameters = json!({
            "of": clean.provenance.method,
            "parameters-of": clean.provenance.parameters,
            "samples": samples,
            "noise": self.config.noise,
            "statistic": self.config.statistic,
        });
        let provenance = Provenance::new(Self::NAME, parameters, &images.device()).with_seed(seed);
        Ok(Attribution { map, scores: clean.scores, target, completeness: None, standard_error, provenance })
    }
}

#[cfg(test)]
mod tests;
