//! The numbers to be drawn, and the reduction of their channels.

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Error, Result, read};
use serde::{Deserialize, Serialize};

/// One attribution map: signed and unscaled, channel by channel, row by row (CHW).
#[derive(Debug, Clone, PartialEq)]
pub struct SaliencyMap {
    channels: usize,
    height: usize,
    width: usize,
    values: Vec<f32>,
}

impl SaliencyMap {
    /// A map of shape `[channels, height, width]`; `values` may be of any size and sign, but finite.
    ///
    /// # Errors
    /// [`Error::Image`] when a side is zero, `values` is not `channels × height × width` long, or a value is NaN or
    /// infinite: such a map comes from a computation that went wrong, and no picture of it would be true.
    pub fn new(channels: usize, height: usize, width: usize, values: Vec<f32>) -> Result<Self> {
        let shape = format!("map [{channels}, {height}, {width}]");
        let expected = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
        if expected == Some(0) {
            return Err(Error::image(shape, "every side must be at least 1"));
        }
        if expected != Some(values.len()) {
            return Err(Error::image(shape, format!("{} values do not fill this shape", values.len())));
        }
        let not_finite = values.iter().filter(|v| !v.is_finite()).count();
        if let Some(first) = values.iter().position(|v| !v.is_finite()) {
            let (channel, row, column) = (first / (height * width), first / width % height, first % width);
            let problem = format!(
                "{not_finite} of {} values are NaN or infinite, \
                 the first ({}) at channel {channel}, row {row}, column {column}",
                values.len(),
                values[first],
            );
            return Err(Error::image(shape, problem));
        }
        Ok(Self { channels, height, width, values })
    }

    /// The map of one picture of an attribution, `index` counted from 0.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Parameter`] when there is no such picture, [`Error::Backend`] when the map
    /// cannot be copied from its device.
    pub fn of(attribution: &Attribution, index: usize) -> Result<Self> {
        let [count, ..] = attribution.map.dims();
        if index >= count {
            return Err(Error::parameter("index", index, &format!("the attribution has {count} pictures")));
        }
        Self::from_tensor(attribution.map.clone().slice_dim(0, index..index + 1))
    }

    /// A single map, `[1, c, h, w]`.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn from_tensor(map: Tensor<4>) -> Result<Self> {
        let [_, channels, height, width] = map.dims();
        Self::new(channels, height, width, read(map)?)
    }

    /// The values, channel by channel, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Rows, in pixels of the model's input.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns, in pixels of the model's input.
    pub fn width(&self) -> usize {
        self.width
    }
}

/// First step: how the channels of a pixel become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelReduction {
    /// The largest magnitude, `max |v|` over channels (Simonyan et al. 2014, section 3.1). The sign is lost.
    MaxAbs,
    /// The signed sum: what the pixel contributes as a whole. Channels that disagree cancel.
    Sum,
    /// Nothing: the map has one channel, or its three are drawn as colours ([`ColorMap::Channels`]).
    ///
    /// [`ColorMap::Channels`]: crate::ColorMap::Channels
    None,
}

impl ChannelReduction {
    /// CHW in; out one plane `[height × width]`, or with `None` all the planes the map has. In `f64`, because the sum
    /// of three large `f32` can overflow.
    pub(crate) fn apply(self, map: &SaliencyMap) -> Vec<f64> {
        let pixels = map.height * map.width;
        let over_channels = |fold: fn(f64, f64) -> f64| {
            let pixel = |p: usize| map.values[p..].iter().step_by(pixels).fold(0.0, |acc, &v| fold(acc, v.into()));
            (0..pixels).map(pixel).collect()
        };
        match self {
            Self::MaxAbs => over_channels(|largest, v| largest.max(v.abs())),
            Self::Sum => over_channels(|sum, v| sum + v),
            Self::None => map.values.iter().map(|&v| v.into()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_an_attribution_takes_one_picture() {
        let device = burn::tensor::Device::default();
        let map = Tensor::from_data([[[[1.0, 2.0]], [[3.0, 4.0]]], [[[-1.0, -2.0]], [[-3.0, -4.0]]]], &device);
        let provenance = burnsight_core::Provenance::new("by hand", Default::default(), &device);
        let (scores, target) = (vec![0.0; 2], burnsight_core::Target::Top);
        let attribution = Attribution { map, scores, target, completeness: None, standard_error: None, provenance };
        let second = SaliencyMap::of(&attribution, 1).unwrap();
        assert_eq!(second, SaliencyMap::new(2, 1, 2, vec![-1.0, -2.0, -3.0, -4.0]).unwrap());
        assert!(SaliencyMap::of(&attribution, 2).unwrap_err().to_string().contains("2 pictures"));
    }

    #[test]
    fn reductions_of_two_pixels_with_three_channels() {
        let map = SaliencyMap::new(3, 1, 2, vec![1.0, -1.0, -4.0, 2.0, 2.0, 0.5]).unwrap();
        assert_eq!(ChannelReduction::MaxAbs.apply(&map), [4.0, 2.0]);
        assert_eq!(ChannelReduction::Sum.apply(&map), [-1.0, 1.5]);
        assert_eq!(ChannelReduction::None.apply(&map), [1.0, -1.0, -4.0, 2.0, 2.0, 0.5]);
    }

    #[test]
    fn a_sum_of_the_largest_numbers_stays_finite() {
        let map = SaliencyMap::new(2, 1, 1, vec![f32::MAX, f32::MAX]).unwrap();
        assert_eq!(ChannelReduction::Sum.apply(&map), [2.0 * f64::from(f32::MAX)]);
    }

    #[test]
    fn what_is_not_a_number_is_counted_and_located() {
        let mut values = vec![0.0; 2 * 3 * 4];
        values[12 + 4 + 2] = f32::NAN;
        values[23] = f32::INFINITY;
        let message = SaliencyMap::new(2, 3, 4, values).unwrap_err().to_string();
        assert!(message.contains("2 of 24 values"), "{message}");
        assert!(message.contains("(NaN) at channel 1, row 1, column 2"), "{message}");
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert!(SaliencyMap::new(0, 2, 2, vec![]).is_err());
        assert!(SaliencyMap::new(1, 2, 2, vec![0.0; 3]).unwrap_err().to_string().contains("3 values"));
        assert!(SaliencyMap::new(usize::MAX, 2, 2, vec![0.0; 4]).is_err());
    }
}
