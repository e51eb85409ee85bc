#![doc = include_str!("../README.md")]

mod completeness;
mod complexity;
mod correlation;
mod deletion;
mod faithfulness_correlation;
mod fragility;
mod implementation_invariance;
mod infidelity;
mod input_shift;
mod localization;
mod mask;
mod metric;
mod monotonicity;
mod pixel_flipping;
mod randomization;
mod rebuild;
#[cfg(test)]
mod reference;
mod reliability;
mod removal;
mod replacement;
mod road;
mod robustness;
mod sensitivity_n;
mod similarity;
mod subject;
mod summary;

pub use completeness::CompletenessGap;
pub use complexity::{Complexity, Sparseness};
pub use correlation::{pearson, ranks, spearman};
pub use deletion::{Deletion, Insertion};
pub use faithfulness_correlation::FaithfulnessCorrelation;
pub use fragility::{Attack, Fragility};
pub use implementation_invariance::ImplementationInvariance;
pub use infidelity::{Change, Infidelity, MapUnit};
pub use input_shift::{InputShift, shifted_network};
pub use localization::{IntersectionOverUnion, MassAccuracy, PointingGame, RankAccuracy, correctly_classified};
pub use mask::Mask;
pub use metric::{Curve, Direction, Metric, Reading};
pub use monotonicity::{Monotonicity, MonotonicityCorrelation};
pub use pixel_flipping::PixelFlipping;
pub use randomization::{
    CascadingRandomization, DataRandomization, IndependentRandomization, RandomizedNetwork, RandomizedNetworks,
};
pub use reliability::{Level, MetricReliability, MetricScores, Reliability, Statistic, Trust, krippendorff_alpha};
pub use road::Road;
pub use robustness::{LocalLipschitz, MaxSensitivity};
pub use sensitivity_n::SensitivityN;
pub use similarity::{center_of_mass, hog_similarity, ssim, top_intersection};
pub use subject::{PixelValue, Subject, pixel_values};
pub use summary::Summary;
