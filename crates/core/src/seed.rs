//! Randomness that does not depend on the backend.

use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use serde::{Deserialize, Serialize};

/// The start of every random number that a method draws.
///
/// Numbers are drawn on the host with ChaCha8 and copied to the device, because each backend has its own generator:
/// the same seed gives the same noise everywhere. A stream is an independent sequence under the same seed; methods use
/// one per sample, so sample 7 is the same whatever the batch size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The generator of one stream.
    pub fn stream(self, stream: u64) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::seed_from_u64(self.0);
        generator.set_stream(stream);
        generator
    }

    /// Draws from the normal distribution with mean 0 and variance 1.
    ///
    /// # Shapes
    /// - returns: `shape`
    pub fn normal<const D: usize>(self, stream: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
        self.draw(stream, shape, device, |generator| StandardNormal.sample(generator))
    }

    /// Draws uniformly from [0, 1).
    ///
    /// # Shapes
    /// - returns: `shape`
    pub fn uniform<const D: usize>(self, stream: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
        self.draw(stream, shape, device, |generator| StandardUniform.sample(generator))
    }

    fn draw<const D: usize>(
        self,
        stream: u64,
        shape: [usize; D],
        device: &Device,
        mut number: impl FnMut(&mut dyn Rng) -> f32,
    ) -> Tensor<D> {
        let shape = Shape::from(shape);
        let mut generator = self.stream(stream);
        let values: Vec<f32> = (0..shape.num_elements()).map(|_| number(&mut generator)).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn same_seed_same_numbers_and_streams_differ() {
        let device = Device::default();
        let draw = |seed, stream| Seed(seed).normal(stream, [3, 4], &device).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(draw(0, 0), draw(0, 0));
        assert_ne!(draw(0, 0), draw(0, 1));
        assert_ne!(draw(0, 0), draw(1, 0));
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let device = Device::default();
        let numbers = Seed(3).normal(0, [40_000], &device).into_data().try_to_vec::<f32>().unwrap();
        let mean = numbers.iter().sum::<f32>() / 40_000.0;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 40_000.0;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "mean {mean}, variance {variance}");
        let numbers = Seed(3).uniform(0, [1000], &device).into_data().try_to_vec::<f32>().unwrap();
        assert!(numbers.iter().all(|x| (0.0..1.0).contains(x)));
    }
}
