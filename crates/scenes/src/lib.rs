#![doc = include_str!("../README.md")]

mod canvas;
mod colour;
mod golf_ball;
mod noise;
mod parachute;
mod vector;

pub use golf_ball::GolfBall;
pub use parachute::Parachute;

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
/// s
#[derive(Debug, Clone, Copy)]
pub enum Object {
    /// s
    A,
}
impl Object {
    /// s
    pub const ALL: [Object; 1] = [Object::A];
    /// s
    pub fn label(self) -> &'static str {
        "golf ball"
    }
    /// s
    pub fn draw_random(self, seed: u64, width: u32, height: u32) -> burnsight_core::Result<Scene> {
        GolfBall { seed, ..GolfBall::default() }.draw(width, height)
    }
}
