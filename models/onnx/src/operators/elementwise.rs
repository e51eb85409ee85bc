//! Operators on every single value, and on two tensors value by value.

use burnsight_network::{Function, Layer};

use super::{Importer, Inputs, Outcome, axis};
use crate::{
    constant::Constant,
    view::{Value, View},
};

/// The function of one value that an operator is, if it is one.
pub fn function(inputs: &Inputs<'_>) -> Outcome<Option<Function>> {
    let operation = &inputs.operation;
    let float = |name: &str, default: f64| operation.float(name).unwrap_or(default);
    Ok(Some(match operation.kind() {
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Gelu" if operation.text("approximate") == Some("tanh") => Function::GeluTanh,
        "Gelu" => Function::Gelu,
        "HardSwish" => Function::HardSwish,
        "HardSigmoid" => Function::HardSigmoid { slope: float("alpha", 0.2), offset: float("beta", 0.5) },
        "Swish" if float("alpha", 1.0) == 1.0 => Function::Silu,
        "Clip" => {
            let lowest = inputs.float("min", 1)?.unwrap_or(f64::NEG_INFINITY).max(f64::from(f32::MIN));
            let highest = inputs.float("max", 2)?.unwrap_or(f64::INFINITY).min(f64::from(f32::MAX));
            if lowest.is_nan() || highest.is_nan() || lowest > highest {
                return Err(format!("it clips to between {lowest} and {highest}"));
            }
            Function::Clip { lowest, highest }
        }
        "LeakyRelu" => Function::LeakyRelu(float("alpha", 0.01)),
        "Elu" => Function::Elu(float("alpha", 1.0)),
        "Mish" => Function::Mish,
        "Softplus" => Function::Softplus { steepness: 1.0 },
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Sqrt" => Function::Sqrt,
        "Reciprocal" => Function::Reciprocal,
        "Neg" => Function::Negate,
        "Abs" => Function::Absolute,
        _ => return Ok(None),
    }))
}

impl<'f> Importer<'f> {
    /// Add, Sum, Mul, Sub, Div, Max, Min: any number of inputs, from left to right.
    pub(super) fn arithmetic(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let kind = inputs.operation.kind();
        let mut result = inputs.value(0)?.clone();
        for index in 1..inputs.values.len() {
            let alone = index == 1 && self.is_alone(inputs);
            let other = self.placed_by_axis(inputs, inputs.value(index)?.clone())?;
            let view = self.combine(kind, result, other, alone)?;
            result = Value::Computed(view);
        }
        self.as_view(result)
    }

    /// Before version 7 an attribute said along which axes of the first input the second lies.
    fn placed_by_axis(&self, inputs: &Inputs<'f>, other: Value) -> Outcome<Value> {
        match (inputs.operation.int("axis"), other, inputs.value(0)?) {
            (Some(first), Value::Constant(constant), Value::Computed(view)) if inputs.operation.opset < 7 => {
                let rank = view.groups.len();
                let behind = rank.checked_sub(axis(first, rank)? + constant.shape.len());
                let behind = behind.ok_or("its second input has more axes than the first")?;
                let shape = [&constant.shape[..], &vec![1; behind]].concat();
                constant.reshape(shape).map(Value::Constant)
            }
            (_, other, _) => Ok(other),
        }
    }

    /// Whether nothing else reads the first input: a convolution that others read as well must stay what it is.
    pub(super) fn is_alone(&self, inputs: &Inputs<'f>) -> bool {
        inputs.operation.node.input.first().is_some_and(|name| self.readers.get(name.as_str()) == Some(&1))
    }

