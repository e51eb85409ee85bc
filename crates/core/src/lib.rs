#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod attribution;
mod autodiff;
mod baseline;
mod batching;
mod blur;
mod crop_box;
mod enlarge;
mod error;
mod hooks;
mod model;
mod moments;
mod seed;
mod target;

pub use attribution::{Attribution, Attributor, Completeness, Provenance};
pub use autodiff::AutodiffModel;
pub use baseline::Baseline;
pub use batching::{MicroBatcher, Row};
pub use blur::gaussian_blur;
pub use crop_box::CropBox;
pub use enlarge::enlarge;
pub use error::{Error, Result};
pub use hooks::hooks;
pub use model::{Classifier, Differentiable, InputGradient, check_images, read, select_images};
pub use moments::Moments;
pub use seed::Seed;
pub use target::{Score, Target};
