#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod activation;
mod fold;
mod layer;
mod network;
mod parameters;
mod places;
mod randomize;
mod rule;
mod trace;

pub use activation::Activation;
pub use layer::{
    AdaptiveAveragePool, Affine, AveragePool, BatchNorm, Convolution, Function, Layer, LayerNorm, Linear, MaxPool, Pad,
    Resample, Select,
};
pub use network::{Network, NetworkBuilder, Node, NodeId};
pub use parameters::{ParameterSource, RandomParameters, WeightFile};
pub use places::Places;
pub use rule::{BackwardRule, ExactGradient};
pub use trace::{Backward, Step, Trace, TraceAttributor, Visit};
