//! Layers: what they compute, what shape comes out, and their exact gradient.

mod affine;
mod arrange;
mod batch_norm;
mod convolution;
mod function;
mod layer_norm;
mod linear;
mod pooling;

pub use affine::Affine;
pub use arrange::{Pad, Resample, Select};
pub use batch_norm::BatchNorm;
pub use convolution::Convolution;
pub use function::Function;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use pooling::{AdaptiveAveragePool, AveragePool, MaxPool};

use burn::tensor::{DType, Int, Tensor, activation};

use crate::{
    Activation, Step,
    activation::{both, each},
};
use arrange::axis_of;

/// One operation of a network.
///
/// Axes are counted as in the tensors: the batch is axis 0, and no layer touches it.
// A network has tens of layers: boxing the larger ones would save kilobytes and cost every caller a `Box::new`.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Layer {
    /// The pictures. Every network has exactly one, made by the builder.
    Input,
    /// Values that do not depend on the pictures, with a batch axis of size 1: a class token, position embeddings.
    Constant(Activation),
    /// Convolution in two dimensions.
    Convolution(Convolution),
    /// Fully connected layer on the last axis.
    Linear(Linear),
    /// max(x, 0)
    Relu,
    /// Another function of every value.
    Function(Function),
    /// Largest value of every window.
    MaxPool(MaxPool),
    /// Mean of every window.
    AveragePool(AveragePool),
    /// Mean of as many windows as the output has places.
    AdaptiveAveragePool(AdaptiveAveragePool),
    /// Mean over some axes, which keep size 1.
    Mean {
        /// Which axes.
        axes: Vec<usize>,
    },
    /// Batch normalisation with its running statistics, as in evaluation.
    BatchNorm(BatchNorm),
    /// Layer normalisation over the last axis.
    LayerNorm(LayerNorm),
    /// Everything to a vector.
    Flatten,
    /// The same values row by row in another shape (batch left out).
    Reshape {
        /// The new shape, from one size (a vector) to five.
        shape: Vec<usize>,
    },
    /// The axes in another order: axis i of the output is axis `axes[i]` of the input. `axes[0]` is 0.
    Transpose {
        /// The order, the batch included.
        axes: Vec<usize>,
    },
    /// Some places along an axis.
    Select(Select),
    /// A border along an axis.
    Pad(Pad),
    /// A map at another size.
    Resample(Resample),
    /// Does nothing: a classifier that is being explained is not being trained. Kept so that names stay those of the
    /// original.
    Dropout,
    /// Sum of all inputs (skip connections). Inputs of one rank; axes of size 1 are repeated.
    Sum,
    /// Product of two inputs, value by value (gates, squeeze and excitation). Axes of size 1 are repeated.
    Product,
    /// Product of two inputs as matrices over their last two axes (attention). Other axes of size 1 are repeated.
    MatrixProduct,
    /// All inputs one behind the other along an axis.
    Concatenation {
        /// The axis; 1 for channels or features.
        axis: usize,
    },
    /// Softmax along an axis.
    Softmax {
        /// The axis; 1 for channels or features.
        axis: usize,
    },
}

