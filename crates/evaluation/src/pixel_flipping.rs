//! Pixel flipping: how the score falls when regions of the picture go.

use burnsight_core::{Baseline, Error, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Curve, Direction, Metric, Reading, Subject,
    replacement::{Replacement, places, points},
};

/// How far the score falls while regions are taken away, the strongest of the map first. Higher is better.
///
/// ```text
/// value = 1/(L+1) · Σ_{k=0..L} f(x) − f(x without its k strongest regions)        (area over the perturbation curve)
///
/// f   the explained score        regions   squares of `region` pixels, in the order of the mean of the map over them
/// ```
///
/// Samek et al. 2017, <https://arxiv.org/abs/1509.06321>, after the pixel flipping of Bach et al. 2015. The unit is that of the
/// score, so values of models, and of pictures, cannot be compared with each other; those of methods on the same pictures can. The
/// squares at the right and lower border are what remains. A map whose regions are all equal has no value; where the
/// picture has fewer than L regions all of them go.
///
/// Costs L + 1 forward passes.
///
/// # When it misleads
/// As [`Deletion`](crate::Deletion) does, but less for fine maps: whole regions go, whatever the pixels in them. A logit may
/// fall while the class stays ahead of all others.
///
/// # Where libraries differ
/// The paper takes regions of 9 × 9 pixels, L = 100, and uniform noise in their place, which `Baseline::Noise` does. Quantus 0.6
/// (`RegionPerturbation`): squares of 8 in the order of their sums, L = 100; returns the falls from the first region on, whose sum
/// by L + 1 is this value. Its `PixelFlipping` takes one
/// number of the input a step.
#[derive(Debug, Clone, Serialize)]
pub struct PixelFlipping {
    /// Side of the regions in pixels. Default: 8.
    pub region: usize,
    /// L, the regions that go. Default: 50.
    pub steps: usize,
    /// What they become. Default: zero, which is the mean colour where pictures are normalised.
    pub baseline: Baseline,
}

impl PixelFlipping {
    /// The name in the tool.
    pub const NAME: &str = "pixel-flipping";
}

impl Default for PixelFlipping {
    fn default() -> Self {
        Self { region: 8, steps: 50, baseline: Baseline::Zero }
    }
}

impl Metric for PixelFlipping {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Samek et al. 2017, Evaluating the Visualization of What a Deep Neural Network Has Learned, arXiv:1509.06321"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`] for regions without pixels, or no steps.
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        if self.region == 0 {
            return Err(Error::parameter("region", 0, "at least 1 pixel"));
        }
        if self.steps == 0 {
            return Err(Error::parameter("steps", 0, "at least 1"));
        }
        let [_, _, height, width] = subject.images().dims();
        let columns = width.div_ceil(self.region);
        let regions = columns * height.div_ceil(self.region);
        let region_of = |pixel: usize| pixel / width / self.region * columns + pixel % width / self.region;
        let places_of_pixels = |map: &Vec<f32>| {
            let (mut sums, mut counts) = (vec![0.0f64; regions], vec![0u32; regions]);
            for (pixel, value) in map.iter().enumerate() {
                sums[region_of(pixel)] += f64::from(*value);
                counts[region_of(pixel)] += 1;
            }
            let means: Vec<f32> =
                sums.iter().zip(&counts).map(|(sum, count)| (sum / f64::from(*count)) as f32).collect();
            let places = places(&means)?;
            Some((0..height * width).map(|pixel| places[region_of(pixel)]).collect())
        };
        let places: Vec<Option<Vec<f32>>> = subject.pixel_values()?.iter().map(places_of_pixels).collect();
        let counts: Vec<usize> = (0..=self.steps.min(regions)).collect();
        let (before, after) = (subject.images().clone(), self.baseline.of(subject.images())?);
        let replacement = Replacement { before, after };
        let curves = replacement.curves(subject, &places, &counts, |images, rows| subject.scores(images, rows))?;
        let over = |curve: &Vec<f64>| curve.iter().map(|score| curve[0] - score).sum::<f64>() / curve.len() as f64;
        let values = curves.iter().map(|curve| curve.as_ref().map(over)).collect();
        let curve = Curve {
            x_label: format!("regions of {0} × {0} pixels taken away", self.region),
            y_label: "explained score".into(),
            x: counts.iter().map(|count| *count as f64).collect(),
            ticks: Vec::new(),
            y: points(curves, counts.len()),
        };
        Ok(vec![Reading::new(Self::NAME, Direction::Higher, values).with_curve(curve)])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{Device, Tensor};
    use burnsight_core::Target;
    use burnsight_testkit::nets;

    use super::*;

    fn measure(metric: &PixelFlipping, map: [[f32; 3]; 2]) -> Result<Reading> {
        let device = Device::default();
        let network = nets::linear(Tensor::from_data([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], &device));
        let picture = Tensor::ones([1, 1, 2, 3], &device);
        let maps = Tensor::from_data([[map]], &device);
        let subject = Subject::of_maps(&network, picture, maps, &Target::Class(0)).unwrap();
        metric.measure(&subject).map(|mut readings| readings.remove(0))
    }

    #[test]
    fn by_hand() {
        // Two regions of the columns {1, 2} and {3}, with scores 1 + 2 + 4 + 5 = 12 and 3 + 6 = 9.
        let metric = PixelFlipping { region: 2, ..PixelFlipping::default() };
        // Means 0.25 and 0.5: the second goes first. Falls: 0, 9, 21.
        let reading = measure(&metric, [[1.0, 0.0, 0.5], [0.0, 0.0, 0.5]]).unwrap();
        assert!((reading.values[0].unwrap() - 10.0).abs() < 1e-5);
        assert_eq!(reading.curve.unwrap().y[0], [Some(21.0), Some(12.0), Some(0.0)]);
        // The first goes first. Falls: 0, 12, 21.
        let reading = measure(&metric, [[1.0, 1.0, 0.5], [0.0, 1.0, 0.5]]).unwrap();
        assert!((reading.values[0].unwrap() - 11.0).abs() < 1e-5);
        // One step only: 0, 12.
        let one = PixelFlipping { steps: 1, ..metric.clone() };
        let reading = measure(&one, [[1.0, 1.0, 0.5], [0.0, 1.0, 0.5]]).unwrap();
        assert!((reading.values[0].unwrap() - 6.0).abs() < 1e-5);
        assert_eq!(measure(&metric, [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]).unwrap().values, [None]);
    }

    #[test]
    fn the_right_order_beats_the_wrong_one() {
        let metric = PixelFlipping { region: 1, ..PixelFlipping::default() };
        let right = measure(&metric, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).unwrap().values[0];
        let mixed = measure(&metric, [[3.0, 2.0, 6.0], [1.0, 5.0, 4.0]]).unwrap().values[0];
        let wrong = measure(&metric, [[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]]).unwrap().values[0];
        assert!(right > mixed && mixed > wrong, "{right:?} {mixed:?} {wrong:?}");
    }

    #[test]
    fn nothing_to_take_is_refused() {
        let refused = |metric: PixelFlipping| measure(&metric, [[0.0, 1.0, 2.0]; 2]).unwrap_err().to_string();
        assert!(refused(PixelFlipping { region: 0, ..PixelFlipping::default() }).contains("`region` is 0"));
        assert!(refused(PixelFlipping { steps: 0, ..PixelFlipping::default() }).contains("`steps` is 0"));
    }
}
