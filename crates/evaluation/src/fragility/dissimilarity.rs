//! What an attack makes large.

use burn::tensor::{Int, Tensor};
use burnsight_core::{Result, read};

use super::Attack;

/// D as a function of a gradient, for each picture.
///
/// ```text
/// s = a / Σ a        a = Σ_colours |gradient|
///
/// top-k          D = −Σ_{i in the k strongest pixels of the original} s_i
/// mass centre    D = ‖m − m₀‖²,  m = Σ_i s_i · place_i
/// ```
// There is one of them per attack.
#[allow(clippy::large_enum_variant)]
pub enum Dissimilarity {
    /// 1 at the strongest pixels of the original, `[n, 1, h, w]`.
    Top(Tensor<4>),
    /// The original centre `[n, 2, 1, 1]` and the place of every pixel `[1, 2, h, w]`.
    Center(Tensor<4>, Tensor<4>),
}

impl Dissimilarity {
    /// # Shapes
    /// - original: `[n, c, h, w]`
    pub fn new(attack: Attack, original: Tensor<4>, k: usize) -> Self {
        let [images, _, height, width] = original.dims();
        let (device, dtype) = (original.device(), original.dtype());
        let magnitude = original.abs().sum_dim(1);
        match attack {
            Attack::MassCenter => {
                let axis = |size: usize| Tensor::<1, Int>::arange(0..size as i64, &device).float().cast(dtype);
                let rows = axis(height).reshape([1, 1, height, 1]).expand([1, 1, height, width]);
                let columns = axis(width).reshape([1, 1, 1, width]).expand([1, 1, height, width]);
                let places = Tensor::cat(vec![rows, columns], 1);
                Self::Center(center(&magnitude, &places), places)
            }
            _ => {
                let flat = magnitude.flatten::<2>(1, 3);
                let strongest = flat.clone().argtopk(k, 1);
                let ones = Tensor::ones(strongest.dims(), (&device, dtype));
                let is_top = flat.zeros_like().scatter(1, strongest, ones, burn::tensor::IndexingUpdateOp::Add);
                Self::Top(is_top.reshape([images, 1, height, width]))
            }
        }
    }

    /// D of each picture.
    pub fn of(&self, gradient: &Tensor<4>) -> Result<Vec<f32>> {
        let magnitude = gradient.clone().abs().sum_dim(1);
        let value = match self {
            Self::Top(is_top) => -(magnitude.clone() * is_top.clone()).sum_dim(2).sum_dim(3) / total(&magnitude),
            Self::Center(original, places) => (center(&magnitude, places) - original.clone()).square().sum_dim(1),
        };
        read(value)
    }

    /// ∂D / ∂ gradient.
    pub fn slope(&self, gradient: Tensor<4>) -> Tensor<4> {
        let magnitude = gradient.clone().abs().sum_dim(1);
        let total = total(&magnitude);
        // ∂D / ∂a_j, the same for all colours of pixel j.
        let of_pixel = match self {
            Self::Top(is_top) => {
                let share = (magnitude * is_top.clone()).sum_dim(2).sum_dim(3) / total.clone();
                (share - is_top.clone()) / total
            }
            Self::Center(original, places) => {
                let now = center(&magnitude, places);
                let moved = now.clone() - original.clone();
                ((places.clone() - now) * moved).sum_dim(1) * 2.0 / total
            }
        };
        of_pixel * gradient.sign()
    }
}

/// Σ a of each picture, `[n, 1, 1, 1]`; never 0, so that a gradient of zeros has a centre, at the origin.
fn total(magnitude: &Tensor<4>) -> Tensor<4> {
    magnitude.clone().sum_dim(2).sum_dim(3).clamp_min(f64::from(f32::MIN_POSITIVE))
}

/// `[n, 2, 1, 1]`
fn center(magnitude: &Tensor<4>, places: &Tensor<4>) -> Tensor<4> {
    (magnitude.clone() * places.clone()).sum_dim(2).sum_dim(3) / total(magnitude)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::Seed;

    use super::*;

    #[test]
    fn by_hand() {
        let device = Device::default();
        let gradient = Tensor::<4>::from_data([[[[3.0, -1.0], [0.0, 4.0]]]], &device);
        let top = Dissimilarity::new(Attack::TopK, gradient.clone(), 1);
        // 4 of 8 lie on the strongest.
        assert_eq!(top.of(&gradient).unwrap(), [-0.5]);
        // ∂D/∂a = (½ − [strongest]) / 8, with the sign of the gradient.
        assert_eq!(read(top.slope(gradient.clone())).unwrap(), [0.0625, -0.0625, 0.0, -0.0625]);
        let center = Dissimilarity::new(Attack::MassCenter, gradient.clone(), 1);
        assert_eq!(center.of(&gradient).unwrap(), [0.0]);
        // All of it at the upper left: from row 4/8, column 5/8 to (0, 0).
        let other = Tensor::<4>::from_data([[[[2.0, 0.0], [0.0, 0.0]]]], &device);
        assert!((center.of(&other).unwrap()[0] - (0.25 + 25.0 / 64.0)).abs() < 1e-6);
    }

    #[test]
    fn slopes_are_those_of_the_values() {
        let device = Device::default();
        let draw = |stream| Seed(5).normal(stream, [1, 2, 4, 3], &device).cast(DType::F64);
        for attack in [Attack::TopK, Attack::MassCenter] {
            let dissimilarity = Dissimilarity::new(attack, draw(0), 3);
            let (gradient, direction) = (draw(1), draw(2));
            let slope = read((dissimilarity.slope(gradient.clone()) * direction.clone()).sum()).unwrap()[0];
            let at = |step: f64| dissimilarity.of(&(gradient.clone() + direction.clone() * step)).unwrap()[0];
            let numeric = (at(1e-3) - at(-1e-3)) / 2e-3;
            assert!((slope - numeric).abs() < 2e-3 * slope.abs().max(0.1), "{attack:?}: {slope} {numeric}");
        }
    }
}
