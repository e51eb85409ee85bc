//! The same function of shifted pictures.

use std::{collections::BTreeMap, iter::repeat_n};

use burn::tensor::{DType, Device, Tensor, TensorData};
use burnsight_core::{Error, Result};
use burnsight_network::{BatchNorm, Convolution, Layer, Linear, Network, NetworkBuilder, Node, NodeId, Pad, Select};

use super::InputShift;
use crate::rebuild::rebuild;

/// By how much what a layer computes is larger than in the original network.
#[derive(Debug, Clone)]
enum Shift {
    /// All numbers by the same.
    Everywhere(f32),
    /// Those of every channel of a map.
    Channels(Vec<f32>),
    /// Those of every part of a vector, which has as many parts of equal size as the map had channels.
    Parts(Vec<f32>),
}

impl Shift {
    /// One number for each of `size` places along the axis that a layer's parameters belong to.
    fn values(&self, size: usize) -> Option<Vec<f32>> {
        match self {
            Self::Everywhere(value) => Some(vec![*value; size]),
            Self::Channels(values) => (values.len() == size).then(|| values.clone()),
            Self::Parts(values) => {
                let part = size / values.len();
                (part * values.len() == size).then(|| values.iter().flat_map(|value| repeat_n(*value, part)).collect())
            }
        }
    }
}

/// The network f₂ with f₂(x + shift) = f₁(x), exactly up to rounding. `shift` is one number, or one for each channel.
///
/// The first layers absorb the shift: a convolution or linear layer in its bias, b − Σ w · shift, a batch norm in its mean. A
/// convolution's border of zeros becomes one of the shift, by layers that pad with that value, so that pixels at the border see what
/// they saw before. Layers that only move values about hand the shift on.
///
/// # Errors
/// [`Error::Parameter`] for a shift that is not finite or not one number for each channel; [`Error::Unsupported`] that names the
/// layer that cannot absorb it.
pub fn shifted_network(network: &Network, shift: &[f32]) -> Result<Network> {
    if shift.is_empty() || !shift.iter().all(|value| value.is_finite()) {
        return Err(Error::parameter("shift", format!("{shift:?}"), "finite numbers, one or one for each channel"));
    }
    let is_uniform = shift.iter().all(|value| *value == shift[0]);
    let of_pictures = if is_uniform { Shift::Everywhere(shift[0]) } else { Shift::Channels(shift.to_vec()) };
    let mut shifts = BTreeMap::from([(network.input(), of_pictures)]);
    rebuild(network, |builder, id, node, inputs| {
        if node.inputs().iter().all(|input| !shifts.contains_key(input)) {
            return builder.add(node.name(), node.layer().clone(), inputs);
        }
        let refuse = || {
            let problem =
                format!("layer {} ({}) reads the pictures and cannot absorb a shift", node.name(), node.layer().kind());
            Error::unsupported(InputShift::NAME, problem)
        };
        // Layers with several inputs are none of those that absorb or hand on.
        let shift = shifts.get(&node.inputs()[0]).ok_or_else(refuse)?;
        if let Some(layer) = absorbing(node.layer(), shift)? {
            return match layer {
                Layer::Convolution(convolution) => with_border(builder, node, convolution, inputs[0], shift),
                layer => builder.add(node.name(), layer, inputs),
            };
        }
        let handed_on = handed_on(node.layer(), shift).ok_or_else(refuse)?;
        let added = match node.layer() {
            Layer::Pad(pad) => padded(builder, node.name(), &[*pad], inputs[0], shift),
            layer => builder.add(node.name(), layer.clone(), inputs),
        };
        shifts.insert(id, handed_on);
        added
    })
}

/// The layer with parameters that undo the shift of its input, if it has such.
fn absorbing(layer: &Layer, shift: &Shift) -> Result<Option<Layer>> {
    let values = |size: usize| {
        let requirement = format!("one number, or one for each channel; the first layer reads {size}");
        shift.values(size).ok_or_else(|| Error::parameter("shift", format!("{shift:?}"), &requirement))
    };
    Ok(match (layer, shift) {
        (Layer::Convolution(layer), _) => {
            let [out, in_per_group, height, width] = layer.weight.dims();
            let channels = in_per_group * layer.groups;
            let values = column(values(channels)?, &layer.weight.device(), layer.weight.dtype());
            // What the layer itself says to a picture of nothing but the shift.
            let window = Convolution { bias: None, ..layer.clone() }.with_stride([1, 1]).with_padding([0, 0]);
            let input = values.reshape([1, channels, 1, 1]).expand([1, channels, height, width]);
            let sums = window.with_dilation([1, 1]).forward(input).reshape([out]);
            Some(Layer::Convolution(Convolution { bias: Some(less(layer.bias.clone(), sums)), ..layer.clone() }))
        }
        // Its features are not the channels of a map.
        (Layer::Linear(layer), Shift::Everywhere(_) | Shift::Parts(_)) => {
            let [out, features] = layer.weight.dims();
            let values = column(values(features)?, &layer.weight.device(), layer.weight.dtype());
            let sums = layer.weight.clone().matmul(values).reshape([out]);
            Some(Layer::Linear(Linear { bias: Some(less(layer.bias.clone(), sums)), ..layer.clone() }))
        }
        (Layer::BatchNorm(layer), _) => {
            let [channels] = layer.mean.dims();
            let values = column(values(channels)?, &layer.mean.device(), layer.mean.dtype());
            let mean = layer.mean.clone() + values.reshape([channels]);
            Some(Layer::BatchNorm(BatchNorm { mean, ..layer.clone() }))
        }
        _ => None,
    })
}

