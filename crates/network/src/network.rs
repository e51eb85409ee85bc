//! The graph of layers.

use std::{cmp::Ordering, collections::BTreeSet};

use burn::tensor::{DType, Tensor};
use burnsight_core::{Classifier, Differentiable, Error, InputGradient, Result, Target, check_images};

use crate::{Activation, ExactGradient, Function, Layer, Trace};

/// Values in one layer's output for one picture: 8 GB of f32.
const MOST_VALUES: usize = 1 << 31;

/// A node of a network, in the network that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

/// One layer with its name and where its inputs come from.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) name: String,
    pub(crate) layer: Layer,
    pub(crate) inputs: Vec<NodeId>,
}

impl Node {
    /// The layer's name, as in the framework the weights come from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it computes.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// The nodes it reads.
    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }
}

/// A classifier as a graph of layers: any number of branches, skips and joins, one input, one output of logits.
///
/// Nodes are kept in the order of computation. A softmax or sigmoid at the very end is set aside when the network is
/// built, so that what is explained is the logit and not a probability whose gradient vanishes where the model is sure.
#[derive(Debug, Clone)]
pub struct Network {
    pub(crate) nodes: Vec<Node>,
    pub(crate) output: NodeId,
    softmax: Option<String>,
}

/// Builds a [`Network`] node by node, each after those it reads.
#[derive(Debug, Clone)]
pub struct NetworkBuilder {
    nodes: Vec<Node>,
}

impl Default for NetworkBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl NetworkBuilder {
    /// A network with nothing but its input, which is named `input`.
    pub fn new() -> Self {
        Self { nodes: vec![Node { name: "input".into(), layer: Layer::Input, inputs: Vec::new() }] }
    }

    /// The pictures.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// Adds a layer that reads `inputs`.
    ///
    /// # Errors
    /// [`Error::Model`] for a name that is empty or taken, an input from another builder, or a number of inputs that the
    /// layer cannot take.
    pub fn add(&mut self, name: impl Into<String>, layer: Layer, inputs: &[NodeId]) -> Result<NodeId> {
        let name = name.into();
        let refuse = |problem: String| Err(Error::model(format!("layer {name:?}"), problem));
        if name.is_empty() || self.nodes.iter().any(|node| node.name == name) {
            return refuse("the name is empty or taken: names must tell layers apart".into());
        }
        if let Some(unknown) = inputs.iter().find(|input| input.0 >= self.nodes.len()) {
            return refuse(format!("it reads node {}, which this builder has not made yet", unknown.0));
        }
        let (fewest, most) = layer.arity();
        if matches!(layer, Layer::Input) || inputs.len() < fewest || inputs.len() > most {
            return refuse(format!("a layer of kind {} cannot read {} inputs here", layer.kind(), inputs.len()));
        }
        self.nodes.push(Node { name, layer, inputs: inputs.to_vec() });
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// Adds a layer that reads the one added last.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn then(&mut self, name: impl Into<String>, layer: Layer) -> Result<NodeId> {
        self.add(name, layer, &[NodeId(self.nodes.len() - 1)])
    }

    /// The network whose logits are the layer added last. A softmax or sigmoid there is set aside.
    ///
    /// # Errors
    /// [`Error::Model`] when there is no layer at all, or the last one does not depend on the pictures.
    pub fn build(mut self) -> Result<Network> {
        let softmax = self.set_probabilities_aside();
        if self.nodes.len() < 2 {
            return Err(Error::model("network", "it has no layers"));
        }
        let output = NodeId(self.nodes.len() - 1);
        let network = Network { nodes: self.nodes, output, softmax };
        match network.leads_to(output)[0] {
            true => Ok(network),
            false => Err(Error::model("network", "its output does not depend on the pictures")),
        }
    }

    /// Removes a softmax (and its logarithm) or a sigmoid at the end, also before layers that only rename, and returns
    /// its name.
    fn set_probabilities_aside(&mut self) -> Option<String> {
        let last = self.nodes.len() - 1;
        let mut at = last;
        while self.nodes[at].layer.renames() {
            at = self.nodes[at].inputs[0].0;
        }
        let logarithm = matches!(self.nodes[at].layer, Layer::Function(Function::Log)).then_some(at);
        let probabilities = logarithm.map_or(at, |logarithm| self.nodes[logarithm].inputs[0].0);
        let is_set_aside = match self.nodes[probabilities].layer {
            Layer::Softmax { .. } => true,
            Layer::Function(Function::Sigmoid) => logarithm.is_none(),
            _ => false,
        };
        if !is_set_aside {
            return None;
        }
        let name = self.nodes[probabilities].name.clone();
        let logits = self.nodes[probabilities].inputs[0];
        if at == last {
            // What was added after the logits and before the softmax leads nowhere.
            self.nodes.truncate(logits.0 + 1);
        } else {
            logarithm.into_iter().for_each(|logarithm| self.remove(logarithm));
            self.remove(probabilities);
        }
        Some(name)
    }

