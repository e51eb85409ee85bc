//! A recorded forward pass and the one reverse walk over it.

use burn::tensor::{Int, Tensor, TensorData};
use burnsight_core::{Attribution, Error, InputGradient, Result, Target, read};

use crate::{Activation, BackwardRule, Layer, Network, NodeId};

/// What every layer of a network computed for some pictures.
///
/// One trace serves any number of rules and targets: the forward pass, about half of the cost of a gradient, is paid
/// once.
#[derive(Debug, Clone)]
pub struct Trace<'n> {
    network: &'n Network,
    outputs: Vec<Activation>,
    /// For max pools: which input won.
    switches: Vec<Option<Tensor<4, Int>>>,
}

/// A method that can work from a recorded forward pass, and so share it with others.
pub trait TraceAttributor {
    /// Explains the target's score for the pictures of the trace. The shapes and errors of
    /// [`Attributor::attribute`](burnsight_core::Attributor::attribute).
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution>;
}

/// One layer during the reverse walk.
#[derive(Debug, Clone, Copy)]
pub struct Step<'t> {
    trace: &'t Trace<'t>,
    id: NodeId,
}

impl<'t> Step<'t> {
    /// The layer's place in the network.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The layer whose output it reads: what a rule has to know that treats two layers as one.
    pub fn producer(&self, index: usize) -> Step<'t> {
        Step { trace: self.trace, id: self.trace.network.node(self.id).inputs()[index] }
    }

    /// The layer's name.
    pub fn name(&self) -> &'t str {
        self.trace.network.node(self.id).name()
    }

    /// What the layer computes.
    pub fn layer(&self) -> &'t Layer {
        self.trace.network.node(self.id).layer()
    }

    /// How many inputs it reads.
    pub fn input_count(&self) -> usize {
        self.trace.network.node(self.id).inputs().len()
    }

    /// What it read in the forward pass.
    pub fn input(&self, index: usize) -> &'t Activation {
        self.trace.activation(self.trace.network.node(self.id).inputs()[index])
    }

    /// Whether its first input is known to be nowhere below 0.
    pub fn reads_non_negative(&self) -> bool {
        self.trace.network.is_non_negative(self.trace.network.node(self.id).inputs()[0])
    }

    /// What it computed in the forward pass.
    pub fn output(&self) -> &'t Activation {
        self.trace.activation(self.id)
    }

    /// For a max pool: which place of its input won, as row · width + column; shaped as its output.
    ///
    /// # Panics
    /// When the layer is no max pool.
    pub fn switches(&self) -> Tensor<4, Int> {
        self.trace.switches[self.id.0].clone().expect("a max pool records its switches")
    }

    /// The exact gradient, for a layer with one input.
    ///
    /// # Panics
    /// When the layer has several inputs.
    pub fn gradient(&self, upstream: Activation) -> Activation {
        let mut gradients = self.gradients(upstream);
        assert_eq!(gradients.len(), 1, "{} has several inputs: ask for its gradients", self.name());
        gradients.remove(0)
    }

    /// The exact gradient for every input.
    pub fn gradients(&self, upstream: Activation) -> Vec<Activation> {
        self.layer().backward(self, upstream)
    }
}

