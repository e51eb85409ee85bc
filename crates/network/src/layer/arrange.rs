//! Layers that only move values about.

use burn::tensor::{Int, Tensor};

use crate::{Activation, activation::each};

/// The per-picture axis (batch left out) that an activation's axis is, or a sentence.
pub(super) fn axis_of(axis: usize, shape: &[usize]) -> Result<usize, String> {
    match axis {
        1.. if axis <= shape.len() => Ok(axis - 1),
        _ => Err(format!("its input of shape {shape:?} has no axis {axis} (the batch is axis 0)")),
    }
}

/// Some places along an axis, in any order, with repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The axis, the batch being 0.
    pub axis: usize,
    /// Which places, from 0.
    pub indices: Vec<usize>,
}

impl Select {
    /// The first place and the number of places, where they follow each other.
    fn run(&self) -> Option<(usize, usize)> {
        let start = *self.indices.first()?;
        let follows = self.indices.iter().enumerate().all(|(offset, index)| *index == start + offset);
        follows.then_some((start, self.indices.len()))
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let axis = axis_of(self.axis, input)?;
        if let Some(index) = self.indices.iter().find(|index| **index >= input[axis]) {
            return Err(format!("it selects place {index} of {} along axis {}", input[axis], self.axis));
        }
        if self.indices.is_empty() {
            return Err("it selects nothing".into());
        }
        let mut shape = input.to_vec();
        shape[axis] = self.indices.len();
        Ok(shape)
    }

    fn indices_on(&self, input: &Activation) -> Tensor<1, Int> {
        let indices: Vec<i64> = self.indices.iter().map(|index| *index as i64).collect();
        Tensor::from_data(indices.as_slice(), &input.device())
    }

    pub(super) fn forward(&self, input: Activation) -> Activation {
        match self.run() {
            Some((start, length)) => input.slice(self.axis, start, length),
            None => {
                let indices = self.indices_on(&input);
                each!(input, x => x.select(self.axis, indices))
            }
        }
    }

    /// Every place gets the sum of what its copies got.
    pub(super) fn backward(&self, input: &[usize], upstream: Activation) -> Activation {
        if let Some((start, length)) = self.run() {
            return pad(upstream, self.axis, start, input[self.axis] - start - length, 0.0);
        }
        let indices = self.indices_on(&upstream);
        each!(upstream, g => {
            let mut dims = g.dims();
            dims[self.axis] = input[self.axis];
            let zeros = Tensor::zeros(dims, (&g.device(), g.dtype()));
            zeros.select_assign(self.axis, indices, g, burn::tensor::IndexingUpdateOp::Add)
        })
    }
}

/// A border of one value on both sides of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pad {
    /// The axis, the batch being 0.
    pub axis: usize,
    /// Places added before.
    pub before: usize,
    /// Places added behind.
    pub after: usize,
    /// What the border holds.
    pub value: f64,
}

impl Pad {
    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let axis = axis_of(self.axis, input)?;
        let mut shape = input.to_vec();
        let size = self.before.checked_add(self.after).and_then(|border| border.checked_add(shape[axis]));
        shape[axis] = size.ok_or_else(|| format!("a border of {} and {} is too wide", self.before, self.after))?;
        Ok(shape)
    }

    pub(super) fn forward(&self, input: Activation) -> Activation {
        pad(input, self.axis, self.before, self.after, self.value)
    }

    pub(super) fn backward(&self, input: &[usize], upstream: Activation) -> Activation {
        upstream.slice(self.axis, self.before, input[self.axis])
    }
}

fn pad(input: Activation, axis: usize, before: usize, after: usize, value: f64) -> Activation {
    each!(input, x => {
        let border = |size: usize| {
            let mut dims = x.dims();
            dims[axis] = size;
            Tensor::full(dims, value, (&x.device(), x.dtype()))
        };
        let parts = [(before > 0).then(|| border(before)), Some(x.clone()), (after > 0).then(|| border(after))];
        Tensor::cat(parts.into_iter().flatten().collect(), axis)
    })
}

/// A map at another size: rows and columns are weighted means of the old ones.
///
/// ```text
/// y = rows · x · columnsᵀ
/// ```
/// Every kind of resizing that treats the axes alike is such a product: nearest, bilinear, bicubic, with any convention of
/// where pixels lie.
#[derive(Debug, Clone)]
pub struct Resample {
    /// `[new height, height]`
    pub rows: Tensor<2>,
    /// `[new width, width]`
    pub columns: Tensor<2>,
}

impl Resample {
    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, height, width] = super::as_map(input)?;
        let ([rows, from_rows], [columns, from_columns]) = (self.rows.dims(), self.columns.dims());
        if [height, width] != [from_rows, from_columns] {
            return Err(format!("it resizes {from_columns}×{from_rows}, its input is {width}×{height}"));
        }
        Ok(vec![channels, rows, columns])
    }

    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.rows.clone().unsqueeze::<4>().matmul(input).matmul(self.columns.clone().transpose().unsqueeze())
    }

    pub(super) fn backward(&self, upstream: Tensor<4>) -> Tensor<4> {
        self.rows.clone().transpose().unsqueeze::<4>().matmul(upstream).matmul(self.columns.clone().unsqueeze())
    }
}
