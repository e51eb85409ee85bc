#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod operation;
mod relu;
mod watch;

pub use operation::ReluRule;
pub use relu::{explain_with_rule, relu};
pub use watch::{Watched, explain_watched, watch};
