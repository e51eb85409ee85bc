//! What flows between layers.

use burn::tensor::{DType, Device, Tensor};

/// The output of a layer: one spatial map, vector or sequence of tokens per picture.
///
/// Burn's tensors carry their rank in the type; a graph of layers needs all ranks in one place. The batch is always axis 0.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Activation {
    /// `[n, features]`
    Vector(Tensor<2>),
    /// `[n, tokens, features]`
    Tokens(Tensor<3>),
    /// `[n, channels, height, width]`
    Map(Tensor<4>),
    /// What attention makes of heads, windows and tokens.
    Rank5(Tensor<5>),
    /// The same with one axis more.
    Rank6(Tensor<6>),
}

/// Evaluates the same expression for every rank.
macro_rules! for_rank {
    ($activation:expr, $tensor:ident => $result:expr) => {
        match $activation {
            $crate::Activation::Vector($tensor) => $result,
            $crate::Activation::Tokens($tensor) => $result,
            $crate::Activation::Map($tensor) => $result,
            $crate::Activation::Rank5($tensor) => $result,
            $crate::Activation::Rank6($tensor) => $result,
        }
    };
}

/// Applies the same tensor expression to every rank.
macro_rules! each {
    ($activation:expr, $tensor:ident => $result:expr) => {
        match $activation {
            $crate::Activation::Vector($tensor) => $crate::Activation::Vector($result),
            $crate::Activation::Tokens($tensor) => $crate::Activation::Tokens($result),
            $crate::Activation::Map($tensor) => $crate::Activation::Map($result),
            $crate::Activation::Rank5($tensor) => $crate::Activation::Rank5($result),
            $crate::Activation::Rank6($tensor) => $crate::Activation::Rank6($result),
        }
    };
}

/// The same for two activations of one rank.
macro_rules! both {
    ($left:expr, $right:expr, $a:ident, $b:ident => $result:expr) => {
        match ($left, $right) {
            ($crate::Activation::Vector($a), $crate::Activation::Vector($b)) => $crate::Activation::Vector($result),
            ($crate::Activation::Tokens($a), $crate::Activation::Tokens($b)) => $crate::Activation::Tokens($result),
            ($crate::Activation::Map($a), $crate::Activation::Map($b)) => $crate::Activation::Map($result),
            ($crate::Activation::Rank5($a), $crate::Activation::Rank5($b)) => $crate::Activation::Rank5($result),
            ($crate::Activation::Rank6($a), $crate::Activation::Rank6($b)) => $crate::Activation::Rank6($result),
            (left, right) => panic!("activations of different rank: {:?} and {:?}", left.dims(), right.dims()),
        }
    };
}

pub(crate) use {both, each, for_rank};

impl Activation {
    /// The most axes an activation can have, the batch among them.
    pub const MAX_RANK: usize = 6;

    /// The sizes, batch first.
    pub fn dims(&self) -> Vec<usize> {
        for_rank!(self, tensor => tensor.dims().to_vec())
    }

    /// The tensor of a map; `None` for other ranks.
    pub fn as_map(&self) -> Option<Tensor<4>> {
        match self {
            Self::Map(tensor) => Some(tensor.clone()),
            _ => None,
        }
    }

    /// `[n, features]`, row by row; a map is flattened channel by channel.
    pub fn flatten(self) -> Tensor<2> {
        let dims = self.dims();
        let features = dims[1..].iter().product();
        for_rank!(self, tensor => tensor.reshape([dims[0], features]))
    }

    /// `[rows, last axis]`: all axes but the last as one.
    pub(crate) fn rows(self) -> Tensor<2> {
        let dims = self.dims();
        let last = dims[dims.len() - 1];
        let rows = dims[..dims.len() - 1].iter().product();
        for_rank!(self, tensor => tensor.reshape([rows, last]))
    }

    /// The same values in the shape of `dims`, batch first.
    ///
    /// # Panics
    /// When the number of values differs, or the rank is not from 2 to 6.
    pub fn reshape(self, dims: &[usize]) -> Self {
        if self.dims() == dims {
            return self;
        }
        match *dims {
            [n, a] => Self::Vector(for_rank!(self, tensor => tensor.reshape([n, a]))),
            [n, a, b] => Self::Tokens(for_rank!(self, tensor => tensor.reshape([n, a, b]))),
            [n, a, b, c] => Self::Map(for_rank!(self, tensor => tensor.reshape([n, a, b, c]))),
            [n, a, b, c, d] => Self::Rank5(for_rank!(self, tensor => tensor.reshape([n, a, b, c, d]))),
            [n, a, b, c, d, e] => Self::Rank6(for_rank!(self, tensor => tensor.reshape([n, a, b, c, d, e]))),
            _ => panic!("activations have rank 2 to {}, not {dims:?}", Self::MAX_RANK),
        }
    }

    /// The axes in another order: axis i of the result is axis `axes[i]`.
    ///
    /// # Panics
    /// When `axes` is not a permutation of all axes.
    pub fn permute(self, axes: &[usize]) -> Self {
        each!(self, tensor => {
            let mut order = tensor.dims();
            order.copy_from_slice(axes);
            tensor.permute(order)
        })
    }

    /// A function of every value, whatever the rank: it is given `[n, features]` and must keep the shape.
    ///
    /// # Panics
    /// When the function changes the number of values.
    pub fn map_values(self, function: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Self {
        let dims = self.dims();
        Self::Vector(function(self.flatten())).reshape(&dims)
    }

    /// A function of the values of two activations of one shape.
    ///
    /// # Panics
    /// When the shapes differ or the function changes the number of values.
    pub fn zip_values(self, other: Self, function: impl FnOnce(Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        assert_eq!(self.dims(), other.dims(), "activations to be combined value by value");
        self.map_values(|values| function(values, other.flatten()))
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

    /// Elementwise product; axes of size 1 are repeated to the other's size.
    ///
    /// # Panics
    /// When the ranks differ or the shapes do not fit.
    pub fn multiply(self, other: Self) -> Self {
        both!(self, other, a, b => a * b)
    }

    /// Sums over the axes along which `dims` has size 1: the gradient of having been repeated.
    pub(crate) fn sum_to(self, dims: &[usize]) -> Self {
        let repeated: Vec<usize> = (0..dims.len()).filter(|axis| dims[*axis] == 1 && self.dims()[*axis] != 1).collect();
        repeated.into_iter().fold(self, |sum, axis| each!(sum, tensor => tensor.sum_dim(axis)))
    }

    /// The part from `start` on along one axis.
    pub(crate) fn slice(self, axis: usize, start: usize, length: usize) -> Self {
        each!(self, tensor => tensor.narrow(axis, start, length))
    }

    /// Matrix products over the last two axes; the others are repeated where they have size 1.
    pub(crate) fn matmul(self, other: Self) -> Self {
        both!(self, other, a, b => a.matmul(b))
    }

    /// The last two axes swapped.
    pub(crate) fn transpose(self) -> Self {
        each!(self, tensor => tensor.transpose())
    }

    /// Where the values are stored.
    pub fn device(&self) -> Device {
        for_rank!(self, tensor => tensor.device())
    }

    /// The number format.
    pub fn dtype(&self) -> DType {
        for_rank!(self, tensor => tensor.dtype())
    }
}

/// Elementwise sum; axes of size 1 are repeated to the other's size. Panics when the shapes do not fit.
impl std::ops::Add for Activation {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        both!(self, other, a, b => a + b)
    }
}
