use burn::tensor::Tensor;

use super::{Convolution, Layer, Linear, map};
use crate::Activation;

/// A convolution or fully connected layer as what they have in common: outputs that are sums of weighted inputs, and a
/// bias. For rules that share something out among the weights, or replace them.
#[derive(Debug, Clone)]
pub enum Affine {
    /// Convolution in two dimensions.
    Convolution(Convolution),
    /// Fully connected layer on the last axis.
    Linear(Linear),
}

impl Affine {
    /// The weights of a convolution or linear layer; `None` for other layers.
    pub fn of(layer: &Layer) -> Option<Self> {
        match layer {
            Layer::Convolution(layer) => Some(Self::Convolution(layer.clone())),
            Layer::Linear(layer) => Some(Self::Linear(layer.clone())),
            _ => None,
        }
    }

    /// `[out, weights of one output]`; a convolution's in the order channel, row, column.
    pub fn weight(&self) -> Tensor<2> {
        match self {
            Self::Convolution(layer) => layer.weight.clone().flatten(1, 3),
            Self::Linear(layer) => layer.weight.clone(),
        }
    }

    /// `[out]`
    pub fn bias(&self) -> Option<Tensor<1>> {
        match self {
            Self::Convolution(layer) => layer.bias.clone(),
            Self::Linear(layer) => layer.bias.clone(),
        }
    }

    /// The same connections with other weights, `[out, weights of one output]`, and another bias, `[out]`.
    ///
    /// # Panics
    /// When the number of weights differs.
    pub fn with(&self, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        match self {
            Self::Convolution(layer) => {
                let weight = weight.reshape(layer.weight.dims());
                Self::Convolution(Convolution { weight, bias, ..layer.clone() })
            }
            Self::Linear(layer) => Self::Linear(Linear { weight: weight.reshape(layer.weight.dims()), bias }),
        }
    }

    /// The same connections with a function of the weights, without bias.
    pub fn map(&self, function: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Self {
        self.with(function(self.weight()), None)
    }

    /// The layer's output.
    ///
    /// # Panics
    /// When the input does not fit.
    pub fn forward(&self, input: Activation) -> Activation {
        match self {
            Self::Convolution(layer) => Activation::Map(layer.forward(map(input))),
            Self::Linear(layer) => layer.forward(input),
        }
    }

    /// The gradient with respect to an input of the sizes `dims`, batch first: the transposed layer.
    ///
    /// # Panics
    /// When the sizes do not fit.
    pub fn backward(&self, dims: &[usize], upstream: Activation) -> Activation {
        match self {
            Self::Convolution(layer) => {
                let dims = dims.try_into().expect("a convolution reads a map");
                Activation::Map(layer.backward(dims, map(upstream)))
            }
            Self::Linear(layer) => layer.backward(upstream),
        }
    }
}
