//! On a Burn module of one's own that calls `burnsight_module::relu`.

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, AutodiffModel, Result, Target};
use burnsight_module::{ReluRule, explain_with_rule};

use crate::GuidedBackprop;

impl<F: Fn(Tensor<4>) -> Tensor<2>> Attributor<AutodiffModel<F>> for GuidedBackprop {
    fn attribute(&self, model: &AutodiffModel<F>, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        Ok(explain_with_rule(model, images, target, ReluRule::Guided, Self::NAME)?.into_attribution(Self::NAME))
    }
}
