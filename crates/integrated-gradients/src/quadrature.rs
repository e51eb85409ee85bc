//! Where on the path the gradient is taken, and how much it counts.

use std::num::NonZeroUsize;

use burnsight_core::{Error, Result};
use gauss_quad::GaussLegendre;
use serde::{Deserialize, Serialize};

/// How the integral over the path becomes a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quadrature {
    /// Exact for polynomials up to degree 2 n − 1; neither the baseline nor the picture itself is looked at.
    #[default]
    GaussLegendre,
    /// k / n for k = 0, … n − 1: from the baseline to just before the picture.
    Left,
    /// k / n for k = 1, … n: from just behind the baseline to the picture, as in the paper.
    Right,
    /// (k + ½) / n: the middle of every interval.
    Midpoint,
    /// k / (n − 1): both ends, which count half. At least 2 steps.
    Trapezoid,
}

/// One place on the path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// Where: 0 is the baseline, 1 the picture.
    pub position: f64,
    /// How much the gradient there counts; the weights of a path sum to 1.
    pub weight: f64,
}

impl Quadrature {
    /// More steps are refused.
    pub const MOST_STEPS: usize = 1_000_000;

    /// The places on the path, from the baseline to the picture: as many as steps.
    ///
    /// # Errors
    /// [`Error::Parameter`] for no steps, a single one of the trapezoid rule, or more than
    /// [`MOST_STEPS`](Self::MOST_STEPS).
    pub fn nodes(self, steps: usize) -> Result<Vec<Node>> {
        let least = if self == Self::Trapezoid { 2 } else { 1 };
        let fits = |steps: &NonZeroUsize| (least..=Self::MOST_STEPS).contains(&steps.get());
        let Some(degree) = NonZeroUsize::new(steps).filter(fits) else {
            let requirement = format!("{self:?} takes {least} to {} steps", Self::MOST_STEPS);
            return Err(Error::parameter("steps", steps, &requirement));
        };
        let even = |offset: f64| {
            let node = |k| Node { position: (k as f64 + offset) / steps as f64, weight: 1.0 / steps as f64 };
            (0..steps).map(node).collect()
        };
        Ok(match self {
            // From [−1, 1] to [0, 1].
            Self::GaussLegendre => GaussLegendre::new(degree)
                .iter()
                .map(|(x, weight)| Node { position: (1.0 + x) / 2.0, weight: weight / 2.0 })
                .collect(),
            Self::Left => even(0.0),
            Self::Right => even(1.0),
            Self::Midpoint => even(0.5),
            Self::Trapezoid => {
                let last = steps - 1;
                let share = |k| if k == 0 || k == last { 0.5 } else { 1.0 };
                let node = |k| Node { position: k as f64 / last as f64, weight: share(k) / last as f64 };
                (0..steps).map(node).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALL: [Quadrature; 5] =
        [Quadrature::GaussLegendre, Quadrature::Left, Quadrature::Right, Quadrature::Midpoint, Quadrature::Trapezoid];

    /// Σ weight · position^degree, which should be 1 / (degree + 1).
    fn error(quadrature: Quadrature, steps: usize, degree: usize) -> f64 {
        let nodes = quadrature.nodes(steps).unwrap();
        let sum: f64 = nodes.iter().map(|node| node.weight * node.position.powi(degree as i32)).sum();
        (sum - 1.0 / (degree as f64 + 1.0)).abs()
    }

    #[test]
    fn nodes_ascend_inside_the_path_and_weights_sum_to_one() {
        for quadrature in ALL {
            for steps in [2, 3, 10, 51, 3200] {
                let nodes = quadrature.nodes(steps).unwrap();
                assert_eq!(nodes.len(), steps);
                assert!(nodes.windows(2).all(|pair| pair[0].position < pair[1].position), "{quadrature:?} {steps}");
                assert!(nodes.iter().all(|node| (0.0..=1.0).contains(&node.position) && node.weight > 0.0));
                assert!(error(quadrature, steps, 0) < 1e-13, "{quadrature:?} {steps}");
            }
        }
    }

    /// The degree up to which a rule is exact, and no further.
    #[test]
    fn polynomials_are_integrated_up_to_the_degree_of_the_rule() {
        for steps in [2, 3, 5] {
            for (quadrature, exact) in ALL.into_iter().zip([2 * steps - 1, 0, 0, 1, 1]) {
                for degree in 0..=exact {
                    assert!(error(quadrature, steps, degree) < 1e-15, "{quadrature:?} {steps}, degree {degree}");
                }
                assert!(error(quadrature, steps, exact + 1) > 1e-6, "{quadrature:?} {steps}");
            }
        }
    }

    /// Two nodes at ½ ± 1 / (2 √3); the ends of the others.
    #[test]
    fn known_nodes() {
        let positions = |quadrature: Quadrature, steps| -> Vec<f64> {
            quadrature.nodes(steps).unwrap().iter().map(|node| node.position).collect()
        };
        let gauss = positions(Quadrature::GaussLegendre, 2);
        let offset = 0.5 / 3.0f64.sqrt();
        assert!((gauss[0] - 0.5 + offset).abs() < 1e-15 && (gauss[1] - 0.5 - offset).abs() < 1e-15, "{gauss:?}");
        assert_eq!(positions(Quadrature::Left, 4), [0.0, 0.25, 0.5, 0.75]);
        assert_eq!(positions(Quadrature::Right, 4), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(positions(Quadrature::Midpoint, 2), [0.25, 0.75]);
        assert_eq!(positions(Quadrature::Trapezoid, 3), [0.0, 0.5, 1.0]);
        let weights: Vec<f64> = Quadrature::Trapezoid.nodes(3).unwrap().iter().map(|node| node.weight).collect();
        assert_eq!(weights, [0.25, 0.5, 0.25]);
    }

    #[test]
    fn names_are_kebab_case() {
        let names = serde_json::to_string(&ALL).unwrap();
        assert_eq!(names, r#"["gauss-legendre","left","right","midpoint","trapezoid"]"#);
        assert_eq!(serde_json::from_str::<[Quadrature; 5]>(&names).unwrap(), ALL);
    }
}
