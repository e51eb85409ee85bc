//! Layers: what they compute, what shape comes out, and their exact gradient.

mod batch_norm;
mod convolution;
mod linear;
mod pooling;

pub use batch_norm::BatchNorm;
pub use convolution::Convolution;
pub use linear::Linear;
pub use pooling::{AdaptiveAveragePool, AveragePool, MaxPool};

use burn::tensor::{DType, Int, Tensor, activation};

use crate::{Activation, Step};

/// One operation of a network.
// A network has tens of layers: boxing the larger ones would save kilobytes and cost every caller a `Box::new`.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Layer {
    /// The pictures. Every network has exactly one, made by the builder.
    Input,
    /// Convolution in two dimensions.
    Convolution(Convolution),
    /// Fully connected layer on vectors.
    Linear(Linear),
    /// max(x, 0)
    Relu,
    /// Largest value of every window.
    MaxPool(MaxPool),
    /// Mean of every window.
    AveragePool(AveragePool),
    /// Mean of as many windows as the output has places.
    AdaptiveAveragePool(AdaptiveAveragePool),
    /// Batch normalisation with its running statistics, as in evaluation.
    BatchNorm(BatchNorm),
    /// Map to vector.
    Flatten,
    /// Does nothing: a classifier that is being explained is not being trained. Kept so that names stay those of the
    /// original.
    Dropout,
    /// Sum of all inputs, which have one shape (skip connections).
    Sum,
    /// All inputs one behind the other along the channels (or features).
    Concatenation,
    /// Softmax over the channels (or features).
    Softmax,
}

impl Layer {
    /// What kind of layer this is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Convolution(_) => "convolution",
            Self::Linear(_) => "linear",
            Self::Relu => "ReLU",
            Self::MaxPool(_) => "max pool",
            Self::AveragePool(_) => "average pool",
            Self::AdaptiveAveragePool(_) => "adaptive average pool",
            Self::BatchNorm(_) => "batch norm",
            Self::Flatten => "flatten",
            Self::Dropout => "dropout",
            Self::Sum => "sum",
            Self::Concatenation => "concatenation",
            Self::Softmax => "softmax",
        }
    }

    /// The number format of its weights, if it has any.
    pub(crate) fn dtype(&self) -> Option<DType> {
        match self {
            Self::Convolution(layer) => Some(layer.weight.dtype()),
            Self::Linear(layer) => Some(layer.weight.dtype()),
            Self::BatchNorm(layer) => Some(layer.weight.dtype()),
            _ => None,
        }
    }

    /// Fewest and most inputs.
    pub(crate) fn arity(&self) -> (usize, usize) {
        match self {
            Self::Input => (0, 0),
            Self::Sum | Self::Concatenation => (2, usize::MAX),
            _ => (1, 1),
        }
    }

    /// The output's shape without the batch, or what does not fit. Everything that could make a tensor operation panic
    /// is refused here.
    pub(crate) fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let first = inputs.first().copied().unwrap_or_default();
        match self {
            Self::Input => Err("the input has no inputs".into()),
            Self::Convolution(layer) => layer.output_shape(first),
            Self::Linear(layer) => layer.output_shape(first),
            Self::MaxPool(layer) => layer.output_shape(first),
            Self::AveragePool(layer) => layer.output_shape(first),
            Self::AdaptiveAveragePool(layer) => layer.output_shape(first),
            Self::BatchNorm(layer) => layer.output_shape(first),
            Self::Relu | Self::Dropout | Self::Softmax => Ok(first.to_vec()),
            Self::Flatten => Ok(vec![first.iter().product()]),
            Self::Sum => match inputs.iter().find(|shape| **shape != first) {
                Some(other) => Err(format!("its inputs have shapes {first:?} and {other:?}, which cannot be added")),
                None => Ok(first.to_vec()),
            },
            Self::Concatenation => {
                let rest = |shape: &[usize]| shape[1..].to_vec();
                match inputs.iter().find(|shape| rest(shape) != rest(first)) {
                    Some(other) => Err(format!("its inputs {first:?} and {other:?} differ beyond the channels")),
                    None => {
                        let channels = inputs.iter().map(|shape| shape[0]).sum();
                        Ok([vec![channels], rest(first)].concat())
                    }
                }
            }
        }
    }

    /// Computes the output. Shapes were checked before.
    pub(crate) fn forward(&self, inputs: &[&Activation]) -> Activation {
        let input = || inputs[0].clone();
        match self {
            Self::Input => unreachable!("the input is given, not computed"),
            Self::Convolution(layer) => Activation::Map(layer.forward(map(input()))),
            Self::Linear(layer) => Activation::Vector(layer.forward(input().flatten())),
            Self::Relu => input().relu(),
            Self::MaxPool(layer) => Activation::Map(layer.forward(map(input()))),
            Self::AveragePool(layer) => Activation::Map(layer.forward(map(input()))),
            Self::AdaptiveAveragePool(layer) => Activation::Map(layer.forward(map(input()))),
            Self::BatchNorm(layer) => layer.forward(input()),
            Self::Flatten => Activation::Vector(input().flatten()),
            Self::Dropout => input(),
            Self::Sum => inputs[1..].iter().fold(input(), |sum, other| sum + (*other).clone()),
            Self::Concatenation => concatenate(inputs),
            Self::Softmax => match input() {
                Activation::Vector(x) => Activation::Vector(activation::softmax(x, 1)),
                Activation::Map(x) => Activation::Map(activation::softmax(x, 1)),
            },
        }
    }

    /// As [`forward`](Self::forward); a max pool also says which places won.
    pub(crate) fn record(&self, inputs: &[&Activation]) -> (Activation, Option<Tensor<4, Int>>) {
        match self {
            Self::MaxPool(layer) => {
                let (output, switches) = layer.forward_with_switches(map(inputs[0].clone()));
                (Activation::Map(output), Some(switches))
            }
            _ => (self.forward(inputs), None),
        }
    }

    /// The exact vector-Jacobian product: one gradient for every input.
    pub(crate) fn backward(&self, step: &Step<'_>, upstream: Activation) -> Vec<Activation> {
        let input_map = || map(step.input(0).clone());
        let only = match self {
            Self::Input => unreachable!("nothing lies before the input"),
            Self::Convolution(layer) => Activation::Map(layer.backward(&input_map().dims(), map(upstream))),
            Self::Linear(layer) => Activation::Vector(layer.backward(upstream.flatten())),
            Self::Relu => upstream.where_positive(step.output()),
            Self::MaxPool(layer) => Activation::Map(layer.backward(input_map(), map(upstream), step.switches())),
            Self::AveragePool(layer) => Activation::Map(layer.backward(input_map(), map(upstream))),
            Self::AdaptiveAveragePool(layer) => Activation::Map(layer.backward(&input_map().dims(), map(upstream))),
            Self::BatchNorm(layer) => layer.backward(upstream),
            Self::Flatten => upstream.reshape(&step.input(0).dims()),
            Self::Dropout => upstream,
            Self::Sum => return vec![upstream; step.input_count()],
            Self::Concatenation => return split(step, upstream),
            // y = softmax(x): dx = y (g − Σ g y)
            Self::Softmax => match (upstream, step.output().clone()) {
                (Activation::Vector(g), Activation::Vector(y)) => {
                    Activation::Vector((g.clone() - (g * y.clone()).sum_dim(1)) * y)
                }
                (g, y) => {
                    let (g, y) = (map(g), map(y));
                    Activation::Map((g.clone() - (g * y.clone()).sum_dim(1)) * y)
                }
            },
        };
        vec![only]
    }
}