    /// Takes a node with one input out; its readers read that input.
    fn remove(&mut self, index: usize) {
        let instead = self.nodes.remove(index).inputs[0];
        for input in self.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            match input.0.cmp(&index) {
                Ordering::Less => {}
                Ordering::Equal => *input = instead,
                Ordering::Greater => input.0 -= 1,
            }
        }
    }
}

impl Network {
    /// The nodes in the order of computation, the input first.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index), node))
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The pictures.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// The logits.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// The name of the softmax or sigmoid that was set aside, if the model ended in one.
    pub fn trailing_softmax(&self) -> Option<&str> {
        self.softmax.as_deref()
    }

    /// The node of that name.
    ///
    /// # Errors
    /// [`Error::Parameter`] that lists the names there are.
    pub fn find(&self, name: &str) -> Result<NodeId> {
        self.nodes.iter().position(|node| node.name == name).map(NodeId).ok_or_else(|| {
            let names: Vec<&str> = self.nodes.iter().map(Node::name).collect();
            Error::parameter("layer", name, &format!("no such layer; there are {}", names.join(", ")))
        })
    }

    /// The nodes that read `id`.
    pub fn readers(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.nodes().filter(move |(_, node)| node.inputs.contains(&id)).map(|(reader, _)| reader)
    }

    /// The same network with its weights in another number format. Double precision tells a wrong gradient from one that a
    /// ReLU near zero has flipped by rounding.
    pub fn cast(&self, dtype: DType) -> Network {
        let nodes = self.nodes.iter().map(|node| Node { layer: node.layer.cast(dtype), ..node.clone() }).collect();
        Network { nodes, ..self.clone() }
    }

    /// Where Grad-CAM looks unless told otherwise: the last convolution that leads to the logits, after the batch norm,
    /// join and ReLU (or other function) that may follow it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the network has no convolution.
    pub fn last_convolution(&self) -> Result<NodeId> {
        let leads_to_logits = self.leads_to(self.output);
        let on_the_way = |id: &NodeId| leads_to_logits[id.0];
        let is_convolution = |id: &NodeId| matches!(self.node(*id).layer, Layer::Convolution(_));
        let mut backwards = (0..self.nodes.len()).rev().map(NodeId);
        let Some(mut last) = backwards.find(|id| on_the_way(id) && is_convolution(id)) else {
            return Err(Error::unsupported("a class activation map", "the network has no convolution"));
        };
        while let Some(reader) = self.readers(last).find(|id| on_the_way(id)) {
            match self.node(reader).layer {
                Layer::Relu | Layer::Function(_) => return Ok(reader),
                Layer::BatchNorm(_) | Layer::Sum | Layer::Concatenation { .. } => last = reader,
                _ => break,
            }
        }
        Ok(last)
    }

    /// For methods that change what a ReLU hands back: without one they would repeat the gradient under another name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the network has no ReLU.
    pub fn require_relu(&self, method: &str) -> Result<()> {
        if self.nodes.iter().any(|node| matches!(node.layer, Layer::Relu)) {
            return Ok(());
        }
        let functions = self.nodes.iter().filter(|node| matches!(node.layer, Layer::Function(_)));
        let functions: BTreeSet<&str> = functions.map(|node| node.layer.kind()).collect();
        let instead = match functions.is_empty() {
            true => String::new(),
            false => format!(" (but {})", Vec::from_iter(functions).join(", ")),
        };
        let problem =
            format!("it has no ReLU{instead}, where the method differs from the gradient: use vanilla-gradient");
        Err(Error::unsupported(method, problem))
    }

    /// For methods without a rule for every kind of layer: better no map than a guessed one.
    ///
    /// `has_rule` is asked for every layer between the pictures and the logits.
    ///
    /// # Errors
    /// [`Error::Unsupported`] that names the first layer without a rule and the method to use `instead`.
    pub fn require_rules(&self, method: &str, instead: &str, has_rule: impl Fn(NodeId, &Node) -> bool) -> Result<()> {
        let (depend, leads) = (self.depend_on(self.input()), self.leads_to(self.output));
        let mut between = self.nodes().skip(1).filter(|(id, _)| depend[id.0] && leads[id.0]);
        match between.find(|(id, node)| !has_rule(*id, node)) {
            None => Ok(()),
            Some((_, node)) => {
                let (name, kind) = (&node.name, node.layer.kind());
                let problem = format!("it has no rule for layer {name} ({kind}): use {instead}");
                Err(Error::unsupported(method, problem))
            }
        }
    }

    /// For every node whether it depends on that one.
    pub(crate) fn depend_on(&self, id: NodeId) -> Vec<bool> {
        let mut depends = vec![false; self.nodes.len()];
        depends[id.0] = true;
        for index in id.0 + 1..self.nodes.len() {
            depends[index] = self.nodes[index].inputs.iter().any(|input| depends[input.0]);
        }
        depends
    }

