//! What a method does differently on the way back.

use burnsight_core::Result;

use crate::{Activation, Network, Step};

/// How each kind of layer hands back what comes from above.
///
/// The reverse walk is one; methods differ only here. Every function gets the [`Step`] (the layer, its recorded inputs
/// and output) and what its readers handed back, and returns what its input gets. The defaults are the exact gradient,
/// so a rule states only where it departs from it.
pub trait BackwardRule {
    /// Refuses networks on which the rule would say nothing of its own, or something wrong.
    ///
    /// # Errors
    /// [`Error::Unsupported`](burnsight_core::Error::Unsupported), naming the layer and what works instead.
    fn check(&self, _network: &Network) -> Result<()> {
        Ok(())
    }

    /// What the walk starts from, at the logits or at the hidden unit that is explained. `slope` is the derivative of the
    /// score with respect to `output`; a rule that shares out the score itself starts from their product.
    fn start(&self, _output: &Activation, slope: Activation) -> Result<Activation> {
        Ok(slope)
    }

    /// max(x, 0)
    fn relu(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream))
    }

    /// Another function of every value.
    fn function(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream))
    }

    /// Convolution.
    fn convolution(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream))
    }

    /// Fully connected layer.
    fn linear(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream))
    }

    /// Max, average and adaptive average pool, mean over axes, resampling: layers that choose or mix places by weights that
    /// nobody has trained.
    fn pooling(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream))
    }

    /// Batch normalisation.
    fn batch_norm(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream))
    }

    /// Layer normalisation.
    fn layer_norm(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream))
    }

    /// Softmax inside the network.
    fn softmax(&self, step: &Step<'_>, upstream: Activation) -> Result<Activation> {
        Ok(step.gradient(upstream))
    }

    /// Sum of several inputs; one answer for each.
    fn sum(&self, step: &Step<'_>, upstream: Activation) -> Result<Vec<Activation>> {
        Ok(step.gradients(upstream))
    }

    /// Product of two inputs, value by value or as matrices; one answer for each.
    fn product(&self, step: &Step<'_>, upstream: Activation) -> Result<Vec<Activation>> {
        Ok(step.gradients(upstream))
    }
}

/// The rule that changes nothing: the gradient.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExactGradient;

impl BackwardRule for ExactGradient {}
