#![doc = include_str!("../README.md")]

mod building;
mod canvas;
mod church;
mod colour;
mod distractor;
mod gas_pump;
mod golf_ball;
mod noise;
mod parachute;
mod random;
mod vector;

pub use church::Church;
pub use distractor::{Distractor, DistractorKind};
pub use gas_pump::GasPump;
pub use golf_ball::GolfBall;
pub use parachute::Parachute;
pub use random::Object;

use image::{GrayImage, RgbImage};

/// Width and height of the committed pictures in `examples/images`: the default scenes, drawn at this size.
pub const EXAMPLE_SIZE: (u32, u32) = (480, 360);

/// A picture, and where its object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// What a model is shown.
    pub picture: RgbImage,
    /// Same size as the picture: 255 where more than half of the pixel's 16 samples hit the object, else 0.
    ///
    /// The object's shadow is not the object.
    pub mask: GrayImage,
}