    /// Whether a node's output is known to be nowhere below 0, whatever the pictures.
    pub fn is_non_negative(&self, id: NodeId) -> bool {
        let node = self.node(id);
        match &node.layer {
            Layer::Relu | Layer::Softmax { .. } => true,
            Layer::Function(function) => function.is_non_negative(),
            Layer::MaxPool(_)
            | Layer::AveragePool(_)
            | Layer::AdaptiveAveragePool(_)
            | Layer::Mean { .. }
            | Layer::Flatten
            | Layer::Reshape { .. }
            | Layer::Transpose { .. }
            | Layer::Select(_)
            | Layer::Dropout
            | Layer::Sum
            | Layer::Product
            | Layer::MatrixProduct
            | Layer::Concatenation { .. } => node.inputs.iter().all(|input| self.is_non_negative(*input)),
            Layer::Pad(pad) => pad.value >= 0.0 && self.is_non_negative(node.inputs[0]),
            _ => false,
        }
    }

    /// How many inputs of a node depend on the pictures. A product with one such input is linear.
    pub fn varying_inputs(&self, id: NodeId) -> usize {
        let depends = self.depend_on(self.input());
        self.node(id).inputs.iter().filter(|input| depends[input.0]).count()
    }

    /// The shape of every node's output, batch left out, for pictures of shape `[c, h, w]`.
    ///
    /// # Errors
    /// [`Error::Image`] that names the first layer the picture does not fit.
    pub fn shapes(&self, image: [usize; 3]) -> Result<Vec<Vec<usize>>> {
        let mut shapes: Vec<Vec<usize>> = vec![image.to_vec()];
        for node in &self.nodes[1..] {
            let inputs: Vec<&[usize]> = node.inputs.iter().map(|input| shapes[input.0].as_slice()).collect();
            let shape = node.layer.output_shape(&inputs).map_err(|problem| {
                let [channels, height, width] = image;
                let picture = format!("{width}×{height} with {channels} channels");
                Error::image(picture, format!("layer {} ({}): {problem}", node.name, node.layer.kind()))
            })?;
            // Burn would abort the process when the memory is not there.
            if shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size)) > Some(MOST_VALUES) {
                let problem =
                    format!("its output of shape {shape:?} is beyond the {MOST_VALUES} values a layer may have");
                return Err(Error::model(format!("layer {}", node.name), problem));
            }
            shapes.push(shape);
        }
        match shapes[self.output.0].len() {
            1 => Ok(shapes),
            _ => {
                let problem = format!("its output has shape {:?}, logits are a vector", shapes[self.output.0]);
                Err(Error::model(self.nodes[self.output.0].name.clone(), problem))
            }
        }
    }

    pub(crate) fn check(&self, images: &Tensor<4>) -> Result<()> {
        check_images(images)?;
        let [_, channels, height, width] = images.dims();
        self.shapes([channels, height, width])?;
        let mut weights = self.nodes.iter().filter_map(|node| node.layer.dtype());
        match weights.find(|dtype| *dtype != images.dtype()) {
            Some(dtype) => {
                let problem = format!("its numbers are {:?}, the network's are {dtype:?}: cast it", images.dtype());
                Err(Error::image(format!("{:?}", images.dims()), problem))
            }
            None => Ok(()),
        }
    }

    /// Runs the network and keeps what every layer computed: one forward pass for any number of reverse walks.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`
    ///
    /// # Errors
    /// [`Error::Image`] when the pictures do not fit the network.
    pub fn record(&self, images: Tensor<4>) -> Result<Trace<'_>> {
        self.check(&images)?;
        Ok(Trace::record(self, images.inner()))
    }
}

impl Classifier for Network {
    fn logits(&self, images: Tensor<4>) -> Result<Tensor<2>> {
        self.check(&images)?;
        // The last reader of every node, after which its output can be freed.
        let mut last_reader = vec![0; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|input| last_reader[input.0] = index);
        }
        let mut outputs: Vec<Option<Activation>> = vec![Some(Activation::Map(images.inner()))];
        for (index, node) in self.nodes.iter().enumerate().skip(1) {
            let inputs: Vec<&Activation> = node.inputs.iter().filter_map(|input| outputs[input.0].as_ref()).collect();
            let output = node.layer.forward(&inputs);
            node.inputs.iter().filter(|input| last_reader[input.0] == index).for_each(|input| outputs[input.0] = None);
            outputs.push(Some(output));
        }
        let logits = outputs.swap_remove(self.output.0).map(Activation::flatten);
        logits.ok_or_else(|| Error::model("network", "its output was not computed"))
    }
}

impl Differentiable for Network {
    fn gradient(&self, images: Tensor<4>, target: &Target) -> Result<InputGradient> {
        self.record(images)?.input_gradient(target, &ExactGradient)
    }
}
