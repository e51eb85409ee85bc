#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use burn::tensor::Tensor;
#[cfg(doc)]
use burnsight_core::Error;
use burnsight_core::{Attribution, Attributor, Provenance, Result, Target, enlarge};
use burnsight_lrp::{Composite, Layers, Propagation, Rule, Start};
use burnsight_network::{Affine, Backward, Network, NodeId, Trace, TraceAttributor};
use serde_json::json;

/// Where a random walk ends that starts at the class and at every unit chooses among the inputs that excite it.
#[derive(Debug, Clone, Default)]
pub struct ExcitationBackprop {
    layer: Option<String>,
    contrastive: bool,
}

impl ExcitationBackprop {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "excitation-backprop";

    /// Down to the pixels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Down to the output of a layer, by its name in the network, whose channels are added up: a coarse map, as in the paper.
    pub fn with_layer(mut self, layer: impl Into<String>) -> Self {
        self.layer = Some(layer.into());
        self
    }

    /// Less what a unit with the opposite weights would get: what excites the class more than its opposite.
    pub fn contrastive(mut self) -> Self {
        self.contrastive = true;
        self
    }

    /// One walk; of the explained unit's own layer the positive weights choose, or the negative ones.
    fn walk(&self, trace: &Trace<'_>, target: &Target, until: NodeId, of_the_class: Rule) -> Result<Backward> {
        let network = trace.network();
        let start = match target {
            Target::Unit { layer, .. } => network.find(layer)?,
            _ => network.output(),
        };
        let mut composite = Composite::uniform(Rule::ZPlus);
        for id in weighted_layers_of(network, start) {
            composite = composite.with(Layers::Named(network.node(id).name().into()), of_the_class.clone());
        }
        let rules = composite.rules(network)?;
        let propagation = Propagation { method: Self::NAME, rules, biases: false, start: Start::Weight };
        trace.explain_layer(target, &propagation, until)
    }
}

/// The layers with weights that a node reads through layers without weights, or the node itself.
fn weighted_layers_of(network: &Network, start: NodeId) -> Vec<NodeId> {
    let mut open = vec![start];
    let mut found = Vec::new();
    while let Some(id) = open.pop() {
        let node = network.node(id);
        match Affine::of(node.layer()) {
            Some(_) => found.push(id),
            None => open.extend(node.inputs()),
        }
    }
    found
}

impl TraceAttributor for ExcitationBackprop {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        trace.with_batch_norms_folded(target, |trace, target| {
            let network = trace.network();
            let until = self.layer.as_deref().map_or(Ok(network.input()), |name| network.find(name))?;
            let Backward { mut arrived, scores, target } = self.walk(trace, target, until, Rule::ZPlus)?;
            if self.contrastive {
                let opposite = self.walk(trace, &target, until, Rule::ZMinus)?;
                arrived = arrived.zip_values(opposite.arrived, |class, opposite| class - opposite);
            }
            let map = match until == network.input() {
                true => arrived.as_map().expect("pictures are a map"),
                false => {
                    let [_, _, height, width] = trace.images().dims();
                    enlarge(trace.places(until)?.to_map(arrived).sum_dim(1), [height, width])
                }
            };
            let parameters = json!({ "layer": self.layer, "contrastive": self.contrastive });
            let provenance = Provenance::new(Self::NAME, parameters, &map.device());
            Ok(Attribution { map, scores, target, completeness: None, standard_error: None, provenance })
        })
    }
}

impl Attributor<Network> for ExcitationBackprop {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::Error;
    use burnsight_network::{Layer, Linear};
    use burnsight_testkit::{Residual, conformance, nets, relative_l2, trace_conformance, values};

    use super::*;

    fn close(ours: Vec<f64>, expected: &[f64]) {
        let near = ours.len() == expected.len() && ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{ours:?} instead of {expected:?}");
    }