impl Layer {
    /// What kind of layer this is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Constant(_) => "constant",
            Self::Convolution(_) => "convolution",
            Self::Linear(_) => "linear",
            Self::Relu => "ReLU",
            Self::Function(function) => function.name(),
            Self::MaxPool(_) => "max pool",
            Self::AveragePool(_) => "average pool",
            Self::AdaptiveAveragePool(_) => "adaptive average pool",
            Self::Mean { .. } => "mean",
            Self::BatchNorm(_) => "batch norm",
            Self::LayerNorm(_) => "layer norm",
            Self::Flatten => "flatten",
            Self::Reshape { .. } => "reshape",
            Self::Transpose { .. } => "transpose",
            Self::Select(_) => "select",
            Self::Pad(_) => "pad",
            Self::Resample(_) => "resample",
            Self::Dropout => "dropout",
            Self::Sum => "sum",
            Self::Product => "product",
            Self::MatrixProduct => "matrix product",
            Self::Concatenation { .. } => "concatenation",
            Self::Softmax { .. } => "softmax",
        }
    }

    /// How many numbers it holds.
    pub fn parameters(&self) -> usize {
        let bias = |bias: &Option<Tensor<1>>| bias.as_ref().map_or(0, |bias| bias.shape().num_elements());
        match self {
            Self::Convolution(layer) => layer.weight.shape().num_elements() + bias(&layer.bias),
            Self::Linear(layer) => layer.weight.shape().num_elements() + bias(&layer.bias),
            Self::BatchNorm(layer) => 4 * layer.weight.shape().num_elements(),
            Self::LayerNorm(layer) => 2 * layer.weight.shape().num_elements(),
            Self::Constant(values) => values.dims().iter().product(),
            _ => 0,
        }
    }

    /// The number format of its weights, if it has any.
    pub(crate) fn dtype(&self) -> Option<DType> {
        match self {
            Self::Convolution(layer) => Some(layer.weight.dtype()),
            Self::Linear(layer) => Some(layer.weight.dtype()),
            Self::BatchNorm(layer) => Some(layer.weight.dtype()),
            Self::LayerNorm(layer) => Some(layer.weight.dtype()),
            Self::Resample(layer) => Some(layer.rows.dtype()),
            Self::Constant(values) => Some(values.dtype()),
            _ => None,
        }
    }

    /// The same layer with its weights in another number format.
    pub(crate) fn cast(&self, dtype: DType) -> Self {
        match self.clone() {
            Self::Constant(values) => Self::Constant(each!(values, x => x.cast(dtype))),
            Self::Convolution(layer) => Self::Convolution(Convolution {
                weight: layer.weight.cast(dtype),
                bias: layer.bias.map(|bias| bias.cast(dtype)),
                ..layer
            }),
            Self::Linear(layer) => {
                Self::Linear(Linear { weight: layer.weight.cast(dtype), bias: layer.bias.map(|bias| bias.cast(dtype)) })
            }
            Self::BatchNorm(layer) => Self::BatchNorm(BatchNorm {
                weight: layer.weight.cast(dtype),
                bias: layer.bias.cast(dtype),
                mean: layer.mean.cast(dtype),
                variance: layer.variance.cast(dtype),
                ..layer
            }),
            Self::LayerNorm(layer) => {
                Self::LayerNorm(LayerNorm { weight: layer.weight.cast(dtype), bias: layer.bias.cast(dtype), ..layer })
            }
            Self::Resample(layer) => {
                Self::Resample(Resample { rows: layer.rows.cast(dtype), columns: layer.columns.cast(dtype) })
            }
            other => other,
        }
    }

    /// Whether the output holds the input's values unchanged and in order, so that nothing new is stored.
    pub(crate) fn renames(&self) -> bool {
        matches!(self, Self::Flatten | Self::Reshape { .. } | Self::Dropout)
    }

    /// Fewest and most inputs.
    pub(crate) fn arity(&self) -> (usize, usize) {
        match self {
            Self::Input | Self::Constant(_) => (0, 0),
            Self::Sum | Self::Concatenation { .. } => (2, usize::MAX),
            Self::Product | Self::MatrixProduct => (2, 2),
            _ => (1, 1),
        }
    }

    /// The output's shape without the batch, or what does not fit. Everything that could make a tensor operation panic
    /// is refused here.
    pub fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let first = inputs.first().copied().unwrap_or_default();
        let shape = match self {
            Self::Input => return Err("the input has no inputs".into()),
            Self::Constant(values) => match values.dims()[..] {
                [1, ref shape @ ..] => shape.to_vec(),
                ref dims => return Err(format!("its values have shape {dims:?}, their batch axis must be 1")),
            },
            Self::Convolution(layer) => layer.output_shape(first)?,
            Self::Linear(layer) => layer.output_shape(first)?,
            Self::MaxPool(layer) => layer.output_shape(first)?,
            Self::AveragePool(layer) => layer.output_shape(first)?,
            Self::AdaptiveAveragePool(layer) => layer.output_shape(first)?,
            Self::BatchNorm(layer) => layer.output_shape(first)?,
            Self::LayerNorm(layer) => layer.output_shape(first)?,
            Self::Select(layer) => layer.output_shape(first)?,
            Self::Pad(layer) => layer.output_shape(first)?,
            Self::Resample(layer) => layer.output_shape(first)?,
            Self::Relu | Self::Function(_) | Self::Dropout => first.to_vec(),
            Self::Softmax { axis } => axis_of(*axis, first).map(|_| first.to_vec())?,
            Self::Mean { axes } => {
                let mut shape = first.to_vec();
                for axis in axes {
                    shape[axis_of(*axis, first)?] = 1;
                }
                shape
            }
            Self::Flatten => vec![first.iter().product()],
            Self::Reshape { shape } => reshaped(first, shape)?,
            Self::Transpose { axes } => transposed(first, axes)?,
            Self::Sum => repeated(inputs, "added")?,
            Self::Product => repeated(inputs, "multiplied")?,
            Self::MatrixProduct => matrix_product(inputs)?,
            Self::Concatenation { axis } => concatenated(inputs, *axis)?,
        };
        match shape.len() {
            1..Activation::MAX_RANK => Ok(shape),
            _ => Err(format!(
                "its output would have shape {shape:?}; up to {} axes can be held",
                Activation::MAX_RANK - 1
            )),
        }
    }

    /// Computes the output.
    ///
    /// # Panics
    /// Where [`output_shape`](Self::output_shape) would have refused the inputs.
    pub fn forward(&self, inputs: &[&Activation]) -> Activation {
        let input = || inputs[0].clone();
        let all = || inputs.iter().map(|input| (*input).clone());
        match self {
            Self::Input => unreachable!("the input is given, not computed"),
            Self::Constant(values) => values.clone(),
            Self::Convolution(layer) => Activation::Map(layer.forward(map(input()))),
            Self::Linear(layer) => layer.forward(input()),
            Self::Relu => input().relu(),
            Self::Function(function) => function.apply(input()),
            Self::MaxPool(layer) => Activation::Map(layer.forward(map(input()))),
            Self::AveragePool(layer) => Activation::Map(layer.forward(map(input()))),
            Self::AdaptiveAveragePool(layer) => Activation::Map(layer.forward(map(input()))),
            Self::Mean { axes } => axes.iter().fold(input(), |mean, axis| each!(mean, x => x.mean_dim(*axis))),
            Self::BatchNorm(layer) => layer.forward(input()),
            Self::LayerNorm(layer) => layer.forward(input()),
            Self::Flatten => Activation::Vector(input().flatten()),
            Self::Reshape { shape } => with_batch(input(), shape),
            Self::Transpose { axes } => input().permute(axes),
            Self::Select(layer) => layer.forward(input()),
            Self::Pad(layer) => layer.forward(input()),
            Self::Resample(layer) => Activation::Map(layer.forward(map(input()))),
            Self::Dropout => input(),
            Self::Sum => all().reduce(|sum, other| sum + other).expect("a sum has inputs"),
            Self::Product => all().reduce(Activation::multiply).expect("a product has inputs"),
            Self::MatrixProduct => all().reduce(Activation::matmul).expect("a product has inputs"),
            Self::Concatenation { axis } => concatenate(inputs, *axis),
            Self::Softmax { axis } => each!(input(), x => activation::softmax(x, *axis)),
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
            Self::Constant(_) => return Vec::new(),
            Self::Convolution(layer) => Activation::Map(layer.backward(&input_map().dims(), map(upstream))),
            Self::Linear(layer) => layer.backward(upstream),
            Self::Relu => upstream.where_positive(step.output()),
            Self::Function(function) => function.backward(step.input(0), upstream),
            Self::MaxPool(layer) => Activation::Map(layer.backward(input_map(), map(upstream), step.switches())),
            Self::AveragePool(layer) => Activation::Map(layer.backward(input_map(), map(upstream))),
            Self::AdaptiveAveragePool(layer) => Activation::Map(layer.backward(&input_map().dims(), map(upstream))),
            Self::Mean { axes } => {
                let sizes = step.input(0).dims();
                let count: usize = axes.iter().map(|axis| sizes[*axis]).product();
                each!(upstream, g => {
                    let mut dims = g.dims();
                    dims.copy_from_slice(&sizes);
                    (g / count as f64).expand(dims)
                })
            }
            Self::BatchNorm(layer) => layer.backward(upstream),
            Self::LayerNorm(layer) => layer.backward(step.input(0).clone(), upstream),
            Self::Flatten | Self::Reshape { .. } => upstream.reshape(&step.input(0).dims()),
            Self::Transpose { axes } => upstream.permute(&inverse(axes)),
            Self::Select(layer) => layer.backward(&step.input(0).dims(), upstream),
            Self::Pad(layer) => layer.backward(&step.input(0).dims(), upstream),
            Self::Resample(layer) => Activation::Map(layer.backward(map(upstream))),
            Self::Dropout => upstream,
            Self::Sum => {
                return (0..step.input_count()).map(|i| upstream.clone().sum_to(&step.input(i).dims())).collect();
            }
            Self::Product => {
                let other = |index: usize| upstream.clone().multiply(step.input(index).clone());
                return vec![other(1).sum_to(&step.input(0).dims()), other(0).sum_to(&step.input(1).dims())];
            }
            // Y = A B: dA = G Bᵀ, dB = Aᵀ G
            Self::MatrixProduct => {
                let (a, b) = (step.input(0), step.input(1));
                let left = upstream.clone().matmul(b.clone().transpose()).sum_to(&a.dims());
                return vec![left, a.clone().transpose().matmul(upstream).sum_to(&b.dims())];
            }
            Self::Concatenation { axis } => return split(step, upstream, *axis),
            // y = softmax(x): dx = y (g − Σ g y)
            Self::Softmax { axis } => both!(upstream, step.output().clone(), g, y => {
                (g.clone() - (g * y.clone()).sum_dim(*axis)) * y
            }),
        };
        vec![only]
    }
}

