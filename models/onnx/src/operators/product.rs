//! Products of matrices.

use burnsight_network::{Layer, Linear};

use super::{Importer, Inputs, Outcome};
use crate::{
    constant::Constant,
    graph::tensor,
    view::{Value, View},
};

impl<'f> Importer<'f> {
    /// α A B + β C with a constant B.
    pub(super) fn gemm(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let operation = &inputs.operation;
        let view = self.view(inputs, 0)?;
        if operation.int("transA").unwrap_or(0) != 0 || view.groups.len() != 2 {
            return Err("its first input must be a matrix as it is".into());
        }
        let scale = |name: &str| operation.float(name).unwrap_or(1.0) as f32;
        let weight = inputs.constant(1)?;
        if weight.shape.len() != 2 {
            return Err(format!("weights of shape {:?} are no matrix", weight.shape));
        }
        let weight = if operation.int("transB").unwrap_or(0) != 0 { weight.clone() } else { weight.transpose(&[1, 0]) };
        let outputs = weight.shape[0];
        let bias = match inputs.get(2) {
            Some(_) => {
                let bias = inputs.constant(2)?;
                let flat: usize = bias.shape.iter().product();
                if flat != bias.shape.last().copied().unwrap_or(1) {
                    return Err(format!("a bias of shape {:?}", bias.shape));
                }
                let values = bias.clone().reshape(vec![flat])?.expand(&[outputs])?;
                Some(values.to_floats()?.into_iter().map(|value| value * scale("beta")).collect::<Vec<f32>>())
            }
            None => None,
        };
        let weight = tensor::<2>(weight, &self.graph.device)? * scale("alpha");
        self.linear(&view, Linear { weight, bias: bias.map(|bias| self.graph.raw_vector(bias)) })
    }

    /// A linear layer on the last ONNX axis.
    fn linear(&mut self, view: &View, layer: Linear) -> Outcome<View> {
        let last = view.groups.len().checked_sub(1).ok_or("it needs a matrix, a single number came")?;
        let view = self.graph.last_axis(&self.name, view, last)?;
        self.graph.map(&self.name, Layer::Linear(layer), &view)
    }

    pub(super) fn matmul(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let right = inputs.value(1)?.clone();
        if let Value::Constant(weight) = &right
            && weight.shape.len() == 2
        {
            let view = self.view(inputs, 0)?;
            let weight = tensor::<2>(weight.transpose(&[1, 0]), &self.graph.device)?;
            return self.linear(&view, Linear { weight, bias: None });
        }
        let left = self.view(inputs, 0)?;
        let right = self.as_view(right)?;
        self.matrices(left, right)
    }

    /// The product over the last two ONNX axes of both.
    fn matrices(&mut self, left: View, right: View) -> Outcome<View> {
        if left.groups.len() < 2 || right.groups.len() < 2 {
            return Err("products with vectors are not supported".into());
        }
        // Aligned as if they were to be added, which the last two axes are not: they only keep their places.
        let views = [self.graph.canonical(&self.name, &left)?, self.graph.canonical(&self.name, &right)?];
        let views = self.align(views.to_vec())?;
        let rank = self.graph.rank(&views[0]);
        let placed =
            |view: &View| view.groups.iter().rev().take(2).map(Vec::as_slice).eq([&[rank - 1][..], &[rank - 2]]);
        if !views.iter().all(placed) {
            return Err("it multiplies along the axis that holds the pictures".into());
        }
        self.joined(Layer::MatrixProduct, views)
    }

    /// Sums of products of two tensors that are a product of matrices under another name.
    pub(super) fn einsum(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let equation: String = inputs.operation.text("equation").unwrap_or("").split_whitespace().collect();
        let unsupported = || format!("the equation {equation:?} is not supported: only products of two matrices are");
        let (from, to) = equation.split_once("->").ok_or_else(unsupported)?;
        let (left, right) = from.split_once(',').ok_or_else(unsupported)?;
        let axes = |text: &str| text.chars().collect::<Vec<char>>();
        let (left, right, to) = (axes(left), axes(right), axes(to));
        let only = |axes: Vec<char>| if let [one] = axes[..] { Ok(one) } else { Err(unsupported()) };
        let summed = only(left.iter().copied().filter(|axis| right.contains(axis) && !to.contains(axis)).collect())?;
        let rows = only(left.iter().copied().filter(|axis| !right.contains(axis)).collect())?;
        let columns = only(right.iter().copied().filter(|axis| !left.contains(axis)).collect())?;
        let outer: Vec<char> = left.iter().copied().filter(|axis| right.contains(axis) && *axis != summed).collect();
        let order = |view: View, have: &[char], want: &[char]| -> Outcome<View> {
            let place = |axis: &char| have.iter().position(|own| own == axis).ok_or_else(unsupported);
            let places: Vec<usize> = want.iter().map(place).collect::<Outcome<_>>()?;
            let groups: Option<Vec<Vec<usize>>> = places.iter().map(|place| view.groups.get(*place).cloned()).collect();
            let complete = have.len() == want.len() && view.groups.len() == have.len();
            let groups = groups.filter(|_| complete).ok_or_else(unsupported)?;
            Ok(View { layer: view.layer, groups })
        };
        let (a, b) = (self.view(inputs, 0)?, self.view(inputs, 1)?);
        let a = order(a, &left, &[&outer[..], &[rows, summed]].concat())?;
        let b = order(b, &right, &[&outer[..], &[summed, columns]].concat())?;
        let product = self.matrices(a, b)?;
        order(product, &[&outer[..], &[rows, columns]].concat(), &to)
    }
}

/// Weights with one value per channel.
pub(super) fn vector(constant: &Constant) -> Outcome<Vec<f32>> {
    match constant.shape.len() {
        1 => constant.to_floats(),
        _ => Err(format!("one value per channel is needed, shape {:?} came", constant.shape)),
    }
}
