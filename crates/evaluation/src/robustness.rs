use burn::tensor::Tensor;
use burnsight_core::{Error, Result, Seed, read, select_images};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Direction, Metric, Reading, Subject, removal::check_least};

/// Max-sensitivity: how far does the map move when the picture hardly changes?
///
/// ```text
/// value    = max over δ of  ‖A(x + δ) − A(x)‖ / ‖A(x)‖          δ   every value uniform in [−radius, radius]
/// ```
///
/// Yeh et al. 2019, <https://arxiv.org/abs/1901.09392>. The lower the better. Undefined for a map of zeros, unless
/// `relative` is off.
///
/// # Cost
/// `samples` times the method.
///
/// # When it misleads
/// - A map that never changes is perfectly stable: an edge detector, or a constant. Read it beside a measure of
///   faithfulness.
/// - Random noise seldom finds the worst case; an attack (fragility) does. The value grows with `samples`.
/// - Noise may change the prediction. The same class is explained all the same: the one that was for the clean
///   picture.
///
/// # Where ours differs
/// The paper does not divide by ‖A(x)‖ (`relative` off): its numbers depend on the map's unit. captum and Quantus
/// divide. captum: radius 0.02, 10 samples, as here. Quantus: radius 0.2, 200 samples, and an option that leaves out
/// noise that changes the prediction. xplique: mean instead of maximum, noise in [0, 0.1), not divided.
#[derive(Debug, Clone, Serialize)]
pub struct MaxSensitivity {
    /// Largest change of a value, in units of the model's input. Default: 0.02.
    pub radius: f64,
    /// Changed copies of every picture. Default: 10.
    pub samples: usize,
    /// Whether the change is divided by the map's norm. Default: yes.
    pub relative: bool,
    /// Where the noise starts. Default: 0.
    pub seed: Seed,
}

/// Local Lipschitz estimate: how far does the map move, measured by how far the picture does?
///
/// ```text
/// value    = max over δ of  ‖A(x + δ) − A(x)‖ / ‖δ‖          δ   every value uniform in [−radius, radius]
/// ```
///
/// Alvarez-Melis & Jaakkola 2018, <https://arxiv.org/abs/1806.08049>. The lower the better. It is in units of the map
/// per unit of the model's input: compare pictures, or methods whose maps share a unit.
///
/// # Cost
/// `samples` times the method.
///
/// # When it misleads
/// As [`MaxSensitivity`].
///
/// # Where ours differs
/// The paper looks for the maximum with an optimiser, or among the pictures of a data set; random samples bound it
/// from below, as in Quantus, which draws 200 times with normal noise of deviation 0.1.
#[derive(Debug, Clone, Serialize)]
pub struct LocalLipschitz {
    /// Largest change of a value, in units of the model's input. Default: 0.02.
    pub radius: f64,
    /// Changed copies of every picture. Default: 10.
    pub samples: usize,
    /// Where the noise starts. Default: 0.
    pub seed: Seed,
}

impl Default for MaxSensitivity {
    fn default() -> Self {
        Self { radius: 0.02, samples: 10, relative: true, seed: Seed(0) }
    }
}

impl Default for LocalLipschitz {
    fn default() -> Self {
        Self { radius: 0.02, samples: 10, seed: Seed(0) }
    }
}

impl MaxSensitivity {
    /// The name in the tool and in readings.
    pub const NAME: &str = "max-sensitivity";

    pub(crate) fn values(&self, subject: &Subject<'_>, noise: impl Fn(usize) -> Tensor<4>) -> Result<Vec<Option<f64>>> {
        let moves = moves(Self::NAME, subject, self.samples, noise)?;
        let map = subject.attribution().map.clone().inner();
        let norms = norms(&read(map)?, subject.count());
        let value = |(moves, norm): (Vec<Move>, f64)| {
            let most = largest(moves.iter().map(|moved| moved.map))?;
            match self.relative {
                true => (norm > 0.0).then(|| most / norm),
                false => Some(most),
            }
        };
        Ok(moves.into_iter().zip(norms).map(value).collect())
    }
}

