use burn::tensor::activation::{elu, gelu, gelu_approximate, leaky_relu, log_sigmoid, mish, sigmoid, silu};

use crate::{
    Activation,
    activation::{both, each, for_rank},
};

/// A function of every single value. (ReLU is a layer of its own: methods treat it in their own ways.)
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Function {
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// tanh x
    Tanh,
    /// x · Φ(x), Φ the normal distribution
    Gelu,
    /// The same with the usual approximation by tanh.
    GeluTanh,
    /// x · sigmoid(x), also called swish
    Silu,
    /// x · clamp(x / 6 + ½, 0, 1)
    HardSwish,
    /// clamp(slope · x + offset, 0, 1)
    HardSigmoid {
        /// Steepness in the middle.
        slope: f64,
        /// Value at 0.
        offset: f64,
    },
    /// Values below and above are set to the bounds; from 0 to 6 this is ReLU6.
    Clip {
        /// Lower bound.
        lowest: f64,
        /// Upper bound.
        highest: f64,
    },
    /// x, below 0 slope · x
    LeakyRelu(f64),
    /// x, below 0 α (eˣ − 1)
    Elu(f64),
    /// x · tanh(ln(1 + eˣ))
    Mish,
    /// ln(1 + exp(steepness · x)) / steepness: a ReLU with a round corner
    Softplus {
        /// 1 for the plain one; the larger, the sharper the corner.
        steepness: f64,
    },
    /// Gauss error function
    Erf,
    /// eˣ
    Exp,
    /// Natural logarithm
    Log,
    /// √x
    Sqrt,
    /// xᵖ
    Power(f64),
    /// 1 / x
    Reciprocal,
    /// −x
    Negate,
    /// |x|
    Absolute,
}

impl Function {
    /// The function's name in words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Gelu | Self::GeluTanh => "GELU",
            Self::Silu => "SiLU",
            Self::HardSwish => "hard swish",
            Self::HardSigmoid { .. } => "hard sigmoid",
            Self::Clip { .. } => "clip",
            Self::LeakyRelu(_) => "leaky ReLU",
            Self::Elu(_) => "ELU",
            Self::Mish => "Mish",
            Self::Softplus { .. } => "softplus",
            Self::Erf => "error function",
            Self::Exp => "exponential",
            Self::Log => "logarithm",
            Self::Sqrt => "square root",
            Self::Power(_) => "power",
            Self::Reciprocal => "reciprocal",
            Self::Negate => "negation",
            Self::Absolute => "absolute value",
        }
    }

    /// The function of every value.
    pub fn apply(self, input: Activation) -> Activation {
        each!(input, x => match self {
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Gelu => gelu(x),
            Self::GeluTanh => gelu_approximate(x),
            Self::Silu => silu(x),
            Self::HardSwish => x.clone() * (x * (1.0 / 6.0) + 0.5).clamp(0.0, 1.0),
            Self::HardSigmoid { slope, offset } => (x * slope + offset).clamp(0.0, 1.0),
            Self::Clip { lowest, highest } => x.clamp(lowest, highest),
            Self::LeakyRelu(slope) => leaky_relu(x, slope),
            Self::Elu(alpha) => elu(x, alpha),
            Self::Mish => mish(x),
            // Burn's own softplus overflows where steepness · x is above 88.
            Self::Softplus { steepness } => log_sigmoid(x * -steepness) / -steepness,
            Self::Erf => x.erf(),
            Self::Exp => x.exp(),
            Self::Log => x.log(),
            Self::Sqrt => x.sqrt(),
            Self::Power(2.0) => x.square(),
            Self::Power(exponent) => x.powf_scalar(exponent),
            Self::Reciprocal => x.recip(),
            Self::Negate => -x,
            Self::Absolute => x.abs(),
        })
    }

    /// Whether no value it takes is below 0.
    pub(crate) fn is_non_negative(self) -> bool {
        match self {
            Self::Sigmoid
            | Self::HardSigmoid { .. }
            | Self::Softplus { .. }
            | Self::Exp
            | Self::Sqrt
            | Self::Absolute => true,
            Self::Clip { lowest, .. } => lowest >= 0.0,
            Self::Power(exponent) => exponent == 2.0,
            _ => false,
        }
    }

    /// Whether it maps 0 to 0 and keeps (or, for the negation, mirrors) the sign of every value: an output then speaks for
    /// what its input speaks for, only more or less loudly.
    pub fn keeps_signs(self) -> bool {
        match self {
            Self::Tanh
            | Self::Gelu
            | Self::GeluTanh
            | Self::Silu
            | Self::HardSwish
            | Self::LeakyRelu(_)
            | Self::Elu(_)
            | Self::Mish
            | Self::Erf
            | Self::Negate => true,
            Self::Clip { lowest, highest } => lowest <= 0.0 && highest >= 0.0,
            _ => false,
        }
    }

    /// The derivative times what comes from above, by Burn's autodiff on this one layer.
    pub(super) fn backward(self, input: &Activation, upstream: Activation) -> Activation {
        if self == Self::Negate {
            return self.apply(upstream);
        }
        let input = each!(input.clone(), x => x.inner().autodiff().require_grad());
        let weighted = both!(self.apply(input.clone()), upstream, y, g => y * g.autodiff());
        let gradients = for_rank!(weighted, tensor => tensor.sum().backward());
        each!(input, x => x.grad(&gradients).expect("the output depends on the input"))
    }
}
