//! The RevealCancel rule: positive and negative parts of a change are followed apart.

use burn::tensor::Tensor;
use burnsight_core::Result;
use burnsight_network::{Activation, Affine, BackwardRule, Function, Layer, Network, Pad, Step};

use crate::{
    halves::{difference, halves, stack, swap, twice},
    max_pool::Winners,
    rescale::{mean_slope, ratio, require_rules},
};

/// Every unit's change has a positive and a negative part, δx = δx⁺ + δx⁻, each with a multiplier of its own: what walks
/// back is m⁺ above m⁻.
///
/// Linear layers send positive contributions into the positive part, whichever sign they have themselves (the paper's
/// Linear rule); functions answer each part with the mean of what it does alone and after the other.
#[derive(Debug)]
pub(crate) struct RevealCancel;

impl BackwardRule for RevealCancel {
    fn check(&self, network: &Network) -> Result<()> {
        require_rules(network)?;
        network.require_rules("deeplift with reveal-cancel", "deeplift with rescale", |_, node| match node.layer() {
            Layer::Function(function) => is_defined_everywhere(*function),
            _ => true,
        })
    }

    fn relu(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.function(step, upstream)
    }

    fn function(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        let input = parts(&step.producer(0));
        let Answer { output, size } = Answer::to(step, input.clone());
        let multiplier = ratio(output, input.flatten(), mean_slope(step), size);
        Ok(upstream.map_values(|upstream| upstream * multiplier))
    }

    fn convolution(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(affine(step, upstream))
    }

    fn linear(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(affine(step, upstream))
    }

    fn pooling(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        match step.layer() {
            Layer::MaxPool(_) => Ok(Winners::of(step).hand_back(upstream)),
            _ => Ok(by_sign(step.input(0), step.gradient(upstream))),
        }
    }

    fn sum(&self, step: &Step<'_>, upstream: Activation) -> Result<Vec<Activation>> {
        let gradients = step.gradients(upstream).into_iter().enumerate();
        Ok(gradients
            .map(|(index, gradient)| match is_constant(step.input(index)) {
                true => gradient,
                false => by_sign(step.input(index), gradient),
            })
            .collect())
    }

    fn product(&self, step: &Step<'_>, upstream: Activation) -> Result<Vec<Activation>> {
        Ok(step.gradients(by_sign(step.output(), upstream)))
    }
}

/// The multiplier of a change that has only one sign: m⁺ where it is positive, m⁻ where it is negative, their mean where
/// there is none. In both halves.
pub(crate) fn by_sign(values: &Activation, multipliers: Activation) -> Activation {
    let change = difference(values);
    multipliers.map_values(|multipliers| {
        let [positive, negative] = halves(multipliers).map(twice);
        let mean = (positive.clone() + negative.clone()) * 0.5;
        let of_positive = mean.mask_where(change.clone().greater_elem(0.0), positive);
        of_positive.mask_where(change.lower_elem(0.0), negative)
    })
}

/// δx⁺ above δx⁻ of a layer's output.
fn parts(step: &Step<'_>) -> Activation {
    if is_constant(step.output()) {
        return step.output().clone().map_values(|values| values.zeros_like());
    }
    let below = |index| parts(&step.producer(index));
    let layer = step.layer();
    match layer {
        Layer::Convolution(_) | Layer::Linear(_) => contributions(step),
        Layer::Sum => {
            let summands: Vec<Activation> = (0..step.input_count()).map(|index| signs(step.input(index))).collect();
            layer.forward(&summands.iter().collect::<Vec<_>>())
        }
        // But for cubic resampling their weights are not negative: contributions have the sign of the input's change.
        Layer::AveragePool(_) | Layer::AdaptiveAveragePool(_) | Layer::Mean { .. } | Layer::Resample(_) => {
            layer.forward(&[&signs(step.input(0))])
        }
        Layer::MaxPool(_) => Winners::of(step).follow(below(0)),
        // A change of unit, for each part alike: the gradient multiplies by the scale, as the layer does.
        Layer::BatchNorm(_) => step.gradient(below(0)),
        Layer::Relu | Layer::Function(_) => {
            let input = below(0);
            Activation::Vector(Answer::to(step, input).output).reshape(&step.output().dims())
        }
        Layer::Pad(pad) => Layer::Pad(Pad { value: 0.0, ..*pad }).forward(&[&below(0)]),
        Layer::Flatten | Layer::Reshape { .. } | Layer::Transpose { .. } | Layer::Select(_) | Layer::Dropout => {
            layer.forward(&[&below(0)])
        }
        Layer::Concatenation { .. } => {
            let joined: Vec<Activation> = (0..step.input_count()).map(below).collect();
            layer.forward(&joined.iter().collect::<Vec<_>>())
        }
        _ => signs(step.output()),
    }
}

