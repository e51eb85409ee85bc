//! Where weights come from.

mod description;
mod pth;
mod weight_file;

use burn::tensor::{Device, Shape, Tensor, TensorData};
use burnsight_core::{Result, Seed};
use rand_distr::{Distribution, StandardNormal};

pub use weight_file::WeightFile;

/// Gives a network under construction its weights, tensor by tensor, by name.
///
/// One construction serves both random weights and files, so the two cannot drift apart.
pub trait ParameterSource {
    /// The tensor of that name and shape.
    ///
    /// `standard_deviation` and `mean` describe the layer's own initialiser, a normal distribution (a constant when the
    /// deviation is 0).
    ///
    /// # Errors
    /// [`Error::Model`](burnsight_core::Error::Model) when there is none, or none that fits.
    fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        mean: f32,
        standard_deviation: f32,
    ) -> Result<Tensor<D>>;

    /// Called when the network is complete.
    ///
    /// # Errors
    /// [`Error::Model`](burnsight_core::Error::Model) when something was left over: weights that a network does not use
    /// belong to another network.
    fn finish(self) -> Result<()>;
}

/// Fresh weights, drawn on the host: the same on every backend.
#[derive(Debug)]
pub struct RandomParameters {
    seed: Seed,
    drawn: u64,
    device: Device,
}

impl RandomParameters {
    /// Every tensor gets its own stream of the seed.
    pub fn new(seed: Seed, device: &Device) -> Self {
        Self { seed, drawn: 0, device: device.clone() }
    }
}

impl ParameterSource for RandomParameters {
    fn tensor<const D: usize>(
        &mut self,
        _name: &str,
        shape: [usize; D],
        mean: f32,
        standard_deviation: f32,
    ) -> Result<Tensor<D>> {
        let mut generator = self.seed.stream(self.drawn);
        self.drawn += 1;
        let count = Shape::from(shape).num_elements();
        // Not even drawn when constant: a batch norm's ones must be exactly one.
        let values: Vec<f32> = match standard_deviation {
            0.0 => vec![mean; count],
            deviation => {
                let mut draw = || -> f32 { StandardNormal.sample(&mut generator) };
                (0..count).map(|_| mean + deviation * draw()).collect()
            }
        };
        Ok(Tensor::from_data(TensorData::new(values, shape), &self.device))
    }

    fn finish(self) -> Result<()> {
        Ok(())
    }
}