    fn combine(&mut self, kind: &str, left: Value, right: Value, alone: bool) -> Outcome<View> {
        match (kind, left, right) {
            ("Sub", left, Value::Constant(right)) => self.combine("Add", left, negated(&right)?, alone),
            ("Sub", left, Value::Computed(right)) => {
                let right = self.apply(Function::Negate, &right)?;
                self.combine("Add", left, Value::Computed(right), false)
            }
            ("Div", left, Value::Constant(right)) => self.combine("Mul", left, inverted(&right)?, alone),
            ("Div", left, Value::Computed(right)) => {
                let right = self.apply(Function::Reciprocal, &right)?;
                self.combine("Mul", left, Value::Computed(right), false)
            }
            ("Max" | "Min", left, right) => self.bound(kind, left, right),
            (_, Value::Computed(left), Value::Constant(right)) => self.with_constant(kind, left, &right, alone),
            (_, Value::Constant(left), Value::Computed(right)) => self.with_constant(kind, right, &left, false),
            (_, left, right) => {
                let (left, right) = (self.as_view(left)?, self.as_view(right)?);
                match self.gate(kind, &left, &right) {
                    Some((function, input)) => self.apply(function, &input),
                    None => self.joined(join(kind), vec![left, right]),
                }
            }
        }
    }

    /// Two or more views joined value by value.
    pub(super) fn joined(&mut self, layer: Layer, views: Vec<View>) -> Outcome<View> {
        let views = self.align(views)?;
        let inputs: Vec<usize> = views.iter().map(|view| view.layer).collect();
        let groups = views[0].groups.clone();
        let layer = self.graph.add(&self.name, layer, &inputs)?;
        Ok(View { layer, groups })
    }

    /// x · sigmoid(x) and its like are one function.
    fn gate(&self, kind: &str, left: &View, right: &View) -> Option<(Function, View)> {
        let of = |gate: &View, input: &View| {
            let function = match self.graph.layer(gate) {
                Layer::Function(Function::Sigmoid) => Function::Silu,
                Layer::Function(Function::HardSigmoid { slope, offset })
                    if (slope * 6.0 - 1.0).abs() < 1e-6 && *offset == 0.5 =>
                {
                    Function::HardSwish
                }
                _ => return None,
            };
            let same = self.graph.inputs(gate) == [input.layer] && gate.groups == input.groups;
            same.then(|| (function, input.clone()))
        };
        if kind == "Mul" { of(left, right).or_else(|| of(right, left)) } else { None }
    }

    /// A sum or product with a constant: part of the convolution or linear layer before it where it can be.
    pub(super) fn with_constant(&mut self, kind: &str, view: View, constant: &Constant, alone: bool) -> Outcome<View> {
        if alone && self.absorb(kind, &view, constant)? {
            return Ok(view);
        }
        match self.constant_beside(&view, constant)? {
            Some(beside) => {
                let layer = self.graph.add(&self.name, join(kind), &[view.layer, beside])?;
                Ok(View { layer, groups: view.groups })
            }
            None => {
                let constant = self.graph.constant(&self.name, constant)?;
                self.joined(join(kind), vec![view, constant])
            }
        }
    }

