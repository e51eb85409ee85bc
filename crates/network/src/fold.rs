//! Batch norm folded into the layer before it.

use burn::tensor::Tensor;

use crate::{BatchNorm, Convolution, Layer, Linear, Network, Node, NodeId};

impl Network {
    /// The same function with every batch norm that alone reads a convolution or linear layer folded into it.
    ///
    /// Methods that share relevance among weights need it: a batch norm of its own has no rule that all libraries agree
    /// on. Other batch norms (before the first convolution, or behind a sum) stay. Names of the remaining layers stay.
    pub fn fold_batch_norms(&self) -> Network {
        let mut folded = self.clone();
        // Where each old node's value is found now.
        let mut place: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        let mut nodes: Vec<Node> = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.nodes() {
            if let Layer::BatchNorm(norm) = &node.layer {
                let before = node.inputs[0];
                let merged = match &self.node(before).layer {
                    _ if self.readers(before).count() != 1 => None,
                    Layer::Convolution(layer) => Some(Layer::Convolution(fold_convolution(layer, norm))),
                    // Behind a linear layer on tokens the norm's channels are another axis.
                    Layer::Linear(layer) if self.is_vector(before) => Some(Layer::Linear(fold_linear(layer, norm))),
                    _ => None,
                };
                if let Some(layer) = merged {
                    let at = place[before.0];
                    nodes[at.0].layer = layer;
                    place.push(at);
                    continue;
                }
            }
            let inputs = node.inputs.iter().map(|input| place[input.0]).collect();
            place.push(NodeId(nodes.len()));
            nodes.push(Node { inputs, ..node.clone() });
            debug_assert_eq!(place.len(), id.0 + 1);
        }
        folded.output = place[self.output.0];
        folded.nodes = nodes;
        folded
    }

    /// Whether a node's output is one vector per picture. (False where that would take the picture's size to know.)
    fn is_vector(&self, mut id: NodeId) -> bool {
        loop {
            let node = self.node(id);
            match &node.layer {
                Layer::Flatten => return true,
                Layer::Reshape { shape } => return shape.len() == 1,
                Layer::Linear(_) | Layer::Relu | Layer::Function(_) | Layer::Dropout | Layer::BatchNorm(_) => {
                    id = node.inputs[0];
                }
                _ => return false,
            }
        }
    }
}

fn fold_convolution(layer: &Convolution, norm: &BatchNorm) -> Convolution {
    let [out, ..] = layer.weight.dims();
    let (scale, bias) = fold_bias(layer.bias.as_ref(), norm);
    let weight = layer.weight.clone() * scale.reshape([out, 1, 1, 1]);
    Convolution { weight, bias: Some(bias), ..layer.clone() }
}

fn fold_linear(layer: &Linear, norm: &BatchNorm) -> Linear {
    let [out, _] = layer.weight.dims();
    let (scale, bias) = fold_bias(layer.bias.as_ref(), norm);
    Linear { weight: layer.weight.clone() * scale.reshape([out, 1]), bias: Some(bias) }
}

/// s and s·b + t for a norm s·x + t behind a layer with bias b.
fn fold_bias(bias: Option<&Tensor<1>>, norm: &BatchNorm) -> (Tensor<1>, Tensor<1>) {
    let (scale, shift) = norm.scale_and_shift();
    let bias = match bias {
        Some(bias) => bias.clone() * scale.clone() + shift,
        None => shift,
    };
    (scale, bias)
}
