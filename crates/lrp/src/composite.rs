//! Which layer shares out by which rule.

use std::collections::BTreeMap;

use burnsight_core::{Error, Result};
use burnsight_network::{Affine, Layer, Network, NodeId};
use serde::Serialize;

use crate::{PixelBounds, Rule};

/// ε of the composites that use it only to divide safely.
const SMALL_EPSILON: f64 = 1e-6;

/// ε of iNNvestigate's presets, which takes weak evidence out.
const PRESET_EPSILON: f64 = 0.1;

/// Some of the layers with weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layers {
    /// All of them.
    All,
    /// The convolutions.
    Convolutions,
    /// The fully connected layers.
    Linear,
    /// Those below which there is no other: they read the pictures.
    First,
    /// The one of that name.
    Named(String),
    /// By depth: the k-th of K layers, counted from 0 at the pictures, if from ≤ k / K < to.
    Depth {
        /// 0 is the pictures.
        from: f64,
        /// 1 is the logits.
        to: f64,
    },
}

/// A rule for every layer with weights: a list of choices, of which the last that fits a layer decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Composite {
    choices: Vec<(Layers, Rule)>,
}

impl Composite {
    /// The names that [`named`](Self::named) knows: composites, then single rules.
    pub const NAMES: [&str; 17] = [
        "epsilon-plus",
        "epsilon-plus-flat",
        "epsilon-alpha2-beta1",
        "epsilon-alpha2-beta1-flat",
        "epsilon-gamma-box",
        "preset-a",
        "preset-a-flat",
        "preset-b",
        "preset-b-flat",
        "zero",
        "epsilon",
        "gamma",
        "alpha2-beta1",
        "alpha1-beta0",
        "z-plus",
        "w-square",
        "flat",
    ];

    /// One rule for all layers.
    pub fn uniform(rule: Rule) -> Self {
        Self { choices: vec![(Layers::All, rule)] }
    }

    /// The same with another rule for some layers.
    pub fn with(mut self, layers: Layers, rule: Rule) -> Self {
        self.choices.push((layers, rule));
        self
    }

    /// ε for fully connected layers, z⁺ for convolutions.
    pub fn epsilon_plus() -> Self {
        Self::uniform(Rule::Epsilon(SMALL_EPSILON)).with(Layers::Convolutions, Rule::ZPlus)
    }

    /// ε for fully connected layers, α2β1 for convolutions.
    pub fn epsilon_alpha2_beta1() -> Self {
        Self::uniform(Rule::Epsilon(SMALL_EPSILON)).with(Layers::Convolutions, ALPHA2_BETA1)
    }

    /// ε for fully connected layers, γ for convolutions, z-box for the convolutions that read the pictures.
    pub fn epsilon_gamma_box(gamma: f64, bounds: PixelBounds) -> Self {
        Self::uniform(Rule::Epsilon(SMALL_EPSILON))
            .with(Layers::Convolutions, Rule::Gamma(gamma))
            .with(Layers::First, Rule::ZBox(bounds))
    }

    /// iNNvestigate's preset A: ε = 0.1 for fully connected layers, α1β0 for convolutions.
    pub fn preset_a() -> Self {
        Self::uniform(Rule::Epsilon(PRESET_EPSILON)).with(Layers::Convolutions, ALPHA1_BETA0)
    }

    /// iNNvestigate's preset B: ε = 0.1 for fully connected layers, α2β1 for convolutions.
    pub fn preset_b() -> Self {
        Self::uniform(Rule::Epsilon(PRESET_EPSILON)).with(Layers::Convolutions, ALPHA2_BETA1)
    }

    /// The same with the layers that read the pictures sharing alike.
    pub fn with_flat_first(self) -> Self {
        self.with(Layers::First, Rule::Flat)
    }