    /// A factor or summand per channel becomes part of the weights and bias.
    fn absorb(&mut self, kind: &str, view: &View, constant: &Constant) -> Outcome<bool> {
        let channels = match self.graph.layer(view) {
            Layer::Convolution(_) => 1,
            Layer::Linear(_) => self.graph.rank(view) - 1,
            _ => return Ok(false),
        };
        let rank = view.groups.len();
        let lead = rank.checked_sub(constant.shape.len());
        let Some(lead) = lead else { return Ok(false) };
        let per_channel = constant.shape.iter().enumerate().all(|(axis, size)| {
            *size == 1
                || (view.groups[axis + lead] == [channels] && Ok(*size) == self.graph.plain_size(view, axis + lead))
        });
        if !per_channel {
            return Ok(false);
        }
        let count = self.graph.out_size(view, channels);
        let values = constant.to_floats()?;
        let values = if values.len() == count { values } else { vec![values[0]; count] };
        let values = self.graph.raw_vector(values);
        match (self.graph.layer_mut(view), kind) {
            (Layer::Convolution(layer), "Mul") => {
                layer.weight = layer.weight.clone() * values.clone().reshape([count, 1, 1, 1]);
                layer.bias = layer.bias.take().map(|bias| bias * values);
            }
            (Layer::Linear(layer), "Mul") => {
                layer.weight = layer.weight.clone() * values.clone().reshape([count, 1]);
                layer.bias = layer.bias.take().map(|bias| bias * values);
            }
            (Layer::Convolution(burnsight_network::Convolution { bias, .. }), _)
            | (Layer::Linear(burnsight_network::Linear { bias, .. }), _) => {
                *bias = Some(match bias.take() {
                    Some(bias) => bias + values,
                    None => values,
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A constant laid out as a view's layer, or `None` where the view must be rearranged for it.
    pub(super) fn constant_beside(&mut self, view: &View, constant: &Constant) -> Outcome<Option<usize>> {
        let Some(lead) = view.groups.len().checked_sub(constant.shape.len()) else { return Ok(None) };
        let mut placed: Vec<(usize, usize)> = Vec::new();
        for (axis, _) in constant.shape.iter().enumerate().filter(|(_, size)| **size != 1) {
            let inner: Vec<usize> = view.groups[axis + lead].iter().copied().filter(|axis| *axis != 0).collect();
            match inner[..] {
                [single] => placed.push((single, axis)),
                _ => return Ok(None),
            }
        }
        placed.sort_unstable();
        let order: Vec<usize> = placed.iter().map(|(_, axis)| *axis).collect();
        let ones = (0..constant.shape.len()).filter(|axis| !order.contains(axis));
        let order: Vec<usize> = order.iter().copied().chain(ones).collect();
        let mut shape = vec![1; self.graph.rank(view) - 1];
        placed.iter().for_each(|(single, axis)| shape[single - 1] = constant.shape[*axis]);
        let values = constant.transpose(&order).to_floats()?;
        self.graph.raw_constant(&self.name, values, &shape).map(Some)
    }

    /// Views whose layers have the same axes: what is constant or smaller gets axes of size 1.
    pub(super) fn align(&mut self, mut views: Vec<View>) -> Outcome<Vec<View>> {
        let same = |a: &View, b: &View| a.groups == b.groups && self.graph.rank(a) == self.graph.rank(b);
        if views.iter().all(|view| same(view, &views[0])) {
            return Ok(views);
        }
        let rank = views.iter().map(|view| view.groups.len()).max().unwrap_or(0);
        for view in &mut views {
            let missing = rank - view.groups.len();
            view.groups.splice(0..0, vec![vec![]; missing]);
            *view = self.graph.canonical(&self.name, view)?;
        }
        let Some(pattern) = views.iter().find(|view| view.batch().is_some()).cloned() else { return Ok(views) };
        for view in &mut views {
            if view.groups == pattern.groups {
                continue;
            }
            if view.batch().is_some() {
                let shapes = (self.graph.describe(&pattern), self.graph.describe(view));
                return Err(format!("tensors {} and {} hold the pictures on different axes", shapes.0, shapes.1));
            }
            *view = self.beside_batch(view, &pattern)?;
        }
        Ok(views)
    }

    /// A constant with the axes of a pattern: the axis that holds the pictures there must be 1 here, or what stands there
    /// beside the pictures.
    fn beside_batch(&mut self, view: &View, pattern: &View) -> Outcome<View> {
        let batch = pattern.batch().ok_or("no batch")?;
        let dims = self.graph.dims(view);
        let mut shape = Vec::new();
        for (axis, group) in pattern.groups.iter().enumerate() {
            let own = dims[axis].value as usize;
            let inner: Vec<usize> =
                group.iter().filter(|axis| **axis != 0).map(|axis| self.graph.out_size(pattern, *axis)).collect();
            match (axis == batch, own) {
                (false, own) => shape.push(own),
                (true, 1) => shape.extend(inner.iter().map(|_| 1)),
                (true, own) if own == inner.iter().product::<usize>() => shape.extend(inner),
                (true, own) => {
                    return Err(format!("a constant of size {own} stands along the axis that holds the pictures"));
                }
            }
        }
        let layer = self.graph.add(&format!("{}.reshape", self.name), Layer::Reshape { shape }, &[view.layer])?;
        Ok(View { layer, groups: pattern.groups.clone() })
    }

    /// The larger or smaller of a value and a number.
    fn bound(&mut self, kind: &str, left: Value, right: Value) -> Outcome<View> {
        let (view, bound) = match (left, right) {
            (Value::Computed(view), Value::Constant(bound)) | (Value::Constant(bound), Value::Computed(view)) => {
                (view, bound)
            }
            _ => return Err("of two tensors that depend on the picture it is not supported".into()),
        };
        let bound = bound.scalar()?;
        let (lowest, highest) = if kind == "Max" { (bound, f32::MAX.into()) } else { (f32::MIN.into(), bound) };
        if kind == "Max" && bound == 0.0 {
            return self.graph.map(&self.name, Layer::Relu, &view);
        }
        self.apply(Function::Clip { lowest, highest }, &view)
    }

    pub(super) fn power(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let exponent = inputs.constant(1)?.scalar()?;
        let function = if exponent == 0.5 { Function::Sqrt } else { Function::Power(exponent) };
        self.apply(function, &view)
    }

    /// max(x, 0) + slope · min(x, 0), a slope per channel.
    pub(super) fn parametric_relu(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let slope = inputs.constant(1)?.clone();
        let above = self.graph.map(&self.name, Layer::Relu, &view)?;
        let below = self.apply(Function::Clip { lowest: f32::MIN.into(), highest: 0.0 }, &view)?;
        let below = self.with_constant("Mul", below, &slope, false)?;
        self.joined(Layer::Sum, vec![above, below])
    }

    /// A constant choice between two tensors: each times the places where it is chosen.
    pub(super) fn choose(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let truth = inputs.constant(0)?;
        let mut parts = Vec::new();
        for (index, chosen) in
            [(1, truth.compare(truth, |x, _| x != 0.0)?), (2, truth.compare(truth, |x, _| x == 0.0)?)]
        {
            let part = match inputs.value(index)? {
                Value::Computed(view) => {
                    let view = view.clone();
                    self.with_constant("Mul", view, &chosen, false)?
                }
                // A product would make NaN of an infinite value that is not chosen.
                Value::Constant(constant) => {
                    let zero = Constant::floats(&[], vec![0.0]);
                    let constant = chosen.choose(
                        &Constant {
                            data: crate::constant::Data::Floats(constant.to_floats()?),
                            shape: constant.shape.clone(),
                        },
                        &zero,
                    )?;
                    self.graph.constant(&self.name, &constant)?
                }
            };
            parts.push(part);
        }
        self.joined(Layer::Sum, parts)
    }

    pub(super) fn softmax(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let rank = view.groups.len();
        let old = inputs.operation.opset < 13;
        let along = axis(inputs.operation.int("axis").unwrap_or(if old { 1 } else { -1 }), rank)?;
        // Older versions mean this axis and all behind it.
        let behind: i64 = self.graph.dims(&view)[along + 1..].iter().map(|size| size.value).product();
        if old && behind != 1 {
            return Err("a softmax over several axes at once (opset below 13) is not supported".into());
        }
        let (view, single) = self.graph.axis(&self.name, &view, along)?;
        self.graph.map(&self.name, Layer::Softmax { axis: single }, &view)
    }
}

fn join(kind: &str) -> Layer {
    if kind == "Mul" { Layer::Product } else { Layer::Sum }
}

fn negated(constant: &Constant) -> Outcome<Value> {
    let values = constant.to_floats()?.into_iter().map(|value| -value).collect();
    Ok(Value::Constant(Constant::floats(&constant.shape, values)))
}

fn inverted(constant: &Constant) -> Outcome<Value> {
    let values: Vec<f32> = constant.to_floats()?.into_iter().map(|value| 1.0 / value).collect();
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(Value::Constant(Constant::floats(&constant.shape, values))),
        false => Err("it divides by zero".into()),
    }
}
