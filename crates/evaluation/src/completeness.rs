use burnsight_core::Result;
use serde_json::{Value, json};

use crate::{Direction, Metric, Reading, Subject};

/// Completeness gap: does the map add up to what its method promised?
///
/// ```text
/// value    = |Σ A − d| / |d|          d = f(x) − f(baseline), or f(x) for methods that share out the score itself
/// ```
///
/// The axiom of Sundararajan et al. 2017, <https://arxiv.org/abs/1703.01365>. The lower the better: integrated
/// gradients miss by what their steps leave out, LRP by what ε and the biases keep. Undefined for methods that
/// promise nothing, and where nothing was to be shared out (d = 0) but something was.
///
/// # Cost
/// No pass of the model: the method reports it.
///
/// # When it misleads
/// Only the sum is checked. A map that piles the whole difference on one corner is complete. And f(x) may well be
/// close to f(baseline): then the relative gap is large without being important.
///
/// # Where ours differs
/// Quantus tests the sum and the difference for equality as floating-point numbers, which hardly a map passes; captum
/// returns the difference itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompletenessGap;

impl CompletenessGap {
    /// The name in the tool and in readings.
    pub const NAME: &str = "completeness-gap";
}

impl Metric for CompletenessGap {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365"
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let values = match &subject.attribution().completeness {
            None => vec![None; subject.count()],
            Some(completeness) => {
                let gaps = completeness.iter().map(|promise| f64::from(promise.relative_gap()));
                gaps.map(|gap| gap.is_finite().then_some(gap)).collect()
            }
        };
        Ok(vec![Reading::new(Self::NAME, Direction::Lower, values)])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device, Tensor};
    use burnsight_core::{Baseline, Completeness, Target};
    use burnsight_integrated_gradients::IntegratedGradientsConfig;
    use burnsight_testkit::nets;

    use super::*;

    #[test]
    fn from_the_promise() {
        let device = Device::default();
        let network = nets::saturation(&device, DType::F32);
        let pictures = Tensor::<4>::from_data([[[[0.5, 0.25]]], [[[1.0, 1.0]]], [[[0.0, 0.0]]]], &device);
        let maps = Tensor::<4>::zeros([3, 1, 1, 2], &device);
        let subject = Subject::of_maps(&network, pictures.clone(), maps, &Target::Class(0)).unwrap();
        assert_eq!(CompletenessGap.measure(&subject).unwrap()[0].values, [None; 3]);

        let promise = |sum, difference| Completeness { sum, difference };
        let mut attribution = subject.attribution().clone();
        attribution.completeness = Some(vec![promise(1.5, 2.0), promise(0.0, 0.0), promise(0.1, 0.0)]);
        let subject = Subject::of_attribution(&network, pictures.clone(), attribution).unwrap();
        // |1.5 − 2| / 2; nothing of nothing; something of nothing.
        assert_eq!(CompletenessGap.measure(&subject).unwrap()[0].values, [Some(0.25), Some(0.0), None]);

        // The score is straight up to x₁ + x₂ = 1 and level behind: the first gap is rounding, the second is the error of
        // the steps.
        let method = IntegratedGradientsConfig { baseline: Baseline::Zero, ..Default::default() }.init().unwrap();
        let subject = Subject::of_model(&network, &method, pictures, &Target::Class(0)).unwrap();
        let values = CompletenessGap.measure(&subject).unwrap().remove(0).values;
        assert!(values[0].unwrap() < 1e-5 && values[1].unwrap() < 0.05, "{values:?}");
    }
}