/// Whether it has one row for all pictures.
fn is_constant(values: &Activation) -> bool {
    values.dims()[0] == 1
}

/// max(δx, 0) above min(δx, 0); zeros for a constant.
fn signs(values: &Activation) -> Activation {
    if is_constant(values) {
        return values.clone().map_values(|values| values.zeros_like());
    }
    let [change, _] = halves(difference(values));
    values.clone().map_values(|_| stack(change.clone().clamp_min(0.0), change.clamp_max(0.0)))
}

/// Σ of the positive and of the negative contributions w · δx of a layer with weights.
fn contributions(step: &Step<'_>) -> Activation {
    let [positive, negative] = weights_by_sign(step);
    let change = signs(step.input(0));
    let opposite = change.clone().map_values(swap);
    positive.forward(change) + negative.forward(opposite)
}

/// m_i = Σ_j w_ij · (m⁺_j where w_ij δx_i is positive, m⁻_j where it is negative).
fn affine(step: &Step<'_>, upstream: Activation) -> Activation {
    let [positive, negative] = weights_by_sign(step);
    let dims = step.input(0).dims();
    let opposite = upstream.clone().map_values(swap);
    by_sign(step.input(0), positive.backward(&dims, upstream) + negative.backward(&dims, opposite))
}

/// The layer with its positive weights and with its negative weights.
fn weights_by_sign(step: &Step<'_>) -> [Affine; 2] {
    let layer = Affine::of(step.layer()).expect("a convolution or linear layer");
    [layer.map(|weight| weight.clamp_min(0.0)), layer.map(|weight| weight.clamp_max(0.0))]
}

/// What a function makes of a change in two parts.
struct Answer {
    /// δy⁺ above δy⁻, as `[2 n, features]`
    output: Tensor<2>,
    /// The sum of what these are differences of.
    size: Tensor<2>,
}

impl Answer {
    /// ```text
    /// δy⁺ = ½ (f(x₀ + δx⁺) − f(x₀)) + ½ (f(x) − f(x₀ + δx⁻))
    /// δy⁻ = ½ (f(x₀ + δx⁻) − f(x₀)) + ½ (f(x) − f(x₀ + δx⁺))
    /// ```
    fn to(step: &Step<'_>, input: Activation) -> Self {
        let with_part = input.zip_values(step.input(0).clone(), |change, values| {
            let [_, baseline] = halves(values);
            change + twice(baseline)
        });
        let with_part = step.layer().forward(&[&with_part]).flatten();
        let with_other = swap(with_part.clone());
        let [picture, baseline] = halves(step.output().clone().flatten()).map(twice);
        let size = picture.clone().abs() + baseline.clone().abs() + with_part.clone().abs() + with_other.clone().abs();
        Self { output: (with_part - baseline + picture - with_other) * 0.5, size }
    }
}

/// Parts can lie far outside of the values that a function is given in the network.
fn is_defined_everywhere(function: Function) -> bool {
    match function {
        Function::Log | Function::Sqrt | Function::Reciprocal | Function::Exp => false,
        Function::Power(exponent) => exponent >= 0.0 && exponent.fract() == 0.0,
        _ => true,
    }
}
