//! Where weights come from.

use std::collections::BTreeSet;

use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use burnsight_core::{Error, Result, Seed};
use rand_distr::{Distribution, StandardNormal};
use safetensors::{Dtype, SafeTensors};

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
    /// [`Error::Model`] when there is none, or none that fits.
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
    /// [`Error::Model`] when something was left over: weights that a network does not use belong to another network.
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

/// A safetensors file in memory. Half precision (f16, bf16) and f64 become f32.
///
/// Nothing is loaded partially: a missing, misshapen, left-over or non-finite tensor refuses the whole file.
#[derive(Debug)]
pub struct WeightFile<'data> {
    name: String,
    tensors: SafeTensors<'data>,
    unused: BTreeSet<String>,
    device: Device,
}

impl<'data> WeightFile<'data> {
    /// Reads the file's header. `name` is for messages.
    ///
    /// # Errors
    /// [`Error::Model`] when this is not a whole safetensors file.
    pub fn safetensors(name: &str, bytes: &'data [u8], device: &Device) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| Error::model(name, format!("not a whole safetensors file: {error}")))?;
        let unused = tensors.names().into_iter().map(String::from).collect();
        Ok(Self { name: name.into(), tensors, unused, device: device.clone() })
    }

    /// The shape of a tensor, if the file has it: how an architecture is recognised.
    pub fn shape(&self, tensor: &str) -> Option<Vec<usize>> {
        self.tensors.tensor(tensor).ok().map(|view| view.shape().to_vec())
    }
}

impl ParameterSource for WeightFile<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, shape: [usize; D], _: f32, _: f32) -> Result<Tensor<D>> {
        let refuse = |problem: String| Error::model(&self.name, format!("{problem}; nothing was loaded"));
        let view = self.tensors.tensor(name).map_err(|_| refuse(format!("tensor {name} is missing")))?;
        if view.shape() != shape {
            return Err(refuse(format!("tensor {name} has shape {:?}, the network needs {shape:?}", view.shape())));
        }
        let dtype = match view.dtype() {
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            other => return Err(refuse(format!("tensor {name} holds {other:?}, weights are f16, bf16, f32 or f64"))),
        };
        let data = TensorData::from_bytes_vec(view.data().to_vec(), shape, dtype).convert::<f32>();
        if let Some(value) = data.iter::<f32>().find(|value| !value.is_finite()) {
            return Err(refuse(format!("tensor {name} contains {value}")));
        }
        self.unused.remove(name);
        Ok(Tensor::from_data(data, &self.device))
    }

    fn finish(self) -> Result<()> {
        // Counters of training steps, which batch norms store and evaluation does not need.
        let mut unused = self.unused.iter().filter(|name| !name.ends_with(".num_batches_tracked"));
        match unused.next() {
            None => Ok(()),
            Some(first) => {
                let others = unused.count();
                let problem = format!("tensor {first} (and {others} others) is not part of the network");
                Err(Error::model(&self.name, format!("{problem}; nothing was loaded")))
            }
        }
    }
}