/// The map that the shape check has promised.
fn map(activation: Activation) -> Tensor<4> {
    match activation {
        Activation::Map(tensor) => tensor,
        other => unreachable!("shapes were checked, yet {:?} arrived", other.dims()),
    }
}

/// All inputs one behind the other; constants are repeated for every picture.
fn concatenate(inputs: &[&Activation], axis: usize) -> Activation {
    let count = inputs.iter().map(|input| input.dims()[0]).max().unwrap_or(0);
    let repeated = inputs.iter().map(|input| {
        each!((*input).clone(), x => {
            let mut dims = x.dims();
            dims[0] = count;
            x.expand(dims)
        })
    });
    let mut repeated: Vec<Activation> = repeated.collect();
    let first = repeated.remove(0);
    repeated.into_iter().fold(first, |joined, next| both!(joined, next, a, b => Tensor::cat(vec![a, b], axis)))
}

/// Gives every input of a concatenation its own part back.
fn split(step: &Step<'_>, upstream: Activation, axis: usize) -> Vec<Activation> {
    let mut start = 0;
    (0..step.input_count())
        .map(|index| {
            let dims = step.input(index).dims();
            let part = upstream.clone().slice(axis, start, dims[axis]);
            start += dims[axis];
            part.sum_to(&dims)
        })
        .collect()
}