    /// ```text
    /// x = (2, 1)    hidden = ReLU(2·2 − 1·1, −2 + 3·1, 2 + 1) = (3, 1, 3)    logits = (3 − 1 + 2·3, …)
    /// class 0, weights (1, −1, 2): the walk goes to hidden 0 with 3/9 and to hidden 2 with 6/9
    ///     hidden 0, weights (2, −1): to pixel 0           hidden 2, weights (1, 1): to the pixels with 2/3 and 1/3
    ///     pixels (1/3 + 2/3·2/3, 2/3·1/3) = (7/9, 2/9)
    /// opposite weights (−1, 1, −2): hidden 1 with certainty, weights (−1, 3): pixel 1
    ///     contrastive: (7/9, 2/9 − 1)
    /// ```
    #[test]
    fn hand_computed() {
        let device = Device::default();
        let hidden = Linear::new(Tensor::from_data([[2.0, -1.0], [-1.0, 3.0], [1.0, 1.0]], &device), None);
        let logits = Linear::new(Tensor::from_data([[1.0, -1.0, 2.0], [0.0, 1.0, 0.0]], &device), None);
        let network = nets::chain([
            ("flatten", Layer::Flatten),
            ("hidden", Layer::Linear(hidden)),
            ("relu", Layer::Relu),
            ("logits", Layer::Linear(logits)),
        ]);
        let picture = Tensor::from_data([[[[2.0, 1.0]]]], &device);
        let map = |method: ExcitationBackprop, target: Target| {
            values(method.attribute(&network, picture.clone(), &target).unwrap().map)
        };
        close(map(ExcitationBackprop::new(), Target::Class(0)), &[7.0 / 9.0, 2.0 / 9.0]);
        close(map(ExcitationBackprop::new().contrastive(), Target::Class(0)), &[7.0 / 9.0, 2.0 / 9.0 - 1.0]);
        // A hidden unit's own layer is what the contrast turns around: hidden 1 has the weights (−1, 3).
        let unit = Target::Unit { layer: "hidden".into(), index: vec![1] };
        close(map(ExcitationBackprop::new(), unit.clone()), &[0.0, 1.0]);
        close(map(ExcitationBackprop::new().contrastive(), unit), &[-1.0, 1.0]);
    }

    /// A walk ends somewhere: probabilities add up to 1 at the pixels and at every layer.
    #[test]
    fn probabilities_add_up_to_one() {
        let device = Device::default();
        let (_, network) = Residual::with_network([9, 10], &device);
        let images = nets::pictures([2, 3, 9, 10], &device, DType::F32);
        let target = Target::Class(2);
        let map = ExcitationBackprop::new().attribute(&network, images.clone(), &target).unwrap().map;
        assert!(values(map.clone()).iter().all(|probability| *probability >= 0.0));
        close(values(map.sum_dim(3).sum_dim(2).sum_dim(1)), &[1.0, 1.0]);
        let trace = network.record(images).unwrap();
        for layer in ["last_relu", "pool", "relu"] {
            let until = network.find(layer).unwrap();
            let walk = ExcitationBackprop::new().walk(&trace, &target, until, Rule::ZPlus).unwrap();
            close(values(walk.arrived.flatten().sum_dim(1)), &[1.0, 1.0]);
        }
    }

    #[test]
    fn a_layer_gives_a_coarse_map() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let images = nets::pictures([2, 3, 8, 12], &device, DType::F32);
        let attribute =
            |method: ExcitationBackprop| method.attribute(&network, images.clone(), &Target::Class(1)).unwrap().map;
        let plain = attribute(ExcitationBackprop::new().with_layer("features.5"));
        assert_eq!(plain.dims(), [2, 1, 8, 12]);
        let contrast = attribute(ExcitationBackprop::new().with_layer("features.5").contrastive());
        assert!(relative_l2(&values(contrast.clone()), &values(plain)) > 0.1);
        // Two walks of probability 1: what is left adds up to 0, but for what enlarging does at the border.
        assert!(values(contrast.clone()).iter().any(|value| *value > 0.0));
        assert!(values(contrast).iter().any(|value| *value < 0.0));
    }

    #[test]
    fn refusals() {
        let device = Device::default();
        let images = nets::pictures([1, 3, 8, 9], &device, DType::F32);
        let refused = |method: ExcitationBackprop, network: &Network| {
            method.attribute(network, images.clone(), &Target::Top).unwrap_err()
        };
        let error = refused(ExcitationBackprop::new(), &nets::branches(&device, DType::F32));
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("softmax"), "{error}");
        let network = nets::small_vgg(&device, DType::F32);
        let error = refused(ExcitationBackprop::new().with_layer("features.99"), &network);
        assert!(matches!(error, Error::Parameter { .. }) && error.to_string().contains("features.99"), "{error}");
        let error = refused(ExcitationBackprop::new().with_layer("flatten"), &network);
        assert!(error.to_string().contains("no places"), "{error}");
    }

    #[test]
    fn conforms() {
        let device = Device::default();
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        let (_, residual) = Residual::with_network([11, 9], &device);
        for (network, layer) in [(nets::small_vgg(&device, DType::F32), "features.5"), (residual, "pool")] {
            let plain = ExcitationBackprop::new();
            for method in [plain.clone(), plain.clone().with_layer(layer), plain.contrastive()] {
                conformance(&method, &network, images.clone());
                trace_conformance(&method, &network, images.clone());
            }
        }
    }
}
