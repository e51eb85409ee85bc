//! What a picture is compared with.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Seed};

/// A picture that stands for "nothing there", in the model's own units (after normalisation).
///
/// No choice is neutral: a black baseline hides black objects. Zero after the usual normalisation is the mean colour of
/// the training pictures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Zero everywhere: the mean colour of the training pictures when the model's input is normalised.
    #[default]
    Zero,
    /// One value per channel, e.g. black: (0 − mean) / std.
    Color(Vec<f32>),
    /// Uniform noise in [low, high), the same for every picture.
    Noise {
        /// Smallest value.
        low: f32,
        /// Value that is just not reached.
        high: f32,
        /// Start of the noise.
        seed: Seed,
    },
}

impl Baseline {
    /// The baseline of each picture.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`
    /// - returns: `[n, c, h, w]`
    ///
    /// # Errors
    /// [`Error::Parameter`] when a colour has not one value per channel, or the noise has no range.
    pub fn of(&self, images: &Tensor<4>) -> Result<Tensor<4>> {
        let [_, channels, height, width] = images.dims();
        let device = images.device();
        let one = match self {
            Self::Zero => return Ok(images.zeros_like()),
            Self::Color(values) if values.len() != channels => {
                let requirement = format!("the pictures have {channels} channels, give one value for each");
                return Err(Error::parameter("baseline", format!("{values:?}"), &requirement));
            }
            Self::Color(values) => {
                Tensor::from_data(TensorData::new(values.clone(), [1, channels, 1, 1]), (&device, images.dtype()))
            }
            // `partial_cmp` so that NaN is refused too.
            Self::Noise { low, high, .. } if low.partial_cmp(high) != Some(std::cmp::Ordering::Less) => {
                let requirement = "noise needs low < high";
                return Err(Error::parameter("baseline", format!("{low} to {high}"), requirement));
            }
            Self::Noise { low, high, seed } => {
                seed.uniform(0, [1, channels, height, width], &device).cast(images.dtype()) * (*high - *low) + *low
            }
        };
        Ok(one.expand(images.dims()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;
    use crate::read;

    #[test]
    fn values_and_shapes() {
        let images = Tensor::<4>::ones([2, 2, 1, 2], &Device::default());
        assert_eq!(read(Baseline::Zero.of(&images).unwrap()).unwrap(), [0.0; 8]);
        let color = Baseline::Color(vec![0.5, -1.0]).of(&images).unwrap();
        assert_eq!(read(color).unwrap(), [0.5, 0.5, -1.0, -1.0, 0.5, 0.5, -1.0, -1.0]);
        let noise = Baseline::Noise { low: 2.0, high: 3.0, seed: Seed(1) };
        let values = read(noise.of(&images).unwrap()).unwrap();
        assert!(values.iter().all(|value| (2.0..3.0).contains(value)) && values[..4] == values[4..]);
    }

    #[test]
    fn refused() {
        let images = Tensor::<4>::ones([1, 3, 1, 1], &Device::default());
        assert!(Baseline::Color(vec![0.0]).of(&images).unwrap_err().to_string().contains("3 channels"));
        for (low, high) in [(1.0, 1.0), (f32::NAN, 1.0)] {
            assert!(Baseline::Noise { low, high, seed: Seed(0) }.of(&images).is_err());
        }
    }
}
