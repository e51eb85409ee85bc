//! The Rescale rule: every unit passes on how much its output changed per change of its input.

use burn::tensor::Tensor;
use burnsight_core::Result;
use burnsight_network::{Activation, BackwardRule, Layer, Network, Step};

use crate::{
    DeepLift,
    halves::{difference, halves, twice},
    max_pool::Winners,
};

/// Rounding errors that a function's value may have, in units of the number format's precision.
const ROUNDING: f64 = 8.0;

/// m_x = m_y · δy / δx at every function; linear layers keep the gradient, which is their multiplier.
#[derive(Debug)]
pub(crate) struct Rescale;

impl BackwardRule for Rescale {
    fn check(&self, network: &Network) -> Result<()> {
        require_rules(network)
    }

    fn relu(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        self.function(step, upstream)
    }

    fn function(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        let [picture, baseline] = halves(step.output().clone().flatten());
        let size = twice(picture.abs() + baseline.abs());
        let multiplier = ratio(difference(step.output()), difference(step.input(0)), mean_slope(step), size);
        Ok(upstream.map_values(|upstream| upstream * multiplier))
    }

    fn pooling(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        match step.layer() {
            Layer::MaxPool(_) => Ok(Winners::of(step).hand_back(upstream)),
            _ => Ok(step.gradient(upstream)),
        }
    }
}

/// Refuses layers that neither are linear nor treat every value by itself. (A max pool has a rule of its own.)
pub(crate) fn require_rules(network: &Network) -> Result<()> {
    network.require_rules(DeepLift::NAME, "integrated-gradients", |id, node| match node.layer() {
        Layer::LayerNorm(_) | Layer::Softmax { .. } => false,
        Layer::Product | Layer::MatrixProduct => network.varying_inputs(id) == 1,
        _ => true,
    })
}

/// δy / δx, but the slope where both explain the change equally well.
///
/// A small change of the input drowns in the rounding of y, and its quotient is noise, which the layers below multiply by
/// differences that need not be small. There the slope times δx equals δy up to that rounding, so nothing is lost by taking
/// the slope instead, whatever the size of the numbers and the function.
///
/// `size`: the largest values that δy is a difference of.
pub(crate) fn ratio(output: Tensor<2>, input: Tensor<2>, slope: Tensor<2>, size: Tensor<2>) -> Tensor<2> {
    let precision = output.dtype().finfo().map_or(0.0, |format| format.epsilon);
    let apart = (slope.clone() * input.clone() - output.clone()).abs();
    let alike = apart.lower_equal(size * (ROUNDING * precision)).bool_or(input.clone().equal_elem(0.0));
    (output / input).mask_where(alike, slope)
}

/// The mean of a function's slopes at the picture and at the baseline, in both halves.
pub(crate) fn mean_slope(step: &Step<'_>) -> Tensor<2> {
    let ones = step.output().clone().map_values(|y| y.ones_like());
    let [picture, baseline] = halves(step.gradient(ones).flatten());
    twice((picture + baseline) * 0.5)
}