impl LocalLipschitz {
    /// The name in the tool and in readings.
    pub const NAME: &str = "local-lipschitz";

    pub(crate) fn values(&self, subject: &Subject<'_>, noise: impl Fn(usize) -> Tensor<4>) -> Result<Vec<Option<f64>>> {
        let moves = moves(Self::NAME, subject, self.samples, noise)?;
        let ratio = |moved: &Move| (moved.picture > 0.0).then(|| moved.map / moved.picture);
        Ok(moves.iter().map(|moves| largest(moves.iter().filter_map(ratio))).collect())
    }
}

impl Metric for MaxSensitivity {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Yeh et al. 2019, https://arxiv.org/abs/1901.09392"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        check(self.radius, self.samples)?;
        let values = self.values(subject, in_ball(subject, self.radius, self.seed))?;
        Ok(vec![Reading::new(Self::NAME, Direction::Lower, values)])
    }
}

impl Metric for LocalLipschitz {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Alvarez-Melis & Jaakkola 2018, https://arxiv.org/abs/1806.08049"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        check(self.radius, self.samples)?;
        let values = self.values(subject, in_ball(subject, self.radius, self.seed))?;
        Ok(vec![Reading::new(Self::NAME, Direction::Lower, values)])
    }
}

/// The largest of some numbers; none where one is not finite, because then a map was not.
fn largest(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let all: Vec<f64> = numbers.collect();
    all.iter().all(|number| number.is_finite()).then(|| all.into_iter().reduce(f64::max)).flatten()
}

/// How far a picture and its map moved.
#[derive(Debug, Clone, Copy)]
struct Move {
    map: f64,
    picture: f64,
}

fn check(radius: f64, samples: usize) -> Result<()> {
    if !radius.is_finite() || radius <= 0.0 {
        return Err(Error::parameter("radius", radius, "a positive number in units of the model's input"));
    }
    check_least("samples", samples, 1)
}

/// Uniform noise, one stream per sample: `[1, c, h, w]`.
fn in_ball(subject: &Subject<'_>, radius: f64, seed: Seed) -> impl Fn(usize) -> Tensor<4> {
    let images = subject.images();
    let ([_, channels, height, width], device, dtype) = (images.dims(), images.device(), images.dtype());
    move |sample| {
        let shares = seed.uniform(sample as u64, [1, channels, height, width], &device).cast(dtype);
        (shares * 2.0 - 1.0) * radius
    }
}

/// Explains every picture with noise on it, the class that was explained before.
fn moves(
    metric: &str,
    subject: &Subject<'_>,
    samples: usize,
    noise: impl Fn(usize) -> Tensor<4>,
) -> Result<Vec<Vec<Move>>> {
    let (images, map) = (subject.images(), subject.attribution().map.clone().inner());
    let mut moves = vec![Vec::with_capacity(samples); subject.count()];
    subject.batches().run(subject.count(), samples, |rows| {
        let of = || rows.iter().map(|row| row.image);
        let clean = select_images(images, of());
        let changed = clean.clone() + Tensor::cat(rows.iter().map(|row| noise(row.sample)).collect(), 0);
        let target = subject.target().select(of());
        let explained = subject.explain(metric, changed.clone(), &target)?.map.inner();
        // The noise as it arrived: rounding has its part in it.
        let pictures = norms(&read(changed - clean)?, rows.len());
        let maps = norms(&read(explained - select_images(&map, of()))?, rows.len());
        for ((row, map), picture) in rows.iter().zip(maps).zip(pictures) {
            moves[row.image].push(Move { map, picture });
        }
        Ok(())
    })?;
    Ok(moves)
}

/// The Euclidean norm of each of `count` equal parts.
pub(crate) fn norms(values: &[f32], count: usize) -> Vec<f64> {
    let square = |value: &f32| f64::from(*value).powi(2);
    values.chunks(values.len() / count).map(|part| part.iter().map(square).sum::<f64>().sqrt()).collect()
}
