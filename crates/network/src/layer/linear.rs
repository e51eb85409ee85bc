use burn::tensor::Tensor;

/// Fully connected layer: y = W x + b.
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
        if input != [features] {
            return Err(format!("it takes a vector of {features} features, its input has shape {input:?}"));
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.dims() != [out]) {
            return Err(format!("its bias has shape {:?}, its weight has {out} outputs", bias.dims()));
        }
        Ok(vec![out])
    }

    /// # Shapes
    /// - input: `[n, in]`
    /// - returns: `[n, out]`
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let output = input.matmul(self.weight.clone().transpose());
        match &self.bias {
            Some(bias) => output + bias.clone().unsqueeze(),
            None => output,
        }
    }

    /// The gradient with respect to the input.
    ///
    /// # Shapes
    /// - upstream: `[n, out]`
    /// - returns: `[n, in]`
    pub fn backward(&self, upstream: Tensor<2>) -> Tensor<2> {
        upstream.matmul(self.weight.clone())
    }
}
