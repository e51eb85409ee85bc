#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, Result, Target};
use burnsight_network::{Activation, BackwardRule, Network, Step, Trace, TraceAttributor};
use burnsight_pattern_net::Patterns;
use serde_json::json;

/// Relevance shared out by weights times patterns: how much each part of the detected signal contributes.
#[derive(Debug, Clone)]
pub struct PatternAttribution {
    patterns: Patterns,
}

impl PatternAttribution {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "pattern-attribution";

    /// By these patterns.
    pub fn new(patterns: Patterns) -> Self {
        Self { patterns }
    }

    /// The transposed layer with w ⊙ a in the place of w.
    fn contributions(&self, step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        let (layer, a) = self.patterns.of(step)?;
        Ok(layer.map(|w| w * a).backward(&step.input(0).dims(), relevance))
    }
}

impl BackwardRule for PatternAttribution {
    fn check(&self, network: &Network) -> Result<()> {
        self.patterns.require(Self::NAME, network)
    }

    /// What is shared out is the score itself.
    fn start(&self, output: &Activation, slope: Activation) -> Result<Activation> {
        Ok(slope.multiply(output.clone()))
    }

    fn convolution(&self, step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        self.contributions(step, relevance)
    }

    fn linear(&self, step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        self.contributions(step, relevance)
    }
}

impl TraceAttributor for PatternAttribution {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        trace.with_batch_norms_folded(target, |trace, target| {
            let mut attribution = trace.input_gradient(target, self)?.into_attribution(Self::NAME);
            attribution.provenance.parameters = json!({ "patterns": self.patterns.origin });
            Ok(attribution)
        })
    }
}

impl Attributor<Network> for PatternAttribution {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use burn::tensor::{DType, Device};
    use burnsight_core::{Error, Seed};
    use burnsight_network::{Convolution, Layer, Linear};
    use burnsight_pattern_net::{Origin, PatternEstimator, PatternNet};
    use burnsight_testkit::{conformance, nets, relative_l2, trace_conformance, values};

    use super::*;

    fn fit(network: &Network, images: Tensor<4>) -> Patterns {
        let mut estimator = PatternEstimator::new(network).unwrap();
        estimator.add(images).unwrap();
        estimator.patterns().unwrap()
    }

    /// Two hidden units, of which the second is off, and one logit of 2·3 + 1 = 7.
    ///
    /// ```text
    /// picture (1, 2)      w₁ = (1, 1)   y₁ =  3      a₁ = (¼, ¾)       logit  w = (2, 4)   b = 1
    ///                     w₂ = (1, −1)  y₂ = −1      a₂ = (10, 20)            a = (¼, ⅛)
    ///
    /// start 7      behind the logit 7 w a = (3.5, 3.5)      behind the ReLU (3.5, 0)
    ///              picture 3.5 w₁ a₁ = (0.875, 2.625): the share of the unit that is off is lost
    /// ```
    #[test]
    fn hand_computed() {
        let device = Device::default();
        let weight = Tensor::from_data([[[[1.0, 1.0]]], [[[1.0, -1.0]]]], &device);
        let logit = Linear::new(Tensor::from_data([[2.0, 4.0]], &device), Some(Tensor::from_data([1.0], &device)));
        let network = nets::chain([
            ("hidden", Layer::Convolution(Convolution::new(weight, None))),
            ("relu", Layer::Relu),
            ("flatten", Layer::Flatten),
            ("logit", Layer::Linear(logit)),
        ]);
        let layers = BTreeMap::from([
            ("hidden".to_string(), Tensor::from_data([[0.25, 0.75], [10.0, 20.0]], &device)),
            ("logit".to_string(), Tensor::from_data([[0.25, 0.125]], &device)),
        ]);
        let method = PatternAttribution::new(Patterns { layers, origin: Origin { pictures: 9, ..Origin::default() } });
        let picture = Tensor::from_data([[[[1.0, 2.0]]]], &device);
        let attribution = method.attribute(&network, picture, &Target::Class(0)).unwrap();
        assert_eq!(attribution.scores, [7.0]);
        assert_eq!(values(attribution.map), [0.875, 2.625]);
        assert!(attribution.completeness.is_none(), "nothing is promised");
        assert_eq!(attribution.provenance.parameters["patterns"]["pictures"], 9, "the sidecar says which patterns");
    }

    /// In the toy of the paper, x = s (1, 0) + ε (1, 1) with w = (1, −1), all of the score belongs to the first pixel,
    /// however large the distractor is. Gradient × input gives the distractor to both, with opposite signs.
    #[test]
    fn the_map_of_a_linear_model_adds_up_to_the_score_and_leaves_the_distractor_out() {
        let device = Device::default();
        let network = nets::linear(Tensor::from_data([[1.0, -1.0]], &device));
        let signals = Seed(1).normal::<4>(0, [4000, 1, 1, 1], &device);
        let distractors = Seed(1).normal::<4>(1, [4000, 1, 1, 1], &device);
        let pictures = Tensor::cat(vec![signals + distractors.clone(), distractors], 3);
        let method = PatternAttribution::new(fit(&network, pictures));
        let picture = Tensor::from_data([[[[2.0 + 50.0, 50.0]]]], &device);
        let attribution = method.attribute(&network, picture, &Target::Class(0)).unwrap();
        let [first, second] = values(attribution.map).try_into().unwrap();
        assert_eq!(attribution.scores, [2.0]);
        assert!((first + second - 2.0).abs() < 1e-5, "{first} + {second}");
        // Of 4000 pictures: 1 / √4000 = 0.016 of the score.
        assert!((first - 2.0).abs() < 0.1, "{first}");
    }

    /// The difference to PatternNet is the weights alone, so with patterns of 1 it multiplies by w², as if w were a pattern.
    #[test]
    fn with_weights_as_patterns_relevance_goes_by_their_squares() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32).fold_batch_norms();
        let by = |power: f64| {
            let weights = network.nodes().filter_map(|(_, node)| {
                let weight = burnsight_network::Affine::of(node.layer())?.weight();
                Some((node.name().to_string(), if power == 1.0 { weight } else { weight.square() }))
            });
            Patterns { layers: weights.collect(), origin: Origin::default() }
        };
        let images = nets::pictures([2, 3, 9, 8], &device, DType::F32);
        let relevance =
            PatternAttribution::new(by(1.0)).attribute(&network, images.clone(), &Target::Class(1)).unwrap();
        let signal = PatternNet::new(by(2.0)).attribute(&network, images, &Target::Class(1)).unwrap();
        assert!(relative_l2(&values(relevance.map), &values(signal.map)) < 1e-6);
    }

    #[test]
    fn refusals_name_this_method() {
        let device = Device::default();
        let method = PatternAttribution::new(Patterns::default());
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        let error = method.attribute(&nets::branches(&device, DType::F32), images.clone(), &Target::Top).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Unsupported { .. }) && text.contains(PatternAttribution::NAME), "{text}");
        assert!(text.contains("sum_norm (batch norm)") && text.contains("integrated-gradients"), "{text}");
        let error =
            method.attribute(&nets::small_vgg(&device, DType::F32), images, &Target::Top).unwrap_err().to_string();
        assert!(error.contains("layer features.0 has none") && error.contains("fit patterns"), "{error}");
    }

    #[test]
    fn conforms() {
        let device = Device::default();
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        let network = nets::small_vgg(&device, DType::F32);
        let method = PatternAttribution::new(fit(&network, nets::pictures([6, 3, 8, 9], &device, DType::F32)));
        conformance(&method, &network, images.clone());
        trace_conformance(&method, &network, images);
    }
}
