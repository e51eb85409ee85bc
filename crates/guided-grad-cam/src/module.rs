//! On a Burn module of one's own that calls `burnsight_module::relu` and `burnsight_module::watch`.

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, AutodiffModel, Result, Target};
use burnsight_guided_backprop::GuidedBackprop;

use crate::{GuidedGradCam, product};

impl<F: Fn(Tensor<4>) -> Tensor<2>> Attributor<AutodiffModel<F>> for GuidedGradCam {
    fn attribute(&self, model: &AutodiffModel<F>, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        let guided = GuidedBackprop.attribute(model, images.clone(), target)?;
        let cam = self.grad_cam.attribute(model, images, &guided.target)?;
        Ok(product(guided, cam))
    }
}
