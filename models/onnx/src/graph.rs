//! The network that is being built, and where the picture's batch lies in ONNX's tensors.

use std::collections::{HashMap, HashSet};

use burn::tensor::{Device, Tensor, TensorData};
use burnsight_core::{Error, Result};
use burnsight_network::{Activation, Layer, Network, NetworkBuilder, NodeId};

use crate::{
    constant::{Constant, Data, Int},
    view::{Size, Value, View, resolve},
};

/// Deeper than any classifier; every layer of a network keeps its output.
const MOST_LAYERS: usize = 8192;

/// Values in one layer's output for one picture: half a gigabyte.
const MOST_OUTPUTS: usize = 1 << 27;

/// Weights and other constants of all layers: four gigabytes.
const MOST_WEIGHTS: usize = 1 << 30;
const TOO_MANY: &str = "the model has more than a billion weights";

/// One layer to come.
struct Pending {
    name: String,
    layer: Layer,
    inputs: Vec<usize>,
    /// Without the batch.
    shape: Vec<usize>,
}

type Outcome<T> = std::result::Result<T, String>;

/// Layers in the order of computation; each knows the shape of its output.
pub struct Graph {
    pending: Vec<Pending>,
    names: HashSet<String>,
    pub device: Device,
    /// Whether the file is for any number of pictures; else it is for one.
    any_batch: bool,
    /// Weights and other constants of all layers so far.
    weights: usize,
}

impl Graph {
    /// A graph with nothing but pictures of shape `[channels, height, width]`.
    pub fn new(picture: [usize; 3], any_batch: bool, device: &Device) -> Self {
        let input = Pending { name: "input".into(), layer: Layer::Input, inputs: vec![], shape: picture.to_vec() };
        Self {
            pending: vec![input],
            names: HashSet::from(["input".into()]),
            device: device.clone(),
            any_batch,
            weights: 0,
        }
    }

    /// The pictures as ONNX sees them.
    pub fn input(&self, channels_last: bool) -> View {
        let groups = if channels_last { [[0], [2], [3], [1]] } else { [[0], [1], [2], [3]] };
        View { layer: 0, groups: groups.map(Vec::from).to_vec() }
    }

    pub fn layer(&self, view: &View) -> &Layer {
        &self.pending[view.layer].layer
    }

    pub fn layer_mut(&mut self, view: &View) -> &mut Layer {
        &mut self.pending[view.layer].layer
    }

    /// What a view's layer reads.
    pub fn inputs(&self, view: &View) -> &[usize] {
        &self.pending[view.layer].inputs
    }

    /// How many axes a view's layer has, the batch among them.
    pub fn rank(&self, view: &View) -> usize {
        self.pending[view.layer].shape.len() + 1
    }

    /// The size of an axis of a view's layer.
    pub fn out_size(&self, view: &View, axis: usize) -> usize {
        self.size(view.layer, axis)
    }