/// The map that the shape check has promised.
fn map(activation: Activation) -> Tensor<4> {
    match activation {
        Activation::Map(tensor) => tensor,
        Activation::Vector(tensor) => unreachable!("shapes were checked, yet a vector {:?} arrived", tensor.dims()),
    }
}

fn concatenate(inputs: &[&Activation]) -> Activation {
    match inputs[0] {
        Activation::Map(_) => Activation::Map(Tensor::cat(inputs.iter().map(|x| map((*x).clone())).collect(), 1)),
        Activation::Vector(_) => {
            Activation::Vector(Tensor::cat(inputs.iter().map(|x| (*x).clone().flatten()).collect(), 1))
        }
    }
}

/// Gives every input of a concatenation its own channels back.
fn split(step: &Step<'_>, upstream: Activation) -> Vec<Activation> {
    let mut start = 0;
    (0..step.input_count())
        .map(|index| {
            let channels = step.input(index).dims()[1];
            let range = start..start + channels;
            start += channels;
            match upstream.clone() {
                Activation::Map(g) => Activation::Map(g.slice_dim(1, range)),
                Activation::Vector(g) => Activation::Vector(g.slice_dim(1, range)),
            }
        })
        .collect()
}

/// How a kernel or a pool slides over a map.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil_mode: bool,
}

impl Window {
    /// Beyond any picture; sums and products of such sizes cannot overflow.
    const LARGEST: usize = 1 << 16;

    /// Rows and columns of the output for a map of `size`, or why there are none.
    fn places(&self, size: [usize; 2]) -> Result<[usize; 2], String> {
        let Self { kernel, stride, padding, dilation, .. } = *self;
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err(format!(
                "kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} must all be at least 1"
            ));
        }
        let largest = [kernel, stride, padding, dilation, size].into_iter().flatten().max().unwrap_or(0);
        if largest > Self::LARGEST {
            return Err(format!("a size of {largest} is beyond the {} that are computed with", Self::LARGEST));
        }
        let rows = self.places_along(0, size[0])?;
        Ok([rows, self.places_along(1, size[1])?])
    }

    /// From the first to the last point that a window covers.
    fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    fn places_along(&self, axis: usize, size: usize) -> Result<usize, String> {
        let (reach, stride, padding) = (self.reach(axis), self.stride[axis], self.padding[axis]);
        let Some(span) = (size + 2 * padding).checked_sub(reach) else {
            return Err(format!(
                "a window of {reach} does not fit into {size} pixels with padding {padding}: the picture is too small"
            ));
        };
        let count = if self.ceil_mode { span.div_ceil(stride) } else { span / stride } + 1;
        // A window that would start in the padding behind the picture is dropped, as in torch.
        Ok(if self.ceil_mode && (count - 1) * stride >= size + padding { count - 1 } else { count })
    }

    /// For pools: with more padding a window could lie in it wholly.
    fn check_pool_padding(&self) -> Result<(), String> {
        match (0..2).any(|axis| self.padding[axis] * 2 > self.reach(axis)) {
            true => Err(format!("padding {:?} is more than half of the window {:?}", self.padding, self.kernel)),
            false => Ok(()),
        }
    }
}

/// Channels, height and width of a map, or a sentence about the vector.
fn as_map(shape: &[usize]) -> Result<[usize; 3], String> {
    <[usize; 3]>::try_from(shape)
        .map_err(|_| format!("it needs a map [channels, height, width], but its input has shape {shape:?}"))
}
