//! What a method returns.

use burn::tensor::{Device, Tensor};
use serde::Serialize;
use serde_json::Value;

use crate::{Result, Seed, Target};

/// A method that explains a model `M`.
///
/// `M` is a bound, not a type, for most methods: a gradient method works for every [`Differentiable`], a method that
/// changes the rules of the reverse pass needs a network whose layers it can see.
///
/// [`Differentiable`]: crate::Differentiable
pub trait Attributor<M: ?Sized> {
    /// Explains the target's score for every picture.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`, preprocessed as the model wants them
    /// - returns: a map `[n, c, h, w]`, or `[n, 1, h, w]` for methods that know no colours
    ///
    /// # Errors
    /// Those of the model and the target, and [`Error::Unsupported`](crate::Error::Unsupported) when the method does
    /// not work on this model.
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> Result<Attribution>;
}

/// A signed, unscaled map per picture and what is needed to judge it.
#[derive(Debug, Clone)]
pub struct Attribution {
    /// `[n, c, h, w]`, or `[n, 1, h, w]` for maps without colour. Positive: speaks for the target.
    pub map: Tensor<4>,
    /// The explained score of each picture.
    pub scores: Vec<f32>,
    /// What was explained, with [`Target::Top`] filled in.
    pub target: Target,
    /// For methods that promise that the map adds up to a score difference: how far it does, per picture.
    pub completeness: Option<Vec<Completeness>>,
    /// For sampled maps: the standard error of every pixel, shaped as the map.
    pub standard_error: Option<Tensor<4>>,
    /// How the map was made.
    pub provenance: Provenance,
}

/// Whether a map adds up to what it promised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Completeness {
    /// Σ over the map.
    pub sum: f32,
    /// What the sum should equal: f(x) − f(baseline), or f(x) for methods that share out the score itself.
    pub difference: f32,
}

impl Completeness {
    /// The share of the difference from which on a gap is worth a warning.
    pub const NOTICEABLE: f32 = 0.05;

    /// Σ map − (f(x) − f(baseline)); zero when the promise is kept.
    pub fn gap(&self) -> f32 {
        self.sum - self.difference
    }

    /// |gap| / |difference|; infinite when there is a gap and no difference.
    pub fn relative_gap(&self) -> f32 {
        match self.gap().abs() {
            0.0 => 0.0,
            gap => gap / self.difference.abs(),
        }
    }

    /// A sentence when the gap is above [`NOTICEABLE`](Self::NOTICEABLE).
    pub fn warning(&self) -> Option<String> {
        let share = self.relative_gap();
        (share.is_nan() || share > Self::NOTICEABLE).then(|| {
            let Self { sum, difference } = self;
            format!("the map adds up to {sum:.4} where {difference:.4} is to be explained, {:.0} % off", share * 100.0)
        })
    }
}

/// The version the workspace pins.
const BURN: &str = "0.22.1";

/// What it takes to make the same map again.
#[derive(Debug, Clone, Serialize)]
pub struct Provenance {
    /// The method's name, as in the tool.
    pub method: String,
    /// Its settings.
    pub parameters: Value,
    /// Where its random numbers started, if it drew any.
    pub seed: Option<Seed>,
    /// The device as Burn names it.
    pub device: String,
    /// Version of burnsight.
    pub version: &'static str,
    /// Version of Burn.
    pub burn: &'static str,
}

impl Provenance {
    /// The provenance of a method that draws no random numbers.
    pub fn new(method: &str, parameters: Value, device: &Device) -> Self {
        Self {
            method: method.into(),
            parameters,
            seed: None,
            device: format!("{device:?}"),
            version: env!("CARGO_PKG_VERSION"),
            burn: BURN,
        }
    }

    /// The same with a seed.
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.seed = Some(seed);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Completeness;

    #[test]
    fn gaps_and_warnings() {
        let kept = Completeness { sum: 2.05, difference: 2.0 };
        assert!((kept.gap() - 0.05).abs() < 1e-6 && (kept.relative_gap() - 0.025).abs() < 1e-6);
        assert_eq!(kept.warning(), None);
        let broken = Completeness { sum: -1.0, difference: -2.0 };
        assert_eq!(
            broken.warning().as_deref(),
            Some("the map adds up to -1.0000 where -2.0000 is to be explained, 50 % off")
        );
        assert_eq!(Completeness { sum: 0.0, difference: 0.0 }.warning(), None);
        assert!(Completeness { sum: 0.1, difference: 0.0 }.warning().is_some());
        assert!(Completeness { sum: f32::NAN, difference: 1.0 }.warning().is_some());
    }

    #[test]
    fn the_version_of_burn_is_the_pinned_one() {
        let workspace = include_str!("../../../Cargo.toml");
        assert!(workspace.contains(&format!("burn = {{ version = \"={}\"", super::BURN)));
    }
}
