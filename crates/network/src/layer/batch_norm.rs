use burn::tensor::Tensor;

use crate::Activation;

/// Batch normalisation as in evaluation: with the running statistics it is a scale and a shift per channel.
///
/// ```text
/// y = (x − mean) / √(variance + ε) · weight + bias
/// ```
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// γ, `[channels]`
    pub weight: Tensor<1>,
    /// β, `[channels]`
    pub bias: Tensor<1>,
    /// Running mean, `[channels]`
    pub mean: Tensor<1>,
    /// Running variance, `[channels]`
    pub variance: Tensor<1>,
    /// ε, keeps the root away from 0. Torch's default: 1e-5.
    pub epsilon: f64,
}

impl BatchNorm {
    pub(super) fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels] = self.weight.dims();
        for (name, tensor) in [("bias", &self.bias), ("mean", &self.mean), ("variance", &self.variance)] {
            if tensor.dims() != [channels] {
                return Err(format!("its {name} has shape {:?}, its weight has {channels} channels", tensor.dims()));
            }
        }
        match *input {
            [first] | [first, _, _] if first == channels => Ok(input.to_vec()),
            _ => Err(format!(
                "it takes {channels} channels, its input of shape {input:?} is no vector or map of so many"
            )),
        }
    }

    /// What every channel is multiplied by, and what is then added. `[channels]` each.
    pub fn scale_and_shift(&self) -> (Tensor<1>, Tensor<1>) {
        let scale = self.weight.clone() / (self.variance.clone() + self.epsilon).sqrt();
        let shift = self.bias.clone() - self.mean.clone() * scale.clone();
        (scale, shift)
    }

    pub(super) fn forward(&self, input: Activation) -> Activation {
        let (scale, shift) = self.scale_and_shift();
        match input {
            Activation::Vector(x) => Activation::Vector(x * scale.unsqueeze() + shift.unsqueeze()),
            Activation::Map(x) => Activation::Map(x * per_channel(scale) + per_channel(shift)),
            other => unreachable!("shapes were checked, yet {:?} arrived", other.dims()),
        }
    }

    pub(super) fn backward(&self, upstream: Activation) -> Activation {
        let (scale, _) = self.scale_and_shift();
        match upstream {
            Activation::Vector(g) => Activation::Vector(g * scale.unsqueeze()),
            Activation::Map(g) => Activation::Map(g * per_channel(scale)),
            other => unreachable!("shapes were checked, yet {:?} arrived", other.dims()),
        }
    }
}

fn per_channel(values: Tensor<1>) -> Tensor<4> {
    let [channels] = values.dims();
    values.reshape([1, channels, 1, 1])
}
