//! How maps change with small changes of the picture.

use burn::tensor::Tensor;
use burnsight_core::{Error, Result, Row, Seed, read, select_images};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Direction, Metric, Reading, Subject};

/// How much a map can change when the picture changes by less than anyone sees. Lower is better.
///
/// ```text
/// max over δ of ‖Φ(x + δ) − Φ(x)‖ / ‖Φ(x)‖        δ uniform in [−radius, radius] for every number of the picture
/// ```
///
/// Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", <https://arxiv.org/abs/1901.09392>, estimated by `samples`
/// draws, which can only find too little. Φ is the signed map as it is, ‖·‖ the root of the sum of squares. The class that is
/// explained stays that of x. A map that is zero everywhere has no value.
///
/// Costs as many explanations as samples.
///
/// # When it misleads
/// A map that is the same for every picture is the most robust of all. A model that is fragile itself deserves fragile maps. Noise
/// is seldom the worst change: see [`Fragility`](crate::Fragility).
///
/// # Where libraries differ
/// captum 0.9: the same (its default radius and samples are ours). The paper's formula does not divide by ‖Φ(x)‖, its
/// experiments do. Quantus 0.6: ±0.2, 200 samples. xplique 2.0: noise of one sign, the mean instead of the maximum, not divided.
#[derive(Debug, Clone, Serialize)]
pub struct MaxSensitivity {
    /// Largest change of a number, in the unit of the model's input. Default: 0.02.
    pub radius: f64,
    /// How many changes are tried. Default: 10.
    pub samples: usize,
    /// Where they start. Default: 0.
    pub seed: Seed,
}

/// How fast a map changes with the picture, in the worst of some directions. Lower is better.
///
/// ```text
/// max over x' of ‖Φ(x) − Φ(x')‖ / ‖x − x'‖        x' as for MaxSensitivity
/// ```
///
/// Alvarez-Melis & Jaakkola 2018, "On the Robustness of Interpretability Methods", <https://arxiv.org/abs/1806.08049>. The unit is
/// that of the map per unit of the picture, so methods of different units cannot be compared with each other; their
/// [`MaxSensitivity`] can. Costs as many explanations as samples.
///
/// # Where libraries differ
/// The paper looks for the worst x' in a ball by optimisation; here and in Quantus 0.6 (Gaussian noise of 0.1, 200 samples) it is the
/// worst of some random ones, a lower bound.
#[derive(Debug, Clone, Serialize)]
pub struct LocalLipschitz {
    /// Largest change of a number, in the unit of the model's input. Default: 0.02.
    pub radius: f64,
    /// How many changes are tried. Default: 10.
    pub samples: usize,
    /// Where they start. Default: 0.
    pub seed: Seed,
}

impl MaxSensitivity {
    /// The name in the tool.
    pub const NAME: &str = "max-sensitivity";
}

impl Default for MaxSensitivity {
    fn default() -> Self {
        Self { radius: 0.02, samples: 10, seed: Seed(0) }
    }
}

impl LocalLipschitz {
    /// The name in the tool.
    pub const NAME: &str = "local-lipschitz";
}

impl Default for LocalLipschitz {
    fn default() -> Self {
        Self { radius: 0.02, samples: 10, seed: Seed(0) }
    }
}

impl Metric for MaxSensitivity {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations, arXiv:1901.09392"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`] for settings out of range.
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let norms = norms(&subject.attribution().map)?;
        let ball = Ball { radius: self.radius, samples: self.samples, seed: self.seed };
        let values = ball.worst(Self::NAME, subject, |change, image| change.map / norms[image])?;
        let values = values.into_iter().zip(&norms).map(|(value, norm)| (*norm > 0.0).then_some(value)).collect();
        Ok(vec![Reading::new(Self::NAME, Direction::Lower, values)])
    }
}

impl Metric for LocalLipschitz {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Alvarez-Melis & Jaakkola 2018, On the Robustness of Interpretability Methods, arXiv:1806.08049"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`] for settings out of range.
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let ball = Ball { radius: self.radius, samples: self.samples, seed: self.seed };
        let values = ball.worst(Self::NAME, subject, |change, _| change.map / change.picture)?;
        Ok(vec![Reading::new(Self::NAME, Direction::Lower, values.into_iter().map(Some).collect())])
    }
}

/// Random pictures around each picture.
struct Ball {
    radius: f64,
    samples: usize,
    seed: Seed,
}

/// The lengths of the differences.
struct Change {
    map: f64,
    picture: f64,
}