/// The shift of what the layer computes, if it only moves values about.
fn handed_on(layer: &Layer, shift: &Shift) -> Option<Shift> {
    match (layer, shift) {
        (Layer::Dropout, _) => Some(shift.clone()),
        (
            Layer::Flatten | Layer::Reshape { .. } | Layer::Transpose { .. } | Layer::Select(_) | Layer::Pad(_),
            Shift::Everywhere(_),
        ) => Some(shift.clone()),
        (Layer::Flatten, Shift::Channels(values)) => Some(Shift::Parts(values.clone())),
        (Layer::Reshape { shape }, Shift::Channels(values)) if shape.len() == 1 => Some(Shift::Parts(values.clone())),
        (Layer::Select(select), Shift::Channels(values)) if select.axis == 1 => {
            let values: Option<Vec<f32>> = select.indices.iter().map(|index| values.get(*index).copied()).collect();
            values.map(Shift::Channels)
        }
        (Layer::Select(_), Shift::Channels(_)) => Some(shift.clone()),
        (Layer::Pad(pad), Shift::Channels(_)) if pad.axis > 1 => Some(shift.clone()),
        _ => None,
    }
}

/// Adds a convolution whose border was of zeros, and is now of the shift.
fn with_border(
    builder: &mut NetworkBuilder,
    node: &Node,
    convolution: Convolution,
    input: NodeId,
    shift: &Shift,
) -> Result<NodeId> {
    let border = |(axis, border): (usize, usize)| Pad { axis, before: border, after: border, value: 0.0 };
    let borders: Vec<Pad> =
        [2, 3].into_iter().zip(convolution.padding).filter(|(_, border)| *border > 0).map(border).collect();
    let input = match borders.is_empty() {
        true => input,
        false => padded(builder, &format!("{}, border", node.name()), &borders, input, shift)?,
    };
    builder.add(node.name(), Layer::Convolution(convolution.with_padding([0, 0])), &[input])
}

/// Adds borders, the last under the given name; for a shift that differs between channels, channel by channel.
fn padded(builder: &mut NetworkBuilder, name: &str, borders: &[Pad], input: NodeId, shift: &Shift) -> Result<NodeId> {
    let pad_all = |builder: &mut NetworkBuilder, name: &str, input: NodeId, value: f32| {
        borders.iter().enumerate().try_fold(input, |input, (index, border)| {
            let is_last = index + 1 == borders.len();
            let name = if is_last { name.to_string() } else { format!("{name}, axis {}", border.axis) };
            let border = Pad { value: border.value + f64::from(value), ..*border };
            builder.add(name, Layer::Pad(border), &[input])
        })
    };
    match shift {
        Shift::Everywhere(value) => pad_all(builder, name, input, *value),
        Shift::Channels(values) | Shift::Parts(values) => {
            let mut channels = Vec::new();
            for (channel, value) in values.iter().enumerate() {
                let select = Layer::Select(Select { axis: 1, indices: vec![channel] });
                let alone = builder.add(format!("{name}, only channel {channel}"), select, &[input])?;
                channels.push(pad_all(builder, &format!("{name}, channel {channel}"), alone, *value)?);
            }
            builder.add(name, Layer::Concatenation { axis: 1 }, &channels)
        }
    }
}

fn less(bias: Option<Tensor<1>>, by: Tensor<1>) -> Tensor<1> {
    match bias {
        Some(bias) => bias - by,
        None => -by,
    }
}

/// `[values, 1]`
fn column(values: Vec<f32>, device: &Device, dtype: DType) -> Tensor<2> {
    let rows = values.len();
    Tensor::from_data(TensorData::new(values, [rows, 1]), (device, dtype))
}
