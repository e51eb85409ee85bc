#![doc = include_str!("../README.md")]

mod built_in;
mod labels;
mod picture;
mod preprocessing;

pub use built_in::{BUILT_IN, Description, Model, load, models};
pub use burnsight_core::CropBox;
pub use labels::Labels;
pub use picture::{DEFAULT_MAX_PIXELS, PICTURE_EXTENSIONS, Picture, find_pictures};
pub use preprocessing::{Prepared, Preprocessing};
