#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod activation;
mod fold;
mod layer;
mod network;
mod parameters;
mod rule;
mod trace;

pub use activation::Activation;
pub use layer::{AdaptiveAveragePool, AveragePool, BatchNorm, Convolution, Layer, Linear, MaxPool};
pub use network::{Network, NetworkBuilder, Node, NodeId};
pub use parameters::{ParameterSource, RandomParameters, WeightFile};
pub use rule::{BackwardRule, ExactGradient};
pub use trace::{Backward, Step, Trace, TraceAttributor};
