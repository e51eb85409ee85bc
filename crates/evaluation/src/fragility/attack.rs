//! How pictures are changed.

use burn::tensor::Tensor;
use burnsight_core::{Differentiable, Result, Row, Target, select_images};
use burnsight_network::{ExactGradient, Function, Layer, Network};
use serde::Serialize;

use super::{Fragility, dissimilarity::Dissimilarity};
use crate::{Subject, rebuild::rebuild};

/// Mean change of a number (root of the mean square) on either side of a picture for second derivatives: small for a softplus,
/// large for single precision.
const DIFFERENCE: f64 = 1e-3;

/// A way to change a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Every number by ±ε at random.
    RandomSign,
    /// Against the strongest pixels.
    TopK,
    /// Against the centre of mass.
    MassCenter,
}

impl Attack {
    /// All three.
    pub const ALL: [Attack; 3] = [Attack::RandomSign, Attack::TopK, Attack::MassCenter];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::RandomSign => "random sign",
            Self::TopK => "top-k",
            Self::MassCenter => "mass centre",
        }
    }
}

/// What an iterative attack looks into.
pub struct Networks<'n> {
    /// Whose gradient is attacked.
    network: &'n Network,
    /// The same with softplus in place of ReLU, for the second derivatives.
    smooth: Network,
}

impl<'n> Networks<'n> {
    pub fn new(network: &'n Network, steepness: f64) -> Result<Self> {
        let softplus = Layer::Function(Function::Softplus { steepness });
        let smooth = rebuild(network, |builder, _, node, inputs| {
            let layer = if matches!(node.layer(), Layer::Relu) { &softplus } else { node.layer() };
            builder.add(node.name(), layer.clone(), inputs)
        })?;
        Ok(Self { network, smooth })
    }
}

impl Fragility {
    /// The pictures `[rows, c, h, w]` after an attack, and for each whether it kept its class.
    pub(super) fn attack_rows(
        &self,
        subject: &Subject<'_>,
        rows: &[Row],
        attack: Attack,
        epsilon: f32,
        networks: Option<&Networks<'_>>,
    ) -> Result<(Tensor<4>, Vec<bool>)> {
        let pictures = select_images(subject.images(), rows.iter().map(|row| row.image));
        let [_, channels, height, width] = pictures.dims();
        // The same signs for every picture, as everything random.
        let uniform = self.seed.uniform(0, [1, channels, height, width], &pictures.device()).cast(pictures.dtype());
        let signs = uniform.greater_equal_elem(0.5).float().cast(pictures.dtype()) * 2.0 - 1.0;
        let signs = signs.expand(pictures.dims());
        match networks {
            None => {
                let classes = |pictures: &Tensor<4>| top_classes(&subject.model().logits(pictures.clone())?);
                let changed = pictures.clone() + signs * epsilon;
                let kept = same(&classes(&changed)?, &classes(&pictures)?);
                Ok((changed, kept))
            }
            Some(networks) => {
                let target = subject.target().select(rows.iter().map(|row| row.image));
                let changed = self.climb(networks, attack, pictures, signs, epsilon, &target)?;
                Ok((changed, vec![true; rows.len()]))
            }
        }
    }

    /// The pictures of the largest dissimilarity on the way, among those that keep their class; if there are none, unchanged.
    fn climb(
        &self,
        Networks { network, smooth }: &Networks<'_>,
        attack: Attack,
        pictures: Tensor<4>,
        signs: Tensor<4>,
        epsilon: f32,
        target: &Target,
    ) -> Result<Tensor<4>> {
        let [_, _, height, width] = pictures.dims();
        let look = |pictures: &Tensor<4>| {
            let trace = network.record(pictures.clone())?;
            let gradient = trace.input_gradient(target, &ExactGradient)?.gradient;
            Ok((gradient, top_classes(&trace.logits())?))
        };
        let step = epsilon / 5.0;
        let (lowest, highest) = (pictures.clone() - epsilon, pictures.clone() + epsilon);
        let within = |changed: Tensor<4>| changed.min_pair(highest.clone()).max_pair(lowest.clone());
        let (gradient, wanted) = look(&pictures)?;
        let dissimilarity = Dissimilarity::new(attack, gradient.clone(), self.top(height * width));
        let mut best = (pictures.clone(), dissimilarity.of(&gradient)?);
        // Away from the picture, where the centre has not moved and nothing says in which direction it could.
        let mut now = within(pictures + signs * step);
        for taken in 0..=self.steps {
            let (gradient, classes) = look(&now)?;
            let is_kept = same(&classes, &wanted);
            let values = dissimilarity.of(&gradient)?;
            let values = values.iter().zip(is_kept).map(|(value, kept)| if kept { *value } else { f32::NEG_INFINITY });
            best = keep_larger(best, now.clone(), values.collect());
            if taken < self.steps {
                let slope = dissimilarity.slope(smooth.gradient(now.clone(), target)?.gradient);
                let direction = hessian_times(smooth, &now, target, slope)?;
                now = within(now + direction.sign() * step);
            }
        }
        Ok(best.0)
    }
}

/// H(x) · v for each picture, H the second derivatives of its score: from the difference of the gradients on either side of it.
fn hessian_times(network: &Network, pictures: &Tensor<4>, target: &Target, v: Tensor<4>) -> Result<Tensor<4>> {
    let [images, channels, height, width] = pictures.dims();
    let length = v.clone().square().flatten::<2>(1, 3).sum_dim(1).sqrt().reshape([images, 1, 1, 1]);
    let size = DIFFERENCE * ((channels * height * width) as f64).sqrt();
    let step = v / length.clone().clamp_min(f64::from(f32::MIN_POSITIVE)) * size;
    let ahead = network.gradient(pictures.clone() + step.clone(), target)?.gradient;
    let behind = network.gradient(pictures.clone() - step, target)?.gradient;
    Ok((ahead - behind) * (length / (2.0 * size)))
}

/// The top class of every picture.
pub(super) fn top_classes(logits: &Tensor<2>) -> Result<Vec<usize>> {
    let Target::Classes(classes) = Target::Top.pin(logits)? else {
        unreachable!("the top class of each picture is a class of each picture");
    };
    Ok(classes)
}

fn same(classes: &[usize], wanted: &[usize]) -> Vec<bool> {
    classes.iter().zip(wanted).map(|(class, wanted)| class == wanted).collect()
}

/// Of each picture the one with the larger dissimilarity.
fn keep_larger(best: (Tensor<4>, Vec<f32>), other: Tensor<4>, values: Vec<f32>) -> (Tensor<4>, Vec<f32>) {
    let count = values.len();
    let pick = values.iter().zip(&best.1).enumerate();
    let pick = pick.map(|(index, (value, best))| if value > best { count + index } else { index });
    let pictures = select_images(&Tensor::cat(vec![best.0, other], 0), pick);
    (pictures, values.iter().zip(&best.1).map(|(value, best)| value.max(*best)).collect())
}

#[cfg(test)]
mod tests;
