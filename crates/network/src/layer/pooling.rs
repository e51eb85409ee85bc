use burn::tensor::{
    Int, Tensor, TensorData,
    module::{
        adaptive_avg_pool2d, avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_with_indices,
        max_pool2d_with_indices_backward,
    },
    ops::{AvgPoolOptions, MaxPoolOptions},
};

use super::{Window, as_map};

/// Largest value of every window.
#[derive(Debug, Clone, Copy)]
pub struct MaxPool {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Step of the window.
    pub stride: [usize; 2],
    /// Border on each side, which never wins.
    pub padding: [usize; 2],
    /// Distance between the window's points.
    pub dilation: [usize; 2],
    /// Whether windows that reach beyond the border count too.
    pub ceil_mode: bool,
}

impl MaxPool {
    /// Square windows side by side.
    pub fn new(size: usize) -> Self {
        Self { kernel: [size; 2], stride: [size; 2], padding: [0, 0], dilation: [1, 1], ceil_mode: false }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let Self { kernel, stride, padding, dilation, ceil_mode } = *self;
        let window = Window { kernel, stride, padding, dilation, ceil_mode };
        let [channels, height, width] = as_map(input)?;
        let [rows, columns] = window.places([height, width])?;
        window.check_pool_padding()?;
        Ok(vec![channels, rows, columns])
    }

    fn options(&self) -> MaxPoolOptions<2> {
        MaxPoolOptions::new(self.kernel)
            .with_stride(self.stride)
            .with_padding(self.padding)
            .with_dilation(self.dilation)
            .with_ceil_mode(self.ceil_mode)
    }

    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        max_pool2d(input, self.options())
    }

    /// The output and, for each of its places, the index (row · width + column) of the input that won: the "switches"
    /// of Zeiler and Fergus.
    pub(super) fn forward_with_switches(&self, input: Tensor<4>) -> (Tensor<4>, Tensor<4, Int>) {
        max_pool2d_with_indices(input, self.options())
    }

    pub(super) fn backward(&self, input: Tensor<4>, upstream: Tensor<4>, switches: Tensor<4, Int>) -> Tensor<4> {
        max_pool2d_with_indices_backward(
            input,
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            upstream,
            switches,
        )
    }
}

/// Mean of every window.
#[derive(Debug, Clone, Copy)]
pub struct AveragePool {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Step of the window.
    pub stride: [usize; 2],
    /// Zeros on each side.
    pub padding: [usize; 2],
    /// Whether those zeros count in the mean.
    pub count_include_pad: bool,
    /// Whether windows that reach beyond the border count too.
    pub ceil_mode: bool,
}

impl AveragePool {
    /// Square windows side by side.
    pub fn new(size: usize) -> Self {
        Self { kernel: [size; 2], stride: [size; 2], padding: [0, 0], count_include_pad: true, ceil_mode: false }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let Self { kernel, stride, padding, ceil_mode, .. } = *self;
        let window = Window { kernel, stride, padding, dilation: [1, 1], ceil_mode };
        let [channels, height, width] = as_map(input)?;
        let [rows, columns] = window.places([height, width])?;
        window.check_pool_padding()?;
        Ok(vec![channels, rows, columns])
    }

    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let options = AvgPoolOptions::new(self.kernel)
            .with_stride(self.stride)
            .with_padding(self.padding)
            .with_count_include_pad(self.count_include_pad)
            .with_ceil_mode(self.ceil_mode);
        avg_pool2d(input, options)
    }

    pub(super) fn backward(&self, input: Tensor<4>, upstream: Tensor<4>) -> Tensor<4> {
        let Self { kernel, stride, padding, count_include_pad, ceil_mode } = *self;
        avg_pool2d_backward(input, upstream, kernel, stride, padding, count_include_pad, ceil_mode)
    }
}

/// Mean over as many windows as the output has places; window i covers ⌊i·size/out⌋ to ⌈(i+1)·size/out⌉.
#[derive(Debug, Clone, Copy)]
pub struct AdaptiveAveragePool {
    /// Height and width of the output.
    pub output: [usize; 2],
}

impl AdaptiveAveragePool {
    /// Any input size becomes this output size.
    pub fn new(output: [usize; 2]) -> Self {
        Self { output }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, ..] = as_map(input)?;
        if self.output.contains(&0) {
            return Err(format!("output size {:?} must be at least 1 × 1", self.output));
        }
        Ok(vec![channels, self.output[0], self.output[1]])
    }

    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        adaptive_avg_pool2d(input, self.output)
    }

    /// The pool is a product with one averaging matrix per axis, A_h X A_wᵀ, so its gradient is A_hᵀ G A_w. (Burn keeps
    /// its own backward of this layer to itself.)
    pub(super) fn backward(&self, input: &[usize; 4], upstream: Tensor<4>) -> Tensor<4> {
        let [rows, columns] = [0, 1].map(|axis| averaging_matrix(input[axis + 2], self.output[axis]));
        let place = (&upstream.device(), upstream.dtype());
        let rows = Tensor::<2>::from_data(rows, (place.0, place.1)).transpose();
        let columns = Tensor::<2>::from_data(columns, (place.0, place.1));
        rows.unsqueeze::<4>().matmul(upstream).matmul(columns.unsqueeze::<4>())
    }
}

/// `[output, input]`: row i holds 1 / length over window i.
fn averaging_matrix(input: usize, output: usize) -> TensorData {
    let mut matrix = vec![0.0f64; output * input];
    for (index, row) in matrix.chunks_mut(input).enumerate() {
        let window = index * input / output..((index + 1) * input).div_ceil(output);
        let share = 1.0 / window.len() as f64;
        row[window].fill(share);
    }
    TensorData::new(matrix, [output, input])
}