/// Is shown a layer of a reverse walk, what arrived at its output, and what it handed back to each input.
pub type Visit<'v> = &'v mut dyn FnMut(&Step<'_>, &Activation, &[Activation]) -> Result<()>;

/// Where a reverse walk ended: what arrived at a layer, and the score it started from.
#[derive(Debug, Clone)]
pub struct Backward {
    /// What arrived, shaped as the layer's output.
    pub arrived: Activation,
    /// The score of each picture.
    pub scores: Vec<f32>,
    /// The target with [`Target::Top`] filled in.
    pub target: Target,
}

impl<'n> Trace<'n> {
    pub(crate) fn record(network: &'n Network, images: Tensor<4>) -> Self {
        let mut outputs = Vec::with_capacity(network.nodes.len());
        outputs.push(Activation::Map(images));
        let mut switches = vec![None];
        for node in &network.nodes[1..] {
            let inputs: Vec<&Activation> = node.inputs.iter().map(|input| &outputs[input.0]).collect();
            let (output, switch) = node.layer.record(&inputs);
            outputs.push(output);
            switches.push(switch);
        }
        Self { network, outputs, switches }
    }

    /// The network that was run.
    pub fn network(&self) -> &'n Network {
        self.network
    }

    /// Explains the same pictures on the network with its batch norms folded: on this trace, if there is nothing to fold, or
    /// on a new one. For methods that share something out among the weights.
    ///
    /// # Errors
    /// Those of `explain`; [`Error::Target`] for a hidden unit that is gone, because a batch norm reads it.
    pub fn with_batch_norms_folded<T>(
        &self,
        target: &Target,
        explain: impl FnOnce(&Trace<'_>, &Target) -> Result<T>,
    ) -> Result<T> {
        let folded = self.network.fold_batch_norms();
        if folded.nodes.len() == self.network.nodes.len() {
            return explain(self, target);
        }
        let target = self.unit_of_folded(target, &folded)?;
        explain(&folded.record(self.images())?, &target)
    }

    /// A unit of a norm is, in the folded network, one of the layer before it; that layer's own units are there no more.
    fn unit_of_folded(&self, target: &Target, folded: &Network) -> Result<Target> {
        let Target::Unit { layer, index } = target else { return Ok(target.clone()) };
        let id = self.network.find(layer)?;
        let is_gone = |id: NodeId| folded.find(self.network.node(id).name()).is_err();
        if is_gone(id) {
            let before = self.network.node(id).inputs()[0];
            return Ok(Target::Unit { layer: self.network.node(before).name().into(), index: index.clone() });
        }
        match self.network.readers(id).find(|reader| is_gone(*reader)) {
            None => Ok(target.clone()),
            Some(norm) => {
                let norm = self.network.node(norm).name();
                Err(Error::target(
                    target,
                    format!("the batch norm {norm} is folded into that layer: explain a unit of {norm}"),
                ))
            }
        }
    }

    /// The pictures it was run on, `[n, c, h, w]`.
    pub fn images(&self) -> Tensor<4> {
        self.outputs[0].as_map().expect("pictures are a map")
    }

    /// The scores of all classes, `[n, classes]`.
    pub fn logits(&self) -> Tensor<2> {
        self.outputs[self.network.output.0].clone().flatten()
    }

    /// What a layer computed.
    pub fn activation(&self, id: NodeId) -> &Activation {
        &self.outputs[id.0]
    }

    /// What everything recorded takes, in bytes. Layers that only rename their input (flatten, reshape, dropout) share it.
    pub fn bytes(&self) -> usize {
        let activations = self.network.nodes.iter().zip(&self.outputs);
        let stored = activations.filter(|(node, _)| !node.layer.renames());
        let activations: usize =
            stored.map(|(_, output)| output.dims().iter().product::<usize>() * output.dtype().size()).sum();
        let switches = self.switches.iter().flatten();
        activations + switches.map(|switch| switch.shape().num_elements() * switch.dtype().size()).sum::<usize>()
    }

    /// Explains a target's score down to the pictures.
    ///
    /// # Errors
    /// As [`explain_layer`](Self::explain_layer).
    pub fn input_gradient(&self, target: &Target, rule: &dyn BackwardRule) -> Result<InputGradient> {
        let Backward { arrived, scores, target } = self.explain_layer(target, rule, self.network.input())?;
        let gradient = arrived.as_map().expect("pictures are a map");
        Ok(InputGradient { gradient, scores, target })
    }

    /// Walks from a target's score back to the layer `until` and returns what arrives at its output.
    ///
    /// # Errors
    /// [`Error::Target`] when the network has no such target, [`Error::Unsupported`] when the rule refuses the network
    /// or when the score does not depend on the layer.
    pub fn explain_layer(&self, target: &Target, rule: &dyn BackwardRule, until: NodeId) -> Result<Backward> {
        self.explain_layer_with(target, rule, until, None)
    }

    /// The same, and shows `visit` every layer that was walked through: what arrived at its output, and what it handed
    /// back to each of its inputs. For books that must balance.
    ///
    /// # Errors
    /// As [`explain_layer`](Self::explain_layer).
    pub fn explain_layer_with(
        &self,
        target: &Target,
        rule: &dyn BackwardRule,
        until: NodeId,
        visit: Option<Visit<'_>>,
    ) -> Result<Backward> {
        // Before anything else of the rule is asked.
        rule.check(self.network)?;
        let (start, slope, scores, target) = match target {
            Target::Unit { layer, index } => {
                let start = self.network.find(layer)?;
                let (slope, scores) = self.unit(start, target, index)?;
                (start, slope, scores, target.clone())
            }
            on_logits => {
                let pinned = on_logits.pin(&self.logits())?;
                let score = pinned.score(self.logits())?;
                (self.network.output, Activation::Vector(score.cotangent), score.values, pinned)
            }
        };
        let start_from = rule.start(&self.outputs[start.0], slope)?;
        let arrived = self.walk(start, start_from, rule, until, visit)?;
        Ok(Backward { arrived, scores, target })
    }

    /// The reverse walk: from `cotangent` at the output of `start` to the output of `until`, every layer by its rule.
    ///
    /// # Shapes
    /// - cotangent: as the output of `start`
    /// - returns: as the output of `until`
    ///
    /// # Errors
    /// [`Error::Parameter`] for a cotangent of another shape, [`Error::Unsupported`] when the rule refuses the network
    /// or `start` does not depend on `until`.
    pub fn backward(
        &self,
        start: NodeId,
        cotangent: Activation,
        rule: &dyn BackwardRule,
        until: NodeId,
    ) -> Result<Activation> {
        rule.check(self.network)?;
        self.walk(start, cotangent, rule, until, None)
    }

    fn walk(
        &self,
        start: NodeId,
        cotangent: Activation,
        rule: &dyn BackwardRule,
        until: NodeId,
        mut visit: Option<Visit<'_>>,
    ) -> Result<Activation> {
        let nodes = &self.network.nodes;
        let wanted = self.outputs[start.0].dims();
        if cotangent.dims() != wanted {
            let requirement = format!("the output of {} has shape {wanted:?}", nodes[start.0].name);
            return Err(Error::parameter("cotangent", format!("{:?}", cotangent.dims()), &requirement));
        }
        // Only nodes that depend on `until` can carry anything to it.
        let depends = self.network.depend_on(until);
        if start < until || !depends[start.0] {
            let (from, to) = (&nodes[start.0].name, &nodes[until.0].name);
            let problem = format!("{from} does not depend on layer {to}: choose a layer that leads to it");
            return Err(Error::unsupported("the reverse walk", problem));
        }
        let mut arrived: Vec<Option<Activation>> = vec![None; start.0 + 1];
        arrived[start.0] = Some(cotangent);
        for index in (until.0 + 1..=start.0).rev().filter(|index| depends[*index]) {
            let Some(upstream) = arrived[index].take() else { continue };
            let step = Step { trace: self, id: NodeId(index) };
            // Kept only if somebody looks: a rule may overwrite what nobody else holds.
            let seen = visit.as_ref().map(|_| upstream.clone());
            let handed_back = match step.layer() {
                Layer::Relu => vec![rule.relu(&step, upstream)?],
                Layer::Function(_) => vec![rule.function(&step, upstream)?],
                Layer::Convolution(_) => vec![rule.convolution(&step, upstream)?],
                Layer::Linear(_) => vec![rule.linear(&step, upstream)?],
                Layer::MaxPool(_)
                | Layer::AveragePool(_)
                | Layer::AdaptiveAveragePool(_)
                | Layer::Mean { .. }
                | Layer::Resample(_) => vec![rule.pooling(&step, upstream)?],
                Layer::BatchNorm(_) => vec![rule.batch_norm(&step, upstream)?],
                Layer::LayerNorm(_) => vec![rule.layer_norm(&step, upstream)?],
                Layer::Softmax { .. } => vec![rule.softmax(&step, upstream)?],
                Layer::Sum => rule.sum(&step, upstream)?,
                Layer::Product | Layer::MatrixProduct => rule.product(&step, upstream)?,
                // No rule differs from the gradient here: these only move values about.
                Layer::Input
                | Layer::Constant(_)
                | Layer::Flatten
                | Layer::Reshape { .. }
                | Layer::Transpose { .. }
                | Layer::Select(_)
                | Layer::Pad(_)
                | Layer::Dropout
                | Layer::Concatenation { .. } => step.gradients(upstream),
            };
            if let (Some(visit), Some(seen)) = (&mut visit, &seen) {
                visit(&step, seen, &handed_back)?;
            }
            for (input, gradient) in nodes[index].inputs.iter().zip(handed_back).filter(|(input, _)| depends[input.0]) {
                let sum = match arrived[input.0].take() {
                    Some(earlier) => earlier + gradient,
                    None => gradient,
                };
                arrived[input.0] = Some(sum);
            }
        }
        arrived[until.0].take().ok_or_else(|| {
            Error::unsupported("the reverse walk", format!("nothing arrived at layer {}", nodes[until.0].name))
        })
    }

    /// The value of one hidden unit in every picture, and the cotangent that selects it.
    fn unit(&self, layer: NodeId, target: &Target, index: &[usize]) -> Result<(Activation, Vec<f32>)> {
        let output = &self.outputs[layer.0];
        let dims = output.dims();
        let shape = &dims[1..];
        if index.len() != shape.len() || index.iter().zip(shape).any(|(index, size)| index >= size) {
            return Err(Error::target(target, format!("the layer's output has shape {shape:?}, counted from 0")));
        }
        let flat = index.iter().zip(shape).fold(0, |flat, (index, size)| flat * size + index);
        let features: usize = shape.iter().product();
        let mut one_hot = vec![0.0f32; features];
        one_hot[flat] = 1.0;
        let one_hot = TensorData::new(one_hot, [1, features]);
        let one_hot = Tensor::<2>::from_data(one_hot, (&output.device(), output.dtype())).expand([dims[0], features]);
        let scores = read(output.clone().flatten().slice_dim(1, flat..flat + 1))?;
        Ok((Activation::Vector(one_hot).reshape(&dims), scores))
    }
}
