//! Where in a picture a map belongs.

use serde::{Deserialize, Serialize};

/// The part of the original picture that the model saw, in pixels of the original.
///
/// Preprocessing resizes and crops, so the box is seldom the whole picture and its sides are seldom whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CropBox {
    /// Distance of the left side from the picture's left edge.
    pub left: f64,
    /// Distance of the upper side from the picture's upper edge.
    pub top: f64,
    /// Width of the box.
    pub width: f64,
    /// Height of the box.
    pub height: f64,
}

impl CropBox {
    /// The whole of a picture of that width and height.
    pub fn whole((width, height): (u32, u32)) -> Self {
        Self { left: 0.0, top: 0.0, width: width.into(), height: height.into() }
    }
}
