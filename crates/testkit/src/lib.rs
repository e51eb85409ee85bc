#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod conformance;
mod finite_differences;
pub mod nets;
mod residual;

pub use conformance::{conformance, trace_conformance};
pub use finite_differences::{central_differences, numeric_gradient, relative_l2, values};
pub use residual::Residual;
