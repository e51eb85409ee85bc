//! Where in the picture the numbers of a hidden layer belong.

use burn::tensor::Tensor;
use burnsight_core::{Error, Result};

use crate::{Activation, Layer, Network, Node, NodeId, Select, Trace};

/// Which axes of a layer's output are channels and which are places of the picture.
///
/// Convolutions put channels first and rows and columns last. Other networks move them: channels last, or rows and columns
/// as one axis of tokens, with tokens before them that belong to no place (a class token).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    channels: usize,
    grid: Grid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grid {
    Axes { rows: usize, columns: usize },
    Tokens { axis: usize, before: usize, rows: usize, columns: usize },
}

impl Places {
    /// Channels first, as convolutions and pictures have it.
    const MAP: Self = Self { channels: 1, grid: Grid::Axes { rows: 2, columns: 3 } };

    /// The activation, or its gradient, as a map; tokens that belong to no place are left out.
    ///
    /// # Shapes
    /// - returns: `[n, channels, rows, columns]`
    pub fn to_map(&self, activation: Activation) -> Tensor<4> {
        let map = match self.grid {
            Grid::Axes { rows, columns } => activation.permute(&[0, self.channels, rows, columns]),
            Grid::Tokens { axis, before, rows, columns } => {
                let dims = activation.dims();
                let tokens = activation.slice(axis, before, rows * columns).permute(&[0, self.channels, axis]);
                tokens.reshape(&[dims[0], dims[self.channels], rows, columns])
            }
        };
        map.as_map().expect("four axes")
    }

    fn permuted(self, axes: &[usize]) -> Option<Self> {
        let to = |from: usize| axes.iter().position(|axis| *axis == from);
        let grid = match self.grid {
            Grid::Axes { rows, columns } => Grid::Axes { rows: to(rows)?, columns: to(columns)? },
            Grid::Tokens { axis, before, rows, columns } => Grid::Tokens { axis: to(axis)?, before, rows, columns },
        };
        Some(Self { channels: to(self.channels)?, grid })
    }

    /// Rows and columns become tokens, or tokens rows and columns; anything else loses track.
    fn reshaped(self, from: &[usize], to: &[usize]) -> Option<Self> {
        if from == to {
            return Some(self);
        }
        match self.grid {
            Grid::Axes { rows, columns } if columns == rows + 1 => {
                let merged = [&from[..rows], &[from[rows] * from[columns]], &from[columns + 1..]].concat();
                let channels = if self.channels > columns { self.channels - 1 } else { self.channels };
                let grid = Grid::Tokens { axis: rows, before: 0, rows: from[rows], columns: from[columns] };
                (merged == to).then_some(Self { channels, grid })
            }
            Grid::Tokens { axis, before: 0, rows, columns } => {
                let split = [&from[..axis], &[rows, columns], &from[axis + 1..]].concat();
                let channels = if self.channels > axis { self.channels + 1 } else { self.channels };
                (split == to).then_some(Self { channels, grid: Grid::Axes { rows: axis, columns: axis + 1 } })
            }
            _ => None,
        }
    }

    /// A crop would shift the places; every second row or column still spans the picture.
    fn selected(self, select: &Select, size: usize) -> Option<Self> {
        let Select { axis: along, indices } = select;
        let spread = indices.len() == size || indices.windows(2).all(|pair| pair[1] >= pair[0] + 2);
        match self.grid {
            Grid::Axes { rows, columns } if *along == rows || *along == columns => spread.then_some(self),
            Grid::Tokens { axis, before, rows, columns } if *along == axis => {
                let kept = |offset: usize| indices.iter().position(|index| *index == before + offset);
                let start = kept(0)?;
                let whole = (1..rows * columns).all(|offset| indices.get(start + offset) == Some(&(before + offset)));
                whole.then_some(Self { grid: Grid::Tokens { axis, before: start, rows, columns }, ..self })
            }
            _ => Some(self),
        }
    }
}