    /// The composite, or the single rule for all layers, of that name. `bounds` are for those that need to know them.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a name that is not among [`NAMES`](Self::NAMES), or bounds that are missing.
    pub fn named(name: &str, bounds: Option<&PixelBounds>) -> Result<Self> {
        Ok(match name {
            "epsilon-plus" => Self::epsilon_plus(),
            "epsilon-plus-flat" => Self::epsilon_plus().with_flat_first(),
            "epsilon-alpha2-beta1" => Self::epsilon_alpha2_beta1(),
            "epsilon-alpha2-beta1-flat" => Self::epsilon_alpha2_beta1().with_flat_first(),
            "epsilon-gamma-box" => match bounds {
                Some(bounds) => Self::epsilon_gamma_box(GAMMA, bounds.clone()),
                None => return Err(Error::parameter("rule", name, "it needs to know the bounds of the pixels")),
            },
            "preset-a" => Self::preset_a(),
            "preset-a-flat" => Self::preset_a().with_flat_first(),
            "preset-b" => Self::preset_b(),
            "preset-b-flat" => Self::preset_b().with_flat_first(),
            "zero" => Self::uniform(Rule::Zero),
            "epsilon" => Self::uniform(Rule::Epsilon(SMALL_EPSILON)),
            "gamma" => Self::uniform(Rule::Gamma(GAMMA)),
            "alpha2-beta1" => Self::uniform(ALPHA2_BETA1),
            "alpha1-beta0" => Self::uniform(ALPHA1_BETA0),
            "z-plus" => Self::uniform(Rule::ZPlus),
            "w-square" => Self::uniform(Rule::WSquare),
            "flat" => Self::uniform(Rule::Flat),
            _ => {
                let requirement = format!("no such rule of lrp; there are {}", Self::NAMES.join(", "));
                return Err(Error::parameter("rule", name, &requirement));
            }
        })
    }

    /// Refuses numbers that no share can be made of.
    pub(crate) fn check(&self) -> Result<()> {
        self.choices.iter().try_for_each(|(_, rule)| rule.check())
    }

    /// The rule of every layer with weights.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a layer's name that the network has not got, or that has no weights.
    pub fn rules(&self, network: &Network) -> Result<BTreeMap<NodeId, Rule>> {
        for (layers, _) in &self.choices {
            let Layers::Named(name) = layers else { continue };
            let node = network.node(network.find(name)?);
            if Affine::of(node.layer()).is_none() {
                let requirement = format!("a {} has no weights to share by", node.layer().kind());
                return Err(Error::parameter("layer", name, &requirement));
            }
        }
        let weighted: Vec<NodeId> =
            network.nodes().filter(|(_, node)| has_weights(node.layer())).map(|(id, _)| id).collect();
        let choice = |(place, id): (usize, &NodeId)| {
            let depth = place as f64 / weighted.len() as f64;
            let fits = |(layers, _): &&(Layers, Rule)| layers.contain(network, *id, depth);
            self.choices.iter().rfind(fits).map(|(_, rule)| (*id, rule.clone()))
        };
        Ok(weighted.iter().enumerate().filter_map(choice).collect())
    }
}

const GAMMA: f64 = 0.25;
const ALPHA2_BETA1: Rule = Rule::AlphaBeta { alpha: 2.0, beta: 1.0 };
const ALPHA1_BETA0: Rule = Rule::AlphaBeta { alpha: 1.0, beta: 0.0 };

impl Layers {
    fn contain(&self, network: &Network, id: NodeId, depth: f64) -> bool {
        let node = network.node(id);
        match self {
            Self::All => true,
            Self::Convolutions => matches!(node.layer(), Layer::Convolution(_)),
            Self::Linear => matches!(node.layer(), Layer::Linear(_)),
            Self::First => is_first(network, id),
            Self::Named(name) => node.name() == name,
            Self::Depth { from, to } => (*from..*to).contains(&depth),
        }
    }
}

fn has_weights(layer: &Layer) -> bool {
    matches!(layer, Layer::Convolution(_) | Layer::Linear(_))
}

/// Whether there is no layer with weights below this one.
pub(crate) fn is_first(network: &Network, id: NodeId) -> bool {
    let mut below = network.node(id).inputs().to_vec();
    while let Some(id) = below.pop() {
        let node = network.node(id);
        if has_weights(node.layer()) {
            return false;
        }
        below.extend(node.inputs());
    }
    true
}
