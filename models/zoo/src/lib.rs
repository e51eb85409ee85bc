#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod built_in;
mod cache;
mod card;
mod download;
mod labels;
mod model;
mod patterns;
mod picture;
mod preprocessing;
mod sum;
mod torchvision;

pub use built_in::BUILT_IN;
pub use burnsight_core::CropBox;
pub use cache::Cache;
pub use card::{Card, InputCard};
pub use labels::Labels;
pub use model::{Description, Model, is_onnx, load, load_file, models};
pub use patterns::patterns_beside;
pub use picture::{DEFAULT_MAX_PIXELS, PICTURE_EXTENSIONS, Picture, find_pictures};
pub use preprocessing::{Prepared, Preprocessing};
