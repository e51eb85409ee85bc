//! What flows between layers.

use burn::tensor::{DType, Device, Tensor};

/// The output of a layer: a spatial map or a vector per picture.
///
/// Burn's tensors carry their rank in the type; a graph of layers needs both ranks in one place.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Activation {
    /// `[n, features]`
    Vector(Tensor<2>),
    /// `[n, channels, height, width]`
    Map(Tensor<4>),
}

/// Applies the same elementwise expression to both ranks.
macro_rules! each {
    ($activation:expr, $tensor:ident => $result:expr) => {
        match $activation {
            Activation::Vector($tensor) => Activation::Vector($result),
            Activation::Map($tensor) => Activation::Map($result),
        }
    };
}

/// The same for two activations of one shape.
macro_rules! both {
    ($left:expr, $right:expr, $a:ident, $b:ident => $result:expr) => {
        match ($left, $right) {
            (Activation::Vector($a), Activation::Vector($b)) => Activation::Vector($result),
            (Activation::Map($a), Activation::Map($b)) => Activation::Map($result),
            (left, right) => panic!("activations of different rank: {:?} and {:?}", left.dims(), right.dims()),
        }
    };
}

impl Activation {
    /// The sizes, batch first.
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Self::Vector(tensor) => tensor.dims().to_vec(),
            Self::Map(tensor) => tensor.dims().to_vec(),
        }
    }

    /// The tensor of a map; `None` for a vector.
    pub fn as_map(&self) -> Option<Tensor<4>> {
        match self {
            Self::Map(tensor) => Some(tensor.clone()),
            Self::Vector(_) => None,
        }
    }

    /// `[n, features]`; a map is flattened channel by channel, row by row.
    pub fn flatten(self) -> Tensor<2> {
        match self {
            Self::Vector(tensor) => tensor,
            Self::Map(tensor) => tensor.flatten(1, 3),
        }
    }

    /// The same values in the shape of `dims`, batch first.
    ///
    /// # Panics
    /// When the number of values differs, or the rank is neither 2 nor 4.
    pub fn reshape(self, dims: &[usize]) -> Self {
        match *dims {
            [n, features] => Self::Vector(self.flatten().reshape([n, features])),
            [n, c, h, w] => Self::Map(self.flatten().reshape([n, c, h, w])),
            _ => panic!("activations have rank 2 or 4, not {dims:?}"),
        }
    }

    /// max(x, 0)
    pub fn relu(self) -> Self {
        each!(self, x => burn::tensor::activation::relu(x))
    }

    /// Keeps the values where `gate` is above zero and puts 0 elsewhere.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn where_positive(self, gate: &Self) -> Self {
        both!(self, gate, x, gate => {
            // Burn's CPU backend fills in place, value by value, what nobody else holds, and by SIMD into a copy what is
            // shared. On half-zero masks the copy is several times faster.
            let _shared = x.clone();
            x.mask_fill(gate.clone().lower_equal_elem(0.0), 0.0)
        })
    }

    /// Elementwise product of two activations of one shape.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn multiply(self, other: Self) -> Self {
        both!(self, other, a, b => a * b)
    }

    /// Where the values are stored.
    pub fn device(&self) -> Device {
        match self {
            Self::Vector(tensor) => tensor.device(),
            Self::Map(tensor) => tensor.device(),
        }
    }

    /// The number format.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Vector(tensor) => tensor.dtype(),
            Self::Map(tensor) => tensor.dtype(),
        }
    }
}

/// Elementwise sum of two activations of one shape; panics when the shapes differ.
impl std::ops::Add for Activation {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        both!(self, other, a, b => a + b)
    }
}
