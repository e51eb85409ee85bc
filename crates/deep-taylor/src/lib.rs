#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use std::collections::BTreeMap;

use burn::tensor::Tensor;
#[cfg(doc)]
use burnsight_core::Error;
use burnsight_core::{Attribution, Attributor, Result, Target};
use burnsight_lrp::{Composite, Layers, Lrp, LrpConfig, PixelBounds, Propagation, Rule, Start};
use burnsight_network::{Layer, Network, NodeId, Trace, TraceAttributor};
use serde_json::json;

/// The positive part of the score, shared out by first-order Taylor expansions, one per unit.
#[derive(Debug, Clone, Default)]
pub struct DeepTaylor {
    bounds: Option<PixelBounds>,
}

impl DeepTaylor {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "deep-taylor";

    /// For pictures whose pixels may have any value: the layers that read them share by w².
    pub fn unbounded() -> Self {
        Self::default()
    }

    /// For pictures whose pixels lie between bounds: the layers that read them share by the z-box rule.
    ///
    /// # Errors
    /// [`Error::Parameter`] for bounds that are none.
    pub fn bounded(bounds: PixelBounds) -> Result<Self> {
        // LRP has the same bounds to check.
        LrpConfig { composite: Composite::uniform(Rule::ZBox(bounds.clone())), ..LrpConfig::default() }.init()?;
        Ok(Self { bounds: Some(bounds) })
    }

    /// z⁺ where no input is below 0, w² where one may be, and the choice for pixels at the pictures.
    fn rules(&self, network: &Network) -> Result<BTreeMap<NodeId, Rule>> {
        let of_pixels = self.bounds.clone().map_or(Rule::WSquare, Rule::ZBox);
        let mut rules = Composite::uniform(Rule::ZPlus).with(Layers::First, of_pixels).rules(network)?;
        for (id, rule) in &mut rules {
            if *rule == Rule::ZPlus && !network.is_non_negative(network.node(*id).inputs()[0]) {
                *rule = Rule::WSquare;
            }
        }
        Ok(rules)
    }

    fn check(network: &Network) -> Result<()> {
        let instead = if Lrp::default().check(network).is_ok() { Lrp::NAME } else { "integrated-gradients" };
        network.require_rules(Self::NAME, instead, |_, node| {
            !matches!(
                node.layer(),
                Layer::Function(_)
                    | Layer::BatchNorm(_)
                    | Layer::LayerNorm(_)
                    | Layer::Softmax { .. }
                    | Layer::Product
                    | Layer::MatrixProduct
            )
        })
    }
}

impl TraceAttributor for DeepTaylor {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        trace.with_batch_norms_folded(target, |trace, target| {
            let network = trace.network();
            Self::check(network)?;
            let rules = self.rules(network)?;
            let propagation = Propagation { method: Self::NAME, rules, biases: false, start: Start::PositiveScore };
            propagation.explain(trace, target, json!({ "bounds": self.bounds }))
        })
    }
}

impl Attributor<Network> for DeepTaylor {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::Error;
    use burnsight_network::{Function, Linear};
    use burnsight_testkit::{Residual, conformance, nets, trace_conformance, values};

    use super::*;

    /// Two pixels, two hidden units, one logit.
    ///
    /// ```text
    /// x = (2, 1)    hidden = ReLU(2·2 − 1·1, −2 + 3·1 + 1) = (3, 2)    logit = 1·3 − 1·2 + ½ = 1½
    /// z⁺ at the logit: only the first hidden unit speaks for it: R = (1½, 0), the bias gets nothing
    /// w² at the pixels: (4, 1) / 5 of 1½ = (1.2, 0.3)
    /// z-box with −4 ≤ x ≤ 4: x w − l w⁺ − h w⁻ = (4 + 8, −1 + 4) = (12, 3): (12, 3) / 15 of 1½ = (1.2, 0.3)
    /// z-box with −1 ≤ x ≤ 3: (4 + 2, −1 + 3) = (6, 2): (1.125, 0.375)
    /// ```
    #[test]
    fn hand_computed() {
        let device = Device::default();
        let hidden = Linear::new(
            Tensor::from_data([[2.0, -1.0], [-1.0, 3.0]], &device),
            Some(Tensor::from_data([0.0, 1.0], &device)),
        );
        let logit = Linear::new(Tensor::from_data([[1.0, -1.0]], &device), Some(Tensor::from_data([0.5], &device)));
        let network = nets::chain([
            ("flatten", Layer::Flatten),
            ("hidden", Layer::Linear(hidden)),
            ("relu", Layer::Relu),
            ("logit", Layer::Linear(logit)),
        ]);
        let picture = Tensor::from_data([[[[2.0, 1.0]]]], &device);
        let bounded = |low, high| DeepTaylor::bounded(PixelBounds { low: vec![low], high: vec![high] }).unwrap();
        for (method, expected) in [
            (DeepTaylor::unbounded(), [1.2, 0.3]),
            (bounded(-4.0, 4.0), [1.2, 0.3]),
            (bounded(-1.0, 3.0), [1.125, 0.375]),
        ] {
            let attribution = method.attribute(&network, picture.clone(), &Target::Class(0)).unwrap();
            assert_eq!(attribution.scores, [1.5]);
            assert!(attribution.completeness.unwrap()[0].gap().abs() < 1e-5);
            let map = values(attribution.map);
            assert!(map.iter().zip(expected).all(|(ours, by_hand)| (ours - by_hand).abs() < 1e-5), "{map:?}");
        }
    }

