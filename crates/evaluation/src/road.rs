//! ROAD: remove and debias.

mod imputation;

use burn::tensor::{Tensor, TensorData};
use burnsight_core::{Error, Result, Row, Seed, read};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Curve, Direction, Metric, Reading, Subject,
    replacement::{places, points},
};
use imputation::impute;

/// How the probability of the explained class falls when pixels are removed so that one cannot see where.
///
/// ```text
/// most relevant first     MoRF = mean over the shares s of p(picture without its strongest share s of pixels)     lower is better
/// least relevant first    LeRF = the same without its weakest share                                              higher is better
/// combined                (LeRF − MoRF) / 2                                                                      higher is better
///
/// a removed pixel   = Σ weight · neighbour / Σ weight  + N(0, noise²)        weight 1/6 beside it, 1/12 across; removed neighbours too
/// ```
///
/// Rong et al. 2022, "A Consistent and Efficient Evaluation Strategy for Attribution Methods" (ROAD),
/// <https://arxiv.org/abs/2202.00449>. A hole of one colour shows its shape, and a model may read the shape. Here every removed pixel
/// is the mean of its neighbours, which is one linear system for all of them and one per colour, and a little noise. At
/// the border of the picture there are fewer neighbours. p is the softmax probability of the explained class. A map that
/// is the same everywhere orders nothing and has no value.
///
/// Costs a forward pass and a sparse system (Cholesky, in double precision, on the CPU) for each share and both orders.
///
/// # When it misleads
/// The mean of neighbours leaves large shapes: where half of the pixels remain, scattered all over, the picture is still there.
/// The combined value of a map of noise is 0, not 0.5.
///
/// # Where libraries differ
/// pytorch-grad-cam 1.5: these neighbours, noise and shares; the model's outputs as they are instead of probabilities, and
/// MoRF and LeRF as differences from the whole picture, which cancels in the combined value. It cuts at percentiles, which may differ from our
/// rounded counts by a pixel. Quantus 0.6: shares from 1 to
/// 99 % in steps of 2, whether the class stays first, most relevant first only.
#[derive(Debug, Clone, Serialize)]
pub struct Road {
    /// Shares of the pixels that are removed, above 0 and below 1. Default: 0.1 to 0.9 in steps of 0.1.
    pub shares: Vec<f64>,
    /// Standard deviation of the noise on removed pixels, in the unit of the model's input. Default: 0.01.
    pub noise: f64,
    /// Where the noise starts. Default: 0.
    pub seed: Seed,
}

impl Road {
    /// The name in the tool.
    pub const NAME: &str = "road";

    fn check(&self) -> Result<()> {
        if self.shares.is_empty() {
            return Err(Error::parameter("shares", "empty", "at least one share of the pixels"));
        }
        if let Some(share) = self.shares.iter().find(|share| !(**share > 0.0 && **share < 1.0)) {
            return Err(Error::parameter("shares", share, "each above 0 and below 1"));
        }
        match self.noise.is_finite() && self.noise >= 0.0 {
            true => Ok(()),
            false => Err(Error::parameter("noise", self.noise, "a standard deviation of at least 0")),
        }
    }
}

impl Default for Road {
    fn default() -> Self {
        Self { shares: (1..10).map(|tenth| f64::from(tenth) / 10.0).collect(), noise: 0.01, seed: Seed(0) }
    }
}

impl Metric for Road {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Rong et al. 2022, A Consistent and Efficient Evaluation Strategy for Attribution Methods, arXiv:2202.00449"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`] for settings out of range, and [`Error::Target`] when not a class was explained.
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        self.check()?;
        let maps = subject.pixel_values()?;
        let strongest = self.curves(subject, maps.iter().map(|map| places(map)).collect())?;
        let negative = |map: &Vec<f32>| places(&map.iter().map(|value| -value).collect::<Vec<_>>());
        let weakest = self.curves(subject, maps.iter().map(negative).collect())?;
        let combined = strongest.iter().zip(&weakest).map(|(strongest, weakest)| {
            let pairs = strongest.as_ref()?.iter().zip(weakest.as_ref()?);
            Some(pairs.map(|(most, least)| (least - most) / 2.0).collect::<Vec<f64>>())
        });
        let combined = combined.collect();
        Ok(vec![
            self.reading("most relevant first", Direction::Lower, strongest),
            self.reading("least relevant first", Direction::Higher, weakest),
            self.reading("combined", Direction::Higher, combined),
        ])
    }
}

impl Road {
    fn reading(&self, order: &str, direction: Direction, curves: Vec<Option<Vec<f64>>>) -> Reading {
        let mean = |curve: &Vec<f64>| curve.iter().sum::<f64>() / curve.len() as f64;
        let values = curves.iter().map(|curve| curve.as_ref().map(mean)).collect();
        let curve = Curve {
            x_label: "share of pixels removed".into(),
            y_label: "probability of the explained class".into(),
            x: self.shares.clone(),
            ticks: Vec::new(),
            y: points(curves, self.shares.len()),
        };
        Reading::new(format!("{}, {order}", Self::NAME), direction, values).with_curve(curve)
    }