impl Trace<'_> {
    /// Which axes of a layer's output are places of the picture.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the layer's output has no places, or they could not be followed to it.
    pub fn places(&self, layer: NodeId) -> Result<Places> {
        self.all_places()[layer.0].ok_or_else(|| {
            let name = self.network().node(layer).name();
            let problem = format!("layer {name} has no places, only features: name a layer before it");
            Error::unsupported("a class activation map", problem)
        })
    }

    /// Where class activation maps look unless told otherwise: the last layer where places still exist and classes
    /// nearly do.
    ///
    /// Without attention that is [`Network::last_convolution`]. With attention behind the last convolution it is the layer
    /// norm before the last attention; behind that, only the class token reaches the logits.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the network has neither.
    pub fn last_places(&self) -> Result<NodeId> {
        let network = self.network();
        let convolution = network.last_convolution();
        let leads = network.leads_to(network.output());
        let last = |found: &dyn Fn(&Layer) -> bool, before: usize| {
            (0..before).rev().find(|index| leads[*index] && found(network.node(NodeId(*index)).layer()))
        };
        let attention = last(&|layer| matches!(layer, Layer::MatrixProduct), network.nodes().len());
        let places = self.all_places();
        if let Some(attention) = attention.filter(|index| convolution.as_ref().map_or(true, |last| last.0 < *index)) {
            let before = network.leads_to(NodeId(attention));
            let norm = (0..attention).rev().find(|index| {
                let is_norm = matches!(network.node(NodeId(*index)).layer(), Layer::LayerNorm(_));
                is_norm && before[*index] && places[*index].is_some()
            });
            if let Some(norm) = norm {
                return Ok(NodeId(norm));
            }
        }
        convolution
    }

    /// Follows the places from layer to layer.
    fn all_places(&self) -> Vec<Option<Places>> {
        let mut all: Vec<Option<Places>> = Vec::with_capacity(self.network().nodes().len());
        for (id, node) in self.network().nodes() {
            let places = self.follow(id, node, &all);
            all.push(places);
        }
        all
    }

    fn follow(&self, id: NodeId, node: &Node, all: &[Option<Places>]) -> Option<Places> {
        let dims = |id: NodeId| self.activation(id).dims();
        let inputs = node.inputs();
        let known = |input: &NodeId| all[input.0];
        match node.layer() {
            Layer::Input
            | Layer::Convolution(_)
            | Layer::MaxPool(_)
            | Layer::AveragePool(_)
            | Layer::AdaptiveAveragePool(_)
            | Layer::Resample(_) => Some(Places::MAP),
            Layer::Relu
            | Layer::Function(_)
            | Layer::BatchNorm(_)
            | Layer::LayerNorm(_)
            | Layer::Dropout
            | Layer::Softmax { .. }
            | Layer::Pad(_) => known(&inputs[0]),
            Layer::Linear(_) => known(&inputs[0]).filter(|places| places.channels == dims(id).len() - 1),
            Layer::Sum | Layer::Product => inputs.iter().filter(|input| dims(**input) == dims(id)).find_map(known),
            Layer::Transpose { axes } => known(&inputs[0])?.permuted(axes),
            Layer::Reshape { .. } => known(&inputs[0])?.reshaped(&dims(inputs[0]), &dims(id)),
            Layer::Select(select) => known(&inputs[0])?.selected(select, dims(inputs[0])[select.axis]),
            Layer::Concatenation { axis } => {
                let first = inputs.iter().position(|input| known(input).is_some())?;
                let places = known(&inputs[first])?;
                match places.grid {
                    _ if *axis == places.channels => Some(places),
                    Grid::Tokens { axis: along, before, rows, columns } if *axis == along => {
                        let earlier: usize = inputs[..first].iter().map(|input| dims(*input)[along]).sum();
                        let grid = Grid::Tokens { axis: along, before: before + earlier, rows, columns };
                        Some(Places { grid, ..places })
                    }
                    _ => None,
                }
            }
            Layer::Constant(_) | Layer::Mean { .. } | Layer::Flatten | Layer::MatrixProduct => None,
        }
    }
}

impl Network {
    /// Which nodes lead to one node, itself included.
    pub(crate) fn leads_to(&self, target: NodeId) -> Vec<bool> {
        let mut leads = vec![false; self.nodes().len()];
        leads[target.0] = true;
        for index in (0..=target.0).rev() {
            if leads[index] {
                self.node(NodeId(index)).inputs().iter().for_each(|input| leads[input.0] = true);
            }
        }
        leads
    }
}