    /// Evidence against is left out from the start: a negative score has nothing to share.
    #[test]
    fn a_negative_score_explains_nothing() {
        let device = Device::default();
        let network = nets::linear(Tensor::from_data([[1.0, -2.0]], &device));
        let picture = Tensor::from_data([[[[1.0, 3.0]]]], &device);
        let attribution = DeepTaylor::unbounded().attribute(&network, picture.clone(), &Target::Class(0)).unwrap();
        assert_eq!((attribution.scores[0], values(attribution.map)), (-5.0, vec![0.0, 0.0]));
        assert_eq!(attribution.completeness.unwrap()[0].warning(), None);
        let attribution = DeepTaylor::unbounded().attribute(&network, picture, &Target::Weighted(vec![-1.0])).unwrap();
        let map = values(attribution.map);
        assert!((map[0] - 1.0).abs() < 1e-5 && (map[1] - 4.0).abs() < 1e-5, "w² of 5: {map:?}");
    }

    /// Every share is positive, and none is lost: the map is nowhere below 0 and adds up to the score.
    #[test]
    fn positive_and_conserving() {
        let device = Device::default();
        let (_, network) = Residual::with_network([9, 10], &device);
        let images = nets::pictures([2, 3, 9, 10], &device, DType::F32);
        let bounds = PixelBounds { low: vec![-5.0; 3], high: vec![5.0; 3] };
        for method in [DeepTaylor::unbounded(), DeepTaylor::bounded(bounds).unwrap()] {
            let attribution = method.attribute(&network, images.clone(), &Target::Top).unwrap();
            assert!(attribution.scores.iter().all(|score| *score > 0.0));
            assert!(attribution.completeness.unwrap().iter().all(|kept| kept.relative_gap() < 1e-3));
            assert!(values(attribution.map).iter().all(|relevance| *relevance >= 0.0));
        }
    }

    #[test]
    fn rules_follow_the_signs_of_the_inputs() {
        let device = Device::default();
        let mut draw = nets::Draw::new(5, &device, DType::F32);
        let mut linear = |shape| Layer::Linear(draw.linear(shape));
        // No ReLU between the first two: the second reads both signs.
        let network = nets::chain([
            ("flatten", Layer::Flatten),
            ("a", linear([4, 6])),
            ("b", linear([4, 4])),
            ("relu", Layer::Relu),
            ("c", linear([3, 4])),
        ]);
        let rules: Vec<Rule> = DeepTaylor::unbounded().rules(&network).unwrap().into_values().collect();
        assert_eq!(rules, [Rule::WSquare, Rule::WSquare, Rule::ZPlus]);
    }

    #[test]
    fn only_relu_networks() {
        let device = Device::default();
        let images = nets::pictures([1, 3, 8, 9], &device, DType::F32);
        let refused = |network: &Network| {
            let error = DeepTaylor::unbounded().attribute(network, images.clone(), &Target::Top).unwrap_err();
            assert!(matches!(error, Error::Unsupported { .. }), "{error}");
            error.to_string()
        };
        let tanh = nets::chain([("tanh", Layer::Function(Function::Tanh)), ("flatten", Layer::Flatten)]);
        let text = refused(&tanh);
        assert!(text.contains("layer tanh (tanh)") && text.contains("use lrp"), "{text}");
        // LRP would not work either: there is a softmax inside.
        let text = refused(&nets::branches(&device, DType::F32));
        assert!(text.contains("sum_norm (batch norm)") && text.contains("use integrated-gradients"), "{text}");
        let none = DeepTaylor::bounded(PixelBounds { low: vec![1.0], high: vec![0.0] }).unwrap_err();
        assert!(none.to_string().contains("[1.0] to [0.0]"), "{none}");
    }

    #[test]
    fn conforms() {
        let device = Device::default();
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        let bounds = PixelBounds { low: vec![-5.0; 3], high: vec![5.0; 3] };
        let (_, residual) = Residual::with_network([11, 9], &device);
        for network in [nets::small_vgg(&device, DType::F32), residual] {
            for method in [DeepTaylor::unbounded(), DeepTaylor::bounded(bounds.clone()).unwrap()] {
                conformance(&method, &network, images.clone());
                trace_conformance(&method, &network, images.clone());
            }
        }
    }
}