    /// The probability at every share, of the pictures whose pixels have an order.
    fn curves(&self, subject: &Subject<'_>, places: Vec<Option<Vec<f32>>>) -> Result<Vec<Option<Vec<f64>>>> {
        let [_, channels, height, width] = subject.images().dims();
        let (pixels, device) = (height * width, subject.images().device());
        let images = read(subject.images().clone())?;
        let ordered: Vec<usize> = (0..places.len()).filter(|image| places[*image].is_some()).collect();
        let counts: Vec<f32> = self.shares.iter().map(|share| (share * pixels as f64).round() as f32).collect();
        let noise: Vec<Vec<f32>> = (0..self.shares.len())
            .map(|share| read(self.seed.normal(share as u64, [channels * pixels], &device)))
            .collect::<Result<_>>()?;
        let mut curves: Vec<Option<Vec<f64>>> =
            places.iter().map(|places| places.as_ref().map(|_| Vec::new())).collect();
        subject.batches().run(ordered.len(), self.shares.len(), |rows| {
            let rows: Vec<Row> = rows.iter().map(|row| Row { image: ordered[row.image], sample: row.sample }).collect();
            let fill = |row: &Row| -> Result<Vec<f32>> {
                let mut picture = images[row.image * channels * pixels..][..channels * pixels].to_vec();
                let count = counts[row.sample];
                let places = places[row.image].iter().flatten();
                let is_removed: Vec<bool> = places.map(|place| *place < count).collect();
                impute(&mut picture, &is_removed, [height, width])?;
                for (index, value) in picture.iter_mut().enumerate().filter(|(index, _)| is_removed[index % pixels]) {
                    *value += self.noise as f32 * noise[row.sample][index];
                }
                Ok(picture)
            };
            let filled: Vec<f32> = rows.par_iter().map(fill).collect::<Result<Vec<_>>>()?.concat();
            let filled = TensorData::new(filled, [rows.len(), channels, height, width]);
            let filled = Tensor::from_data(filled, (&device, subject.images().dtype()));
            for (row, probability) in rows.iter().zip(subject.probabilities(filled, &rows)?) {
                curves[row.image].iter_mut().for_each(|curve| curve.push(f64::from(probability)));
            }
            Ok(())
        })?;
        Ok(curves)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::{MicroBatcher, Target, select_images};
    use burnsight_testkit::nets;

    use super::*;

    /// One bright pixel on black, and a model that looks at nothing else.
    fn spot() -> (burnsight_network::Network, Tensor<4>) {
        let device = Device::default();
        let mut spot = vec![0.0f32; 2 * 25];
        spot[12] = 1.0;
        let network = nets::linear(Tensor::from_data(TensorData::new(spot.clone(), [2, 25]), &device));
        (network, Tensor::from_data(TensorData::new(spot[..25].to_vec(), [1, 1, 5, 5]), &device))
    }

    fn road(map: Vec<f32>) -> Vec<Reading> {
        let (network, picture) = spot();
        let maps = Tensor::from_data(TensorData::new(map, [1, 1, 5, 5]), &picture.device());
        let subject = Subject::of_maps(&network, picture, maps, &Target::Class(0)).unwrap();
        let metric = Road { noise: 0.0, shares: vec![0.04, 0.48], ..Road::default() };
        metric.measure(&subject).unwrap()
    }

    #[test]
    fn the_spot_goes_first_or_last() {
        let (on, off) = (1.0 / (1.0 + (-1.0f64).exp()), 0.5);
        let mut right = vec![0.0; 25];
        right[12] = 1.0;
        // Most relevant first, the spot is gone at both shares and is filled with the black around it.
        let values: Vec<f64> = road(right.clone()).iter().map(|reading| reading.values[0].unwrap()).collect();
        let expected = [off, on, (on - off) / 2.0];
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}");
        // The inverted map does the opposite.
        let values: Vec<f64> =
            road(right.iter().map(|value| -value).collect()).iter().map(|reading| reading.values[0].unwrap()).collect();
        assert!(values[2] < -0.1 && (values[2] + (on - off) / 2.0).abs() < 1e-6, "{values:?}");
        assert!(road(vec![0.2; 25]).iter().all(|reading| reading.values == [None]));
    }

    #[test]
    fn a_pictures_value_does_not_depend_on_its_company() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let pictures = nets::pictures([3, 3, 8, 6], &device, DType::F32);
        let maps = nets::pictures([3, 1, 8, 6], &device, DType::F32);
        let measure = |images: &[usize], batch: usize| {
            let pick = |tensor: &Tensor<4>| select_images(tensor, images.iter().copied());
            let subject = Subject::of_maps(&network, pick(&pictures), pick(&maps), &Target::Class(1)).unwrap();
            let subject = subject.with_batches(MicroBatcher::new(batch).unwrap());
            let readings = Road { noise: 0.3, ..Road::default() }.measure(&subject).unwrap();
            readings.into_iter().flat_map(|reading| reading.values).map(Option::unwrap).collect::<Vec<f64>>()
        };
        let (all, again, alone) = (measure(&[0, 1, 2], 2), measure(&[0, 1, 2], 7), measure(&[1], 2));
        assert!(all.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!([1, 4, 7].iter().zip(&alone).all(|(index, value)| (all[*index] - value).abs() < 1e-6));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let (network, picture) = spot();
        let subject = Subject::of_maps(&network, picture.clone(), picture, &Target::Class(0)).unwrap();
        let refused = |metric: Road| metric.measure(&subject).unwrap_err().to_string();
        assert!(refused(Road { shares: vec![0.5, 1.0], ..Road::default() }).contains("`shares` is 1"));
        assert!(refused(Road { shares: vec![], ..Road::default() }).contains("`shares` is empty"));
        assert!(refused(Road { noise: f64::NAN, ..Road::default() }).contains("`noise` is NaN"));
    }
}
