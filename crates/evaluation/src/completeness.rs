//! Whether maps add up.

use burnsight_core::Result;
use serde_json::{Value, json};

use crate::{Direction, Metric, Reading, Subject};

/// How far a map is from adding up to what its method promises, as a share of that. Lower is better.
///
/// ```text
/// gap = | Σ map − promised | / | promised |        promised: f(x) − f(baseline), or f(x)
/// ```
///
/// The axiom of completeness, Sundararajan et al. 2017, <https://arxiv.org/abs/1703.01365>; *summation to delta* for DeepLIFT,
/// *conservation* for LRP. Costs no pass: methods that promise it report it
/// ([`Attribution::completeness`](burnsight_core::Attribution::completeness)). Those that promise nothing, such as the
/// gradient, have no value, and neither has a picture whose score is that of the baseline.
///
/// # When it misleads
/// Any map can be scaled until it adds up. A gap says that a method did not do what it was asked (too few steps, relevance that
/// biases kept), its absence says nothing about where the relevance lies.
///
/// # Where libraries differ
/// Quantus 0.6 asks whether both numbers are equal in floating point, and is then almost always 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompletenessGap;

impl CompletenessGap {
    /// The name in the tool.
    pub const NAME: &str = "completeness-gap";
}

impl Metric for CompletenessGap {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, arXiv:1703.01365"
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let values = match &subject.attribution().completeness {
            None => vec![None; subject.count()],
            Some(all) => {
                let gap = |gap: f32| gap.is_finite().then_some(f64::from(gap));
                all.iter().map(|completeness| gap(completeness.relative_gap())).collect()
            }
        };
        Ok(vec![Reading::new(Self::NAME, Direction::Lower, values)])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device, Tensor};
    use burnsight_core::Target;
    use burnsight_integrated_gradients::IntegratedGradientsConfig;
    use burnsight_testkit::nets;
    use burnsight_vanilla_gradient::VanillaGradient;

    use super::*;

    #[test]
    fn few_steps_leave_a_gap_and_the_gradient_promises_nothing() {
        let device = Device::default();
        let network = nets::saturation(&device, DType::F32);
        // y = min(1, x₁ + x₂) from 0 to 2: of one step in the middle the gradient is 1, and the map sums to 2 instead of 1.
        let picture = Tensor::from_data([[[[1.0, 1.0]]], [[[0.0, 0.0]]]], &device);
        let one_step = IntegratedGradientsConfig {
            steps: 1,
            quadrature: burnsight_integrated_gradients::Quadrature::Left,
            ..Default::default()
        };
        let method = one_step.init().unwrap();
        let subject = Subject::of_network(&network, &method, picture.clone(), &Target::Class(0)).unwrap();
        let values = CompletenessGap.measure(&subject).unwrap().remove(0).values;
        assert!((values[0].unwrap() - 1.0).abs() < 1e-6, "{values:?}");
        assert_eq!(values[1], Some(0.0));
        let subject = Subject::of_network(&network, &VanillaGradient, picture, &Target::Class(0)).unwrap();
        assert_eq!(CompletenessGap.measure(&subject).unwrap()[0].values, [None, None]);
    }
}