impl Ball {
    /// The largest of what `measure` makes of the changes of each picture.
    fn worst(&self, metric: &str, subject: &Subject<'_>, measure: impl Fn(Change, usize) -> f64) -> Result<Vec<f64>> {
        if !(self.radius.is_finite() && self.radius > 0.0) {
            return Err(Error::parameter("radius", self.radius, "above 0"));
        }
        if self.samples == 0 {
            return Err(Error::parameter("samples", 0, "at least 1"));
        }
        let [images, channels, height, width] = subject.images().dims();
        let mut worst = vec![0.0f64; images];
        subject.batches().run(images, self.samples, |rows| {
            let of_rows = |tensor: &Tensor<4>| select_images(tensor, rows.iter().map(|row| row.image));
            let draw = |row: &Row| {
                self.seed.uniform(row.sample as u64, [1, channels, height, width], &subject.images().device())
            };
            let noise = Tensor::cat(rows.iter().map(draw).collect(), 0).cast(subject.images().dtype());
            let noise = (noise * 2.0 - 1.0) * self.radius;
            let target = subject.target().select(rows.iter().map(|row| row.image));
            let changed = subject.explain(metric, of_rows(subject.images()) + noise.clone(), &target)?;
            let maps = norms(&(changed.map - of_rows(&subject.attribution().map)))?;
            for ((row, map), picture) in rows.iter().zip(maps).zip(norms(&noise)?) {
                worst[row.image] = worst[row.image].max(measure(Change { map, picture }, row.image));
            }
            Ok(())
        })?;
        Ok(worst)
    }
}

/// The root of the sum of squares of each.
fn norms(maps: &Tensor<4>) -> Result<Vec<f64>> {
    let squares: Tensor<2> = maps.clone().inner().square().flatten::<2>(1, 3).sum_dim(1);
    Ok(read(squares)?.into_iter().map(|square| f64::from(square).sqrt()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::{MicroBatcher, Target};
    use burnsight_input_x_gradient::InputXGradient;
    use burnsight_testkit::nets;
    use burnsight_vanilla_gradient::VanillaGradient;

    use super::*;

    #[test]
    fn linear_nets_by_hand() {
        let device = Device::default();
        let network = nets::linear(Tensor::from_data([[2.0, 2.0]], &device));
        let picture = Tensor::from_data([[[[3.0, 4.0]]]], &device);
        let value = |metric: &dyn Metric, method| {
            let subject = Subject::of_network(&network, method, picture.clone(), &Target::Class(0)).unwrap();
            metric.measure(&subject).unwrap()[0].values[0].unwrap()
        };
        // The gradient is the same everywhere.
        assert_eq!(value(&MaxSensitivity::default(), &VanillaGradient), 0.0);
        // Gradient × input is 2x: it changes by 2δ, twice as much as the picture.
        assert!((value(&LocalLipschitz::default(), &InputXGradient) - 2.0).abs() < 1e-4);
        // And relative to its length, by ‖2δ‖ / ‖2x‖: at most √2 · radius / 5, and near that in the worst of 200.
        let many = MaxSensitivity { radius: 0.5, samples: 200, ..MaxSensitivity::default() };
        let worst = 2.0f64.sqrt() * 0.5 / 5.0;
        assert!((0.9 * worst..=worst).contains(&value(&many, &InputXGradient)));
    }

    #[test]
    fn more_samples_find_no_less_whatever_the_batch() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let pictures = nets::pictures([3, 3, 8, 8], &device, DType::F32);
        let measure = |samples: usize, batch: usize, pictures: Tensor<4>| {
            let subject = Subject::of_network(&network, &VanillaGradient, pictures, &Target::Class(1)).unwrap();
            let subject = subject.with_batches(MicroBatcher::new(batch).unwrap());
            let metric = MaxSensitivity { samples, radius: 0.3, ..MaxSensitivity::default() };
            metric.measure(&subject).unwrap()[0].values.iter().map(|value| value.unwrap()).collect::<Vec<_>>()
        };
        let (few, many) = (measure(3, 2, pictures.clone()), measure(12, 5, pictures.clone()));
        assert!(few.iter().zip(&many).all(|(few, many)| *few > 0.0 && few <= &(many + 1e-6)));
        let alone = measure(12, 2, select_images(&pictures, [2]));
        assert!((alone[0] - many[2]).abs() < 1e-5);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let pictures = nets::pictures([1, 3, 8, 8], &device, DType::F32);
        let maps = Subject::of_maps(&network, pictures.clone(), pictures.zeros_like(), &Target::Top).unwrap();
        let refused = |metric: MaxSensitivity, subject: &Subject<'_>| metric.measure(subject).unwrap_err().to_string();
        assert!(refused(MaxSensitivity::default(), &maps).contains("give it the method"));
        let subject = Subject::of_network(&network, &VanillaGradient, pictures, &Target::Top).unwrap();
        assert!(refused(MaxSensitivity { samples: 0, ..Default::default() }, &subject).contains("`samples` is 0"));
        assert!(refused(MaxSensitivity { radius: -1.0, ..Default::default() }, &subject).contains("`radius` is -1"));
    }
}