/// A shape without batch for an activation with one.
fn with_batch(input: Activation, shape: &[usize]) -> Activation {
    let count = input.dims()[0];
    input.reshape(&[&[count], shape].concat())
}

/// The order that undoes an order of axes.
fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; axes.len()];
    axes.iter().enumerate().for_each(|(to, from)| inverse[*from] = to);
    inverse
}

fn reshaped(input: &[usize], shape: &[usize]) -> Result<Vec<usize>, String> {
    let count = |shape: &[usize]| shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    match count(input) == count(shape) {
        true => Ok(shape.to_vec()),
        false => Err(format!("its input of shape {input:?} cannot take the shape {shape:?}")),
    }
}

fn transposed(input: &[usize], axes: &[usize]) -> Result<Vec<usize>, String> {
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    if axes.first() != Some(&0) || sorted != (0..=input.len()).collect::<Vec<_>>() {
        return Err(format!("{axes:?} is no order of the axes of {input:?} behind the batch, which is axis 0"));
    }
    Ok(axes[1..].iter().map(|axis| input[axis - 1]).collect())
}

/// The shape of several inputs of which axes of size 1 are repeated.
fn repeated(inputs: &[&[usize]], verb: &str) -> Result<Vec<usize>, String> {
    let mut shape = inputs[0].to_vec();
    for other in &inputs[1..] {
        let fits = |(a, b): (&usize, &usize)| a == b || *a == 1 || *b == 1;
        if shape.len() != other.len() || !shape.iter().zip(*other).all(fits) {
            return Err(format!("its inputs have shapes {:?} and {other:?}, which cannot be {verb}", inputs[0]));
        }
        shape.iter_mut().zip(*other).for_each(|(size, other)| *size = if *size == 1 { *other } else { *size });
    }
    Ok(shape)
}

fn matrix_product(inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    let (a, b) = (inputs[0], inputs[1]);
    let rank = a.len();
    if rank < 2 || b.len() != rank || a[rank - 1] != b[rank - 2] {
        return Err(format!("its inputs have shapes {a:?} and {b:?}, which are no matrices to be multiplied"));
    }
    let outer = match rank {
        2 => Vec::new(),
        _ => repeated(&[&a[..rank - 2], &b[..rank - 2]], "multiplied as matrices")?,
    };
    Ok([&outer[..], &[a[rank - 2], b[rank - 1]]].concat())
}

fn concatenated(inputs: &[&[usize]], axis: usize) -> Result<Vec<usize>, String> {
    let first = inputs[0];
    let axis = axis_of(axis, first)?;
    let fits = |shape: &[usize]| {
        shape.len() == first.len() && (0..first.len()).all(|other| other == axis || shape[other] == first[other])
    };
    if let Some(other) = inputs.iter().find(|shape| !fits(shape)) {
        return Err(format!("its inputs {first:?} and {other:?} differ beyond the axis along which they are joined"));
    }
    let mut shape = first.to_vec();
    shape[axis] = inputs
        .iter()
        .try_fold(0usize, |sum, shape| sum.checked_add(shape[axis]))
        .ok_or("its output would be larger than any memory")?;
    Ok(shape)
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
