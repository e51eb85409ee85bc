//! From a picture to what a model reads.

mod resample;

use burn::tensor::{Device, Tensor, TensorData};
use burnsight_core::{CropBox, Error, Result};
use image::RgbImage;
use serde::{Deserialize, Serialize};

/// Sides above this are taken for a mistake: three such planes of `f32` fill 3 GB.
const MAX_SIDE: usize = 16_384;

/// How a model's training pictures were scaled, cropped and normalised.
///
/// ```text
/// resize   shorter side to `resize` pixels, keeping proportions, antialiased bilinear, rounded to 8 bits
/// crop     the middle `size` (height, width)
/// x        = (value / 255 − mean) / std          per colour channel R, G, B
/// ```
///
/// This is torchvision's `Resize` + `CenterCrop` + `ToTensor` + `Normalize` on a PIL picture, with the same rounding of
/// sizes and offsets. About one value in a hundred comes out one grey level (of 255) off. Pictures much taller than
/// wide, which Pillow from version 13 on scales down first and then across, differ so in up to a quarter of the values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Length of the shorter side after scaling, in pixels.
    pub resize: usize,
    /// Height and width of the model's input, in pixels. Neither may be larger than `resize`.
    pub size: [usize; 2],
    /// Mean of R, G, B, on the scale 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of R, G, B, on the same scale.
    pub std: [f32; 3],
}

/// What the model reads, and where in the picture it lies.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// `[1, 3, height, width]`, normalised.
    pub tensor: Tensor<4>,
    /// The part of the picture that `tensor` shows.
    pub view: CropBox,
    /// What is surprising about the view, one sentence each.
    pub notes: Vec<String>,
}

impl Preprocessing {
    /// The usual way of networks trained on ImageNet: shorter side 256, the middle 224 × 224.
    pub fn imagenet() -> Self {
        Self { resize: 256, size: [224, 224], mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }

    /// Prepares an upright picture, as in [`Picture::rgb`](crate::Picture::rgb).
    ///
    /// Only the part that the model sees is scaled, so that memory is bounded by the picture and `size`, whatever the
    /// picture's proportions.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if a setting is out of its range, [`Error::Image`] if the picture has no pixels.
    pub fn apply(&self, picture: &RgbImage, device: &Device) -> Result<Prepared> {
        self.check()?;
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 {
            return Err(Error::image(format!("{width} × {height}"), "it has no pixels"));
        }

        let view = resample::view(picture.dimensions(), self.resize, self.size);
        let seen = resample::scale(picture, view, self.size)?;
        let [h, w] = self.size;
        let values = self.normalise(&seen);
        let tensor = Tensor::from_data(TensorData::new(values, [1, 3, h, w]), device);

        let mut notes = Vec::new();
        if view.width * view.height < 0.5 * f64::from(width) * f64::from(height) {
            notes.push(format!(
                "the model sees only the middle {:.1} × {:.1} of {width} × {height} pixels: crop the picture to what \
                 matters",
                view.width, view.height
            ));
        }
        Ok(Prepared { tensor, view, notes })
    }

    /// What the model gets for a colour, R, G and B from 0 to 1.
    pub fn color(&self, rgb: [f32; 3]) -> Vec<f32> {
        (0..3).map(|c| (rgb[c] - self.mean[c]) / self.std[c]).collect()
    }

    /// Interleaved 8-bit colours to normalised planes.
    fn normalise(&self, rgb: &[u8]) -> Vec<f32> {
        let channel = |c: usize| {
            rgb.iter().skip(c).step_by(3).map(move |value| (f32::from(*value) / 255.0 - self.mean[c]) / self.std[c])
        };
        (0..3).flat_map(channel).collect()
    }

    pub(crate) fn check(&self) -> Result<()> {
        let [h, w] = self.size;
        let size = format!("{h} × {w}");
        if !(1..=MAX_SIDE).contains(&h) || !(1..=MAX_SIDE).contains(&w) {
            return Err(Error::parameter("size", size, &format!("both sides must be from 1 to {MAX_SIDE}")));
        }
        if !(1..=MAX_SIDE).contains(&self.resize) {
            return Err(Error::parameter("resize", self.resize, &format!("must be from 1 to {MAX_SIDE}")));
        }
        if h.max(w) > self.resize {
            return Err(Error::parameter("size", size, &format!("neither side may exceed `resize`, {}", self.resize)));
        }
        if !self.mean.iter().all(|mean| mean.is_finite()) {
            return Err(Error::parameter("mean", format!("{:?}", self.mean), "must be finite"));
        }
        if !self.std.iter().all(|std| std.is_normal() && *std > 0.0) {
            return Err(Error::parameter("std", format!("{:?}", self.std), "must be positive and finite"));
        }
        Ok(())
    }
}
