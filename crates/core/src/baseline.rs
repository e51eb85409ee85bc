//! What a picture is compared with.

use burn::tensor::{Tensor, TensorData};
use serde::{Serialize, Serializer};

use crate::{Error, Result, Seed, gaussian_blur};

/// A picture that stands for "nothing there", in the model's own units (after normalisation).
///
/// No choice is neutral: a black baseline hides black objects. Zero after the usual normalisation is the mean colour of
/// the training pictures.
// Methods have one each: boxing the set of pictures would save bytes and cost every caller a `Box::new`.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, Default, Serialize)]
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
    /// Each picture itself, out of focus.
    Blurred {
        /// Standard deviation of the Gaussian, in pixels.
        sigma: f64,
    },
    /// A set of pictures `[k, c, h, w]`, e.g. some of the training pictures, each of which is a baseline for every
    /// picture. In reports only their number is written.
    #[serde(serialize_with = "count_of")]
    Pictures(Tensor<4>),
}

impl Baseline {
    /// How many different baselines there are: one, or as many as pictures in the set. Noise counts as one, but can be
    /// drawn anew under any number.
    pub fn count(&self) -> usize {
        match self {
            Self::Pictures(pictures) => pictures.dims()[0],
            _ => 1,
        }
    }

    /// The first baseline of each picture.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`
    /// - returns: `[n, c, h, w]`
    ///
    /// # Errors
    /// As [`nth`](Self::nth).
    pub fn of(&self, images: &Tensor<4>) -> Result<Tensor<4>> {
        self.nth(images, 0)
    }

    /// Baseline number `index` of each picture: a picture of the set, or another draw of the noise.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`
    /// - returns: `[n, c, h, w]`
    ///
    /// # Errors
    /// [`Error::Parameter`] when a colour has not one value per channel, the noise has no range, the blur is not a positive
    /// number of pixels, or the pictures of the set are none, of another size than the images, or fewer than `index` asks for.
    pub fn nth(&self, images: &Tensor<4>, index: usize) -> Result<Tensor<4>> {
        let [_, channels, height, width] = images.dims();
        let device = images.device();
        let refuse = |value: String, requirement: String| Err(Error::parameter("baseline", value, &requirement));
        let one = match self {
            Self::Zero => return Ok(images.zeros_like()),
            Self::Color(values) if values.len() != channels => {
                return refuse(
                    format!("{values:?}"),
                    format!("the pictures have {channels} channels, give one value for each"),
                );
            }
            Self::Color(values) => {
                Tensor::from_data(TensorData::new(values.clone(), [1, channels, 1, 1]), (&device, images.dtype()))
            }
            // `partial_cmp` so that NaN is refused too.
            Self::Noise { low, high, .. } if low.partial_cmp(high) != Some(std::cmp::Ordering::Less) => {
                return refuse(format!("{low} to {high}"), "noise needs low < high".into());
            }
            Self::Noise { low, high, seed } => {
                let noise = seed.uniform(index as u64, [1, channels, height, width], &device);
                noise.cast(images.dtype()) * (*high - *low) + *low
            }
            Self::Blurred { sigma } if !sigma.is_finite() || *sigma <= 0.0 => {
                return refuse(format!("blurred by {sigma}"), "a blur is a positive number of pixels".into());
            }
            Self::Blurred { sigma } => return Ok(gaussian_blur(images.clone(), *sigma)),
            Self::Pictures(pictures) => {
                let [count, own @ ..] = pictures.dims();
                if own != [channels, height, width] {
                    let wanted = [channels, height, width];
                    return refuse(format!("pictures of shape {own:?}"), format!("the images have shape {wanted:?}"));
                }
                if index >= count {
                    return refuse(format!("{count} pictures"), format!("number {index} (from 0) is asked for"));
                }
                // Not tracked, whatever the pictures were made with.
                pictures.clone().inner().slice_dim(0, index..index + 1).cast(images.dtype())
            }
        };
        Ok(one.expand(images.dims()))
    }
}

fn count_of<S: Serializer>(pictures: &Tensor<4>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_u64(pictures.dims()[0] as u64)
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
        assert_ne!(values, read(noise.nth(&images, 1).unwrap()).unwrap());
        let blurred = Baseline::Blurred { sigma: 2.0 }.of(&images).unwrap();
        assert!(read(blurred).unwrap().iter().all(|value| (value - 1.0).abs() < 1e-6));
        let set =
            Tensor::<4>::from_data([[[[1.0, 2.0]], [[3.0, 4.0]]], [[[5.0, 6.0]], [[7.0, 8.0]]]], &images.device());
        let set = Baseline::Pictures(set);
        assert_eq!(set.count(), 2);
        assert_eq!(read(set.nth(&images, 1).unwrap()).unwrap(), [5.0, 6.0, 7.0, 8.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"{"pictures":2}"#);
        let tracked = Baseline::Pictures(images.clone().autodiff().require_grad());
        assert!(!tracked.nth(&images, 1).unwrap().is_autodiff());
    }

    #[test]
    fn refused() {
        let images = Tensor::<4>::ones([1, 3, 1, 1], &Device::default());
        let refused = |baseline: Baseline| baseline.nth(&images, 1).unwrap_err().to_string();
        assert!(refused(Baseline::Color(vec![0.0])).contains("3 channels"));
        for (low, high) in [(1.0, 1.0), (f32::NAN, 1.0)] {
            assert!(refused(Baseline::Noise { low, high, seed: Seed(0) }).contains("low < high"));
        }
        for sigma in [0.0, -1.0, f64::NAN] {
            assert!(refused(Baseline::Blurred { sigma }).contains("positive number of pixels"));
        }
        assert!(refused(Baseline::Pictures(Tensor::ones([1, 3, 2, 2], &images.device()))).contains("[3, 1, 1]"));
        assert!(refused(Baseline::Pictures(images.clone())).contains("1 pictures"));
    }
}
