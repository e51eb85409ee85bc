use burn::tensor::Tensor;

use crate::Activation;

/// Fully connected layer: y = W x + b, of the last axis of whatever comes in.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`, as torch stores it.
    pub weight: Tensor<2>,
    /// `[out]`
    pub bias: Option<Tensor<1>>,
}

impl Linear {
    /// A layer from its weight `[out, in]` and bias `[out]`.
    pub fn new(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self { weight, bias }
    }

    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [out, features] = self.weight.dims();
        if input.last() != Some(&features) {
            return Err(format!("it takes {features} features, its input has shape {input:?}"));
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.dims() != [out]) {
            return Err(format!("its bias has shape {:?}, its weight has {out} outputs", bias.dims()));
        }
        Ok([&input[..input.len() - 1], &[out]].concat())
    }

    /// # Shapes
    /// - input: `[n, …, in]`
    /// - returns: `[n, …, out]`
    pub fn forward(&self, input: Activation) -> Activation {
        let output = |rows: Tensor<2>| {
            let output = rows.matmul(self.weight.clone().transpose());
            match &self.bias {
                Some(bias) => output + bias.clone().unsqueeze(),
                None => output,
            }
        };
        by_rows(input, output)
    }

    /// The gradient with respect to the input.
    ///
    /// # Shapes
    /// - upstream: `[n, …, out]`
    /// - returns: `[n, …, in]`
    pub fn backward(&self, upstream: Activation) -> Activation {
        by_rows(upstream, |rows| rows.matmul(self.weight.clone()))
    }
}

/// Treats all axes but the last as rows of one matrix.
fn by_rows(input: Activation, function: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Activation {
    let mut dims = input.dims();
    let output = function(input.rows());
    if let Some(last) = dims.last_mut() {
        *last = output.dims()[1];
    }
    Activation::Vector(output).reshape(&dims)
}
