//! The reverse walk that shares out relevance.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Completeness, Error, Provenance, Result, Target, read};
use burnsight_network::{Activation, BackwardRule, Layer, Network, Node, NodeId, Step, Trace, Visit};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Rule,
    rule::{STABILIZER, ratio},
};

/// What the walk starts from, at the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The score: each logit times its weight in the target.
    Score,
    /// The positive part of that.
    PositiveScore,
    /// The weights alone: 1 for the explained class, whatever its score.
    Weight,
}

/// Shares out relevance from the score to the pictures: the machine behind LRP, deep Taylor and excitation backprop, which
/// differ in their rules for layers with weights and in what they start from.
///
/// The layers without weights share out alike in all of them: functions that keep signs, ReLU among them, and batch norms
/// that could not be folded pass everything on; a max pool gives all to the winner; means, sums, resampling and products with
/// a constant share by contribution; what only moves values moves relevance back. Batch norms are folded first.
#[derive(Debug, Clone)]
pub struct Propagation {
    /// The method, for errors and reports.
    pub method: &'static str,
    /// The rule of every layer with weights, of the network with its batch norms folded.
    pub rules: BTreeMap<NodeId, Rule>,
    /// Whether biases take their share in the rules 0, ε, γ and αβ.
    pub biases: bool,
    /// What the walk starts from.
    pub start: Start,
}

/// What a layer did with the relevance that arrived: a line of the books.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerRelevance {
    /// The layer's name.
    pub layer: String,
    /// What kind of layer it is.
    pub kind: &'static str,
    /// Σ of what arrived at its outputs, per picture.
    pub arrived: Vec<f32>,
    /// Σ of what it handed back to its inputs, per picture. What is missing stayed with biases, stabilisers, constants or a
    /// border.
    pub handed_back: Vec<f32>,
}

impl Propagation {
    /// The map, with completeness against what the walk started from.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a layer without a rule, [`Error::Target`] when the network has no such target.
    pub fn explain(&self, trace: &Trace<'_>, target: &Target, parameters: Value) -> Result<Attribution> {
        let mut start = None;
        let mut visit = |_: &Step<'_>, arrived: &Activation, _: &[Activation]| {
            start.get_or_insert_with(|| total(arrived));
            Ok(())
        };
        let backward = trace.explain_layer_with(target, self, trace.network().input(), Some(&mut visit))?;
        let map = backward.arrived.as_map().expect("pictures are a map");
        let sums = read(total(&Activation::Map(map.clone())))?;
        let differences = start.map_or_else(|| Ok(Vec::new()), read)?;
        let pairs = sums.into_iter().zip(differences);
        let completeness = pairs.map(|(sum, difference)| Completeness { sum, difference }).collect();
        Ok(Attribution {
            provenance: Provenance::new(self.method, parameters, &map.device()),
            map,
            scores: backward.scores,
            target: backward.target,
            completeness: Some(completeness),
            standard_error: None,
        })
    }

    /// Where relevance stays on its way: a line per layer, from the logits down.
    ///
    /// # Errors
    /// As [`explain`](Self::explain).
    pub fn books(&self, trace: &Trace<'_>, target: &Target) -> Result<Vec<LayerRelevance>> {
        let mut lines = Vec::new();
        let mut visit = |step: &Step<'_>, arrived: &Activation, handed_back: &[Activation]| {
            let handed_back = handed_back.iter().map(total).reduce(|sum, part| sum + part);
            lines.push(LayerRelevance {
                layer: step.name().into(),
                kind: step.layer().kind(),
                arrived: read(total(arrived))?,
                handed_back: handed_back.map_or_else(|| Ok(Vec::new()), read)?,
            });
            Ok(())
        };
        let visit: Visit<'_> = &mut visit;
        trace.explain_layer_with(target, self, trace.network().input(), Some(visit))?;
        Ok(lines)
    }

    fn has_rule(&self, network: &Network, id: NodeId, node: &Node) -> bool {
        match node.layer() {
            Layer::Convolution(_) | Layer::Linear(_) => self.rules.contains_key(&id),
            Layer::Function(function) => function.keeps_signs(),
            Layer::Product | Layer::MatrixProduct => network.varying_inputs(id) == 1,
            Layer::LayerNorm(_) | Layer::Softmax { .. } => false,
            _ => true,
        }
    }

    /// Pixels have bounds, what comes out of other layers has others.
    fn check_boxes(&self, network: &Network) -> Result<()> {
        for (id, _) in self.rules.iter().filter(|(_, rule)| matches!(rule, Rule::ZBox(_))) {
            let mut below = network.node(*id).inputs()[0];
            while matches!(network.node(below).layer(), Layer::Flatten | Layer::Reshape { .. } | Layer::Dropout) {
                below = network.node(below).inputs()[0];
            }
            if below != network.input() {
                let (layer, below) = (network.node(*id).name(), network.node(below).name());
                let problem = format!(
                    "layer {layer} reads {below} and not the pixels, which z-box needs: use w-square or z-plus"
                );
                return Err(Error::unsupported(self.method, problem));
            }
        }
        Ok(())
    }

    fn share(&self, step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        match self.rules.get(&step.id()) {
            Some(rule) => rule.share_out(step, relevance, self.biases),
            None => Err(Error::unsupported(self.method, format!("no rule was chosen for layer {}", step.name()))),
        }
    }
}

/// Σ of each picture's values, `[n, 1]`.
fn total(activation: &Activation) -> Tensor<2> {
    activation.clone().flatten().sum_dim(1)
}

/// For layers without weights of their own: every input gets what it contributed to the output.
fn by_contribution(step: &Step<'_>, relevance: Activation) -> Vec<Activation> {
    let ratio = ratio(relevance, step.output().clone(), STABILIZER);
    let shares = step.gradients(ratio).into_iter().enumerate();
    shares.map(|(index, share)| share.multiply(step.input(index).clone())).collect()
}

impl BackwardRule for Propagation {
    fn check(&self, network: &Network) -> Result<()> {
        network.require_rules(self.method, "integrated-gradients", |id, node| self.has_rule(network, id, node))?;
        self.check_boxes(network)
    }

    fn start(&self, output: &Activation, slope: Activation) -> Result<Activation> {
        Ok(match self.start {
            Start::Score => slope.multiply(output.clone()),
            Start::PositiveScore => slope.multiply(output.clone()).relu(),
            Start::Weight => slope,
        })
    }

    fn relu(&self, _step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        Ok(relevance)
    }

    fn function(&self, _step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        Ok(relevance)
    }

    fn convolution(&self, step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        self.share(step, relevance)
    }

    fn linear(&self, step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        self.share(step, relevance)
    }

    fn pooling(&self, step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        match step.layer() {
            Layer::MaxPool(_) => Ok(step.gradient(relevance)),
            _ => Ok(by_contribution(step, relevance).remove(0)),
        }
    }

    fn batch_norm(&self, _step: &Step<'_>, relevance: Activation) -> Result<Activation> {
        Ok(relevance)
    }

    fn sum(&self, step: &Step<'_>, relevance: Activation) -> Result<Vec<Activation>> {
        Ok(by_contribution(step, relevance))
    }

    fn product(&self, step: &Step<'_>, relevance: Activation) -> Result<Vec<Activation>> {
        Ok(by_contribution(step, relevance))
    }
}
