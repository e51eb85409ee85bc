//! Whether maps depend on where the zero of the input is.

mod absorb;

use burn::tensor::{Tensor, TensorData};
use burnsight_core::{Classifier, Error, Result, read, select_images};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Direction, Metric, Reading, Subject, pixel_values, spearman};

pub use absorb::shifted_network;

/// How much a map changes when the input is shifted by a constant and the first layer undoes the shift.
///
/// ```text
/// f₂(x + c) = f₁(x) for every picture x        so the maps of x + c on f₂ and of x on f₁ should be the same
///
/// relative L2   ‖Φ₂(x + c) − Φ₁(x)‖ / ‖Φ₁(x)‖, lower is better        Spearman   of the pixels, higher is better
/// ```
///
/// Kindermans et al. 2017, "The (Un)reliability of saliency methods", <https://arxiv.org/abs/1711.00867>. The two networks are the same
/// function, and only their convention of what 0 means differs. The gradient and what is made of it does not change;
/// gradient × input, and integrated gradients with a baseline of zeros, do, because 0 has become another picture.
///
/// The shift is absorbed in the bias of the first layer, as in the paper ([`shifted_network`]), and not by a layer that
/// subtracts it: a method that shares a score out layer by layer could hand all that the shift adds to that layer. The paper's
/// networks have no border of zeros; here it becomes a border of c. Before maps are compared the logits of both networks are, and
/// for every picture they must agree to 1e-4 of its largest. Costs one explanation.
///
/// # When it misleads
/// A method that has a reference (a baseline, a mean of patterns) passes if the reference is shifted as well (a blurred
/// picture is, by itself), and fails if it is left where it was: failing says that the choice of the reference decides about the
/// map. How far a map moves grows with c. Rounding flips single ReLUs: up to about 1e-3 is no change.
/// It also orders values that were equal, so Spearman's correlation of a map with many zeros falls a little below 1.
#[derive(Debug, Clone, Serialize)]
pub struct InputShift {
    /// What is added to the picture, in the unit of the model's input: one number, or one for each channel. Default: −1, the
    /// paper's, whose pictures from 0 to 1 become −1 to 0. Where pictures are normalised as ImageNet's that is about a quarter of
    /// the range; black, (0 − mean) / deviation, is shifted to 0 by its negative.
    pub shift: Vec<f32>,
}

impl InputShift {
    /// The name in the tool.
    pub const NAME: &str = "input-shift";

    /// What is added to pictures of that many channels, `[1, c or 1, 1, 1]`.
    fn added_to(&self, pictures: &Tensor<4>) -> Result<Tensor<4>> {
        let channels = pictures.dims()[1];
        if self.shift.len() != 1 && self.shift.len() != channels {
            let requirement = format!("one number, or one for each of the {channels} channels");
            return Err(Error::parameter("shift", format!("{:?}", self.shift), &requirement));
        }
        let values = TensorData::new(self.shift.clone(), [1, self.shift.len(), 1, 1]);
        Ok(Tensor::from_data(values, (&pictures.device(), pictures.dtype())))
    }
}

impl Default for InputShift {
    fn default() -> Self {
        Self { shift: vec![-1.0] }
    }
}

/// How far logits of the two networks may be apart, as a share of the largest.
const TOLERANCE: f64 = 1e-4;

impl Metric for InputShift {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Kindermans et al. 2017, The (Un)reliability of saliency methods, arXiv:1711.00867"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`] for a shift that does not fit the pictures, and those of [`shifted_network`].
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let network = subject.network(Self::NAME)?;
        let added = self.added_to(subject.images())?;
        let shifted = shifted_network(network, &self.shift)?;
        let mut distances = vec![None; subject.count()];
        let mut correlations = vec![None; subject.count()];
        subject.batches().run(subject.count(), 1, |rows| {
            let of_rows = |tensor: &Tensor<4>| select_images(tensor, rows.iter().map(|row| row.image));
            let (pictures, maps) = (of_rows(subject.images()), of_rows(&subject.attribution().map));
            let moved = pictures.clone() + added.clone();
            check_equal(network.logits(pictures)?, shifted.logits(moved.clone())?)?;
            let target = subject.target().select(rows.iter().map(|row| row.image));
            let others = subject.explain_on(Self::NAME, &shifted, moved, &target)?.map;
            for (row, distance) in rows.iter().zip(relative_distances(&maps, &others)?) {
                distances[row.image] = distance;
            }
            let values = |maps: &Tensor<4>| pixel_values(maps, subject.pixel_value());
            for ((row, map), other) in rows.iter().zip(values(&maps)?).zip(values(&others)?) {
                let wide = |map: Vec<f32>| map.into_iter().map(f64::from).collect::<Vec<_>>();
                correlations[row.image] = spearman(&wide(map), &wide(other));
            }
            Ok(())
        })?;
        Ok(vec![
            Reading::new(format!("{}, relative L2", Self::NAME), Direction::Lower, distances),
            Reading::new(format!("{}, Spearman", Self::NAME), Direction::Higher, correlations),
        ])
    }
}

/// ‖other − map‖ / ‖map‖ of each picture, over all colours; `None` for a map of zeros.
fn relative_distances(maps: &Tensor<4>, others: &Tensor<4>) -> Result<Vec<Option<f64>>> {
    let numbers = maps.dims()[1..].iter().product();
    let (maps, others) = (read(maps.clone())?, read(others.clone())?);
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let distance = |(map, other): (&[f32], &[f32])| {
        let change = length(&mut map.iter().zip(other).map(|(map, other)| f64::from(*other) - f64::from(*map)));
        let length = length(&mut map.iter().copied().map(f64::from));
        (length > 0.0).then(|| change / length)
    };
    Ok(maps.chunks(numbers).zip(others.chunks(numbers)).map(distance).collect())
}

/// Refuses to go on where the two networks are not the same function.
fn check_equal(logits: Tensor<2>, shifted: Tensor<2>) -> Result<()> {
    let apart = read((logits.clone() - shifted).abs().max_dim(1))?;
    let sizes = read(logits.abs().max_dim(1))?;
    let is_equal = |(apart, size): &(&f32, &f32)| f64::from(**apart) <= TOLERANCE * f64::from(**size);
    match apart.iter().zip(&sizes).find(|pair| !is_equal(pair)) {
        None => Ok(()),
        Some((apart, size)) => Err(Error::unsupported(
            InputShift::NAME,
            format!("the shifted network's logits are {apart:.1e} off, of {size:.1e}: make the shift smaller"),
        )),
    }
}

#[cfg(test)]
mod tests;
