//! Where the object is.

use burnsight_core::{Error, Result};

/// Which pixels of a picture, as the model sees it, belong to the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    height: usize,
    width: usize,
    inside: Vec<bool>,
}

impl Mask {
    /// Row by row, `true` inside the object.
    ///
    /// # Errors
    /// [`Error::Parameter`] when there are not height · width values.
    pub fn new(height: usize, width: usize, inside: Vec<bool>) -> Result<Self> {
        if height * width == 0 || inside.len() != height * width {
            let requirement = format!("a mask of {width}×{height} has {} pixels, at least 1", height * width);
            return Err(Error::parameter("mask", format!("{} values", inside.len()), &requirement));
        }
        Ok(Self { height, width, inside })
    }

    /// In pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// In pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row by row.
    pub fn inside(&self) -> &[bool] {
        &self.inside
    }

    /// How many pixels belong to the object.
    pub fn count(&self) -> usize {
        self.inside.iter().filter(|inside| **inside).count()
    }
}
