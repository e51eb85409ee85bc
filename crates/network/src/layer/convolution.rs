use burn::tensor::{
    Tensor,
    module::{conv_transpose2d, conv2d},
    ops::{ConvOptions, ConvTransposeOptions},
};

use super::{Window, as_map};

/// Convolution in two dimensions (cross-correlation, as everywhere in deep learning).
#[derive(Debug, Clone)]
pub struct Convolution {
    /// `[out, in / groups, kernel height, kernel width]`
    pub weight: Tensor<4>,
    /// `[out]`
    pub bias: Option<Tensor<1>>,
    /// Step of the window, rows and columns.
    pub stride: [usize; 2],
    /// Zeros added on each side, rows and columns.
    pub padding: [usize; 2],
    /// Distance between the kernel's points.
    pub dilation: [usize; 2],
    /// Into how many independent parts the channels are split.
    pub groups: usize,
}

impl Convolution {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new(weight: Tensor<4>, bias: Option<Tensor<1>>) -> Self {
        Self { weight, bias, stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }

    /// The same with another stride.
    pub fn with_stride(mut self, stride: [usize; 2]) -> Self {
        self.stride = stride;
        self
    }

    /// The same with zeros around the picture.
    pub fn with_padding(mut self, padding: [usize; 2]) -> Self {
        self.padding = padding;
        self
    }

    /// The same with another distance between the kernel's points.
    pub fn with_dilation(mut self, dilation: [usize; 2]) -> Self {
        self.dilation = dilation;
        self
    }

    /// The same with the channels split into groups.
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    fn window(&self) -> Window {
        let [_, _, height, width] = self.weight.dims();
        let Self { stride, padding, dilation, .. } = *self;
        Window { kernel: [height, width], stride, padding, dilation, ceil_mode: false }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [out, in_per_group, ..] = self.weight.dims();
        let [channels, height, width] = as_map(input)?;
        if self.groups == 0 || out % self.groups != 0 {
            return Err(format!("{out} output channels cannot be split into {} groups", self.groups));
        }
        if channels != in_per_group * self.groups {
            return Err(format!("it takes {} channels, its input has {channels}", in_per_group * self.groups));
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.dims() != [out]) {
            return Err(format!("its bias has shape {:?}, its weight has {out} output channels", bias.dims()));
        }
        let [rows, columns] = self.window().places([height, width])?;
        Ok(vec![out, rows, columns])
    }

    /// # Shapes
    /// - input: `[n, in, h, w]`
    /// - returns: `[n, out, h', w']`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new(self.stride, self.padding, self.dilation, self.groups);
        conv2d(input, self.weight.clone(), self.bias.clone(), options)
    }

    /// The gradient with respect to an input of the given sizes: the transposed convolution.
    ///
    /// # Shapes
    /// - upstream: `[n, out, h', w']`
    /// - returns: `input`
    pub fn backward(&self, input: &[usize; 4], upstream: Tensor<4>) -> Tensor<4> {
        let output = upstream.dims();
        // Rows and columns that the last window did not reach: a transposed convolution must be told about them.
        let unreached: [usize; 2] = std::array::from_fn(|axis| {
            let span = input[axis + 2] + 2 * self.padding[axis] - self.window().reach(axis);
            span - (output[axis + 2] - 1) * self.stride[axis]
        });
        let options = ConvTransposeOptions::new(self.stride, self.padding, unreached, self.dilation, self.groups);
        conv_transpose2d(upstream, self.weight.clone(), None, options)
    }
}