    /// Numbers as weights.
    pub fn raw_vector(&self, values: Vec<f32>) -> Tensor<1> {
        let shape = [values.len()];
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    fn size(&self, layer: usize, axis: usize) -> usize {
        if axis == 0 { 1 } else { self.pending[layer].shape[axis - 1] }
    }

    /// The sizes as ONNX sees them.
    pub fn dims(&self, view: &View) -> Vec<Int> {
        let dim = |group: &Vec<usize>| {
            let value = group.iter().map(|axis| self.size(view.layer, *axis) as i64).product();
            if group.contains(&0) { Int::batched(value) } else { Int::plain(value) }
        };
        view.groups.iter().map(dim).collect()
    }

    /// The size of an axis that does not hold the batch.
    pub fn plain_size(&self, view: &View, axis: usize) -> Outcome<usize> {
        let size = self.dims(view).get(axis).copied().ok_or("an axis that its input has not got")?;
        size.known().map(|size| size as usize)
    }

    /// Adds a layer and returns its output as it is. A layer that reads only constants is computed at once.
    pub fn add(&mut self, name: &str, layer: Layer, inputs: &[usize]) -> Outcome<usize> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| self.pending[*input].shape.as_slice()).collect();
        let shape = layer.output_shape(&shapes)?;
        // Burn would abort the process when the memory is not there.
        let values = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
        let values = values.filter(|count| (1..=MOST_OUTPUTS).contains(count));
        let values = values.ok_or_else(|| format!("its output of shape {shape:?} is empty or too large"))?;
        let constants: Option<Vec<&Activation>> = inputs.iter().map(|input| self.constant_of(*input)).collect();
        let layer = match constants {
            Some(constants) if !constants.is_empty() => {
                if self.weights + values > MOST_WEIGHTS {
                    return Err(TOO_MANY.into());
                }
                Layer::Constant(layer.forward(&constants))
            }
            _ => layer,
        };
        self.spend(layer.parameters())?;
        let inputs = if matches!(layer, Layer::Constant(_)) { vec![] } else { inputs.to_vec() };
        if self.pending.len() > 4 * MOST_LAYERS {
            return Err(format!("the network has more than {MOST_LAYERS} layers"));
        }
        let name = self.unique(name);
        self.pending.push(Pending { name, layer, inputs, shape });
        Ok(self.pending.len() - 1)
    }

    fn spend(&mut self, values: usize) -> Outcome<()> {
        self.weights = self.weights.saturating_add(values);
        match self.weights <= MOST_WEIGHTS {
            true => Ok(()),
            false => Err(TOO_MANY.into()),
        }
    }

    fn constant_of(&self, layer: usize) -> Option<&Activation> {
        match &self.pending[layer].layer {
            Layer::Constant(values) => Some(values),
            _ => None,
        }
    }

    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_string();
        let mut count = 1;
        while !self.names.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}.{count}");
        }
        unique
    }

    /// The same layer function on a view with the axes where they are.
    pub fn map(&mut self, name: &str, layer: Layer, view: &View) -> Outcome<View> {
        Ok(View { layer: self.add(name, layer, &[view.layer])?, groups: view.groups.clone() })
    }

    /// A constant as a layer.
    pub fn constant(&mut self, name: &str, constant: &Constant) -> Outcome<View> {
        let shape: Vec<usize> = constant.shape.iter().copied().filter(|size| *size != 1).collect();
        let shape = if shape.is_empty() { vec![1] } else { shape };
        let mut next = 0;
        let groups = constant.shape.iter().map(|size| {
            if *size == 1 {
                return vec![];
            }
            next += 1;
            vec![next]
        });
        let groups = groups.collect();
        Ok(View { layer: self.raw_constant(name, constant.to_floats()?, &shape)?, groups })
    }

    /// Constant values in the shape of an activation without its batch.
    pub fn raw_constant(&mut self, name: &str, values: Vec<f32>, shape: &[usize]) -> Outcome<usize> {
        if shape.len() >= Activation::MAX_RANK {
            return Err(format!("a constant of shape {shape:?} has too many axes"));
        }
        let flat = Tensor::<2>::from_data(TensorData::new(values, [1, shape.iter().product()]), &self.device);
        let values = Activation::Vector(flat).reshape(&[&[1], shape].concat());
        self.add(&format!("{name}.constant"), Layer::Constant(values), &[])
    }

    /// What became a constant is read back.
    pub fn settle(&self, view: View) -> Outcome<Value> {
        match self.constant_of(view.layer) {
            None => Ok(Value::Computed(view)),
            Some(values) => {
                let read = burnsight_core::read(values.clone().flatten()).map_err(|error| error.to_string())?;
                let stored = Constant::floats(&self.pending[view.layer].shape, read);
                let mut order: Vec<usize> = view.groups.iter().flatten().map(|axis| axis - 1).collect();
                order.extend(
                    (0..stored.shape.len())
                        .filter(|axis| !view.groups.iter().flatten().any(|other| other - 1 == *axis)),
                );
                let shape = self.dims(&view).iter().map(|size| size.value as usize).collect();
                stored.transpose(&order).reshape(shape).map(Value::Constant)
            }
        }
    }

    /// The layer whose axes are the groups' in row-major order behind the batch, stray axes of size 1 last.
    fn in_order(&mut self, name: &str, view: &View) -> Outcome<usize> {
        let mut order = vec![0];
        order.extend(view.groups.iter().flatten().copied().filter(|axis| *axis != 0));
        let rank = self.pending[view.layer].shape.len() + 1;
        order.extend((1..rank).filter(|axis| !view.groups.iter().flatten().any(|other| other == axis)));
        if order.is_sorted() {
            return Ok(view.layer);
        }
        // Two transposes in a row are one.
        let (from, order) = match &self.pending[view.layer] {
            Pending { layer: Layer::Transpose { axes }, inputs, .. } => {
                (inputs[0], order.iter().map(|axis| axes[*axis]).collect())
            }
            _ => (view.layer, order),
        };
        if order.is_sorted() {
            return Ok(from);
        }
        self.add(&format!("{name}.transpose"), Layer::Transpose { axes: order }, &[from])
    }

    /// The same tensor with exactly one axis per ONNX axis, in order; the batch, which may stand between parts of one
    /// axis, is taken out of it to the front.
    pub fn canonical(&mut self, name: &str, view: &View) -> Outcome<View> {
        let sizes: Vec<Size> = self.dims(view).into_iter().map(Size::Given).collect();
        self.arrange(name, view, &sizes, true)
    }

    /// Another ONNX shape for the same values.
    pub fn reshape(&mut self, name: &str, view: &View, sizes: &[Size]) -> Outcome<View> {
        self.arrange(name, view, sizes, false)
    }

    /// Row-major order is kept, so the batch stays between the same values: `before` of them lie in front of it.
    fn arrange(&mut self, name: &str, view: &View, sizes: &[Size], keep_ones: bool) -> Outcome<View> {
        let has_batch = view.batch().is_some();
        let flat: Vec<usize> = view.groups.iter().flatten().copied().collect();
        let size = |axes: &[usize]| axes.iter().map(|axis| self.size(view.layer, *axis)).product::<usize>();
        let before = flat.iter().position(|axis| *axis == 0).map_or(1, |batch| size(&flat[..batch]));
        let (dims, batch) = resolve(sizes, size(&flat), before, has_batch, self.any_batch)?;

        let mut shape = Vec::new();
        let mut groups = Vec::new();
        for (axis, dim) in dims.iter().enumerate() {
            let mut group = Vec::new();
            let mut push = |group: &mut Vec<usize>, size: usize, keep: bool| {
                if size != 1 || keep {
                    shape.push(size);
                    group.push(shape.len());
                }
            };
            if Some(axis) == batch {
                let in_front = before / dims[..axis].iter().product::<usize>();
                push(&mut group, in_front, false);
                group.push(0);
                push(&mut group, dim / in_front, false);
            } else {
                push(&mut group, *dim, keep_ones);
            }
            groups.push(group);
        }
        if shape.is_empty() {
            shape.push(1);
        }
        if shape.len() >= Activation::MAX_RANK {
            return Err(format!("a tensor of shape {dims:?} has too many axes"));
        }
        let ordered = self.in_order(name, view)?;
        let layer = match &shape[..] {
            same if same == self.pending[ordered].shape => ordered,
            [_] => self.add(&format!("{name}.flatten"), Layer::Flatten, &[ordered])?,
            _ => self.add(&format!("{name}.reshape"), Layer::Reshape { shape }, &[ordered])?,
        };
        Ok(View { layer, groups })
    }

    /// The activation axis that is exactly this ONNX axis; the view is rearranged where there is none.
    pub fn axis(&mut self, name: &str, view: &View, axis: usize) -> Outcome<(View, usize)> {
        match view.groups.get(axis).map(Vec::as_slice) {
            None => Err(format!("axis {axis} of {} axes", view.groups.len())),
            Some([single]) if *single != 0 => Ok((view.clone(), *single)),
            Some(group) if group.contains(&0) => Err("it works along the axis that holds the pictures".into()),
            Some(_) => {
                let view = self.canonical(name, view)?;
                let single = view.groups[axis][0];
                Ok((view, single))
            }
        }
    }

    /// As [`axis`](Self::axis), with that axis the activation's last.
    pub fn last_axis(&mut self, name: &str, view: &View, axis: usize) -> Outcome<View> {
        let rank = self.rank(view);
        let placed = view.groups.iter().flatten().filter(|axis| **axis != 0).count();
        // Axes that belong to no group any more would be carried along to the end.
        let view = if placed + 1 == rank { view.clone() } else { self.canonical(name, view)? };
        let (view, single) = self.axis(name, &view, axis)?;
        let rank = self.rank(&view);
        if single == rank - 1 {
            return Ok(view);
        }
        let order: Vec<usize> = (0..rank).filter(|axis| *axis != single).chain([single]).collect();
        let layer = self.add(&format!("{name}.transpose"), Layer::Transpose { axes: order.clone() }, &[view.layer])?;
        let to = |axis: &usize| order.iter().position(|from| from == axis).unwrap_or(0);
        let groups = view.groups.iter().map(|group| group.iter().map(to).collect()).collect();
        Ok(View { layer, groups })
    }

    /// A map `[n, channels, height, width]`, axes in that order.
    pub fn map_view(&mut self, name: &str, view: &View) -> Outcome<View> {
        // A constant map has 1 where the pictures would be.
        if view.batch().is_none() && self.dims(view).first() == Some(&Int::plain(1)) && view.groups.len() == 4 {
            let inner = View { layer: view.layer, groups: view.groups[1..].to_vec() };
            let mut inner = self.canonical(name, &inner)?;
            inner.groups.insert(0, vec![]);
            return Ok(inner);
        }
        let view = self.canonical(name, view)?;
        match view.groups.len() == 4 && view.groups[0] == [0] {
            true => Ok(view),
            false => {
                let dims = self.describe(&view);
                Err(format!("it needs maps [n, channels, height, width], its input is {dims}"))
            }
        }
    }

    /// A shape for messages.
    pub fn describe(&self, view: &View) -> String {
        let size = |int: &Int| match (int.value, int.batched) {
            (1, true) => "n".into(),
            (value, true) => format!("{value}·n"),
            (value, false) => value.to_string(),
        };
        format!("[{}]", self.dims(view).iter().map(size).collect::<Vec<_>>().join(", "))
    }

    /// The finished network, of the layers that lead to `output`.
    pub fn build(mut self, file: &str, output: &View) -> Result<Network> {
        let refuse = |problem: String| Error::model(file, problem);
        let shape = self.describe(output);
        if output.groups.first().map(Vec::as_slice) != Some(&[0]) {
            return Err(refuse(format!("its output has shape {shape}; a classifier's is [n, classes]")));
        }
        let mut output = self.in_order("logits", output).map_err(refuse)?;
        if self.pending[output].shape.len() != 1 {
            let beyond = self.pending[output].shape.iter().filter(|size| **size != 1).count();
            if beyond > 1 {
                return Err(refuse(format!("its output has shape {shape}; a classifier's is [n, classes]")));
            }
            output = self.add("logits.flatten", Layer::Flatten, &[output]).map_err(refuse)?;
        }
        let mut wanted = vec![false; output + 1];
        wanted[output] = true;
        for index in (0..=output).rev().filter(|index| *index > 0) {
            if wanted[index] {
                self.pending[index].inputs.iter().for_each(|input| wanted[*input] = true);
            }
        }
        let count = wanted.iter().filter(|wanted| **wanted).count();
        if count > MOST_LAYERS {
            return Err(refuse(format!("it has {count} layers, more than the {MOST_LAYERS} that are computed with")));
        }
        let mut network = NetworkBuilder::new();
        let mut place: HashMap<usize, NodeId> = HashMap::from([(0, network.input())]);
        for (index, pending) in self.pending.into_iter().enumerate().take(output + 1).skip(1) {
            if wanted[index] {
                let inputs: Vec<NodeId> = pending.inputs.iter().map(|input| place[input]).collect();
                place.insert(index, network.add(pending.name, pending.layer, &inputs)?);
            }
        }
        Ok(network.build().map_err(|error| refuse(error.to_string()))?.fold_batch_norms())
    }
}

/// Layers' own settings come as lists.
pub fn pair(values: &[i64]) -> Outcome<[usize; 2]> {
    match values {
        [a, b] if *a >= 0 && *b >= 0 => Ok([*a as usize, *b as usize]),
        _ => Err(format!("{values:?} are no settings of two axes: only two-dimensional pictures are read")),
    }
}

/// Reads a constant as a tensor of the given rank.
pub fn tensor<const D: usize>(constant: Constant, device: &Device) -> Outcome<Tensor<D>> {
    let shape = <[usize; D]>::try_from(constant.shape.as_slice())
        .map_err(|_| format!("weights of shape {:?} where {D} axes are needed", constant.shape))?;
    match constant.data {
        Data::Floats(values) => Ok(Tensor::from_data(TensorData::new(values, shape), device)),
        Data::Ints(_) => Err("weights are whole numbers".into()),
    }
}
