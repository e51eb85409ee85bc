use burn::tensor::Tensor;

use crate::Activation;

/// Layer normalisation over the last axis (Ba et al. 2016).
///
/// ```text
/// y = (x − mean) / √(variance + ε) · weight + bias          mean and variance over the features of each token
/// ```
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// γ, `[features]`
    pub weight: Tensor<1>,
    /// β, `[features]`
    pub bias: Tensor<1>,
    /// ε, keeps the root away from 0. Torch's default: 1e-5.
    pub epsilon: f64,
}

impl LayerNorm {
    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [features] = self.weight.dims();
        if self.bias.dims() != [features] {
            return Err(format!("its bias has shape {:?}, its weight has {features} features", self.bias.dims()));
        }
        match input.last() {
            Some(last) if *last == features => Ok(input.to_vec()),
            _ => Err(format!("it normalises {features} features, its input has shape {input:?}")),
        }
    }

    /// (x − mean) / √(variance + ε) and 1 / √(variance + ε), in rows.
    fn normalise(&self, input: Activation) -> (Tensor<2>, Tensor<2>) {
        let rows = input.rows();
        let centred = rows.clone() - rows.mean_dim(1);
        let scale = (centred.clone().square().mean_dim(1) + self.epsilon).sqrt().recip();
        (centred * scale.clone(), scale)
    }

    pub(super) fn forward(&self, input: Activation) -> Activation {
        let dims = input.dims();
        let (normalised, _) = self.normalise(input);
        let output = normalised * self.weight.clone().unsqueeze() + self.bias.clone().unsqueeze();
        Activation::Vector(output).reshape(&dims)
    }

    /// With x̂ the normalised input and g the upstream gradient times γ: (g − mean g − x̂ · mean(g · x̂)) / √(variance + ε).
    pub(super) fn backward(&self, input: Activation, upstream: Activation) -> Activation {
        let dims = input.dims();
        let (normalised, scale) = self.normalise(input);
        let g = upstream.rows() * self.weight.clone().unsqueeze();
        let along = (g.clone() * normalised.clone()).mean_dim(1);
        let gradient = (g.clone() - g.mean_dim(1) - normalised * along) * scale;
        Activation::Vector(gradient).reshape(&dims)
    }
}
