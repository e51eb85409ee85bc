//! On a Burn module of one's own that calls `burnsight_module::watch`.

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, AutodiffModel, InputGradient, Provenance, Result, Target};
use burnsight_module::{Watched, explain_watched};
use serde_json::json;

use crate::{GradCam, enlarge, weigh};

impl<F: Fn(Tensor<4>) -> Tensor<2>> Attributor<AutodiffModel<F>> for GradCam {
    fn attribute(&self, model: &AutodiffModel<F>, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        let [_, _, height, width] = images.dims();
        let watched = explain_watched(model, images, target, self.layer.as_deref(), Self::NAME)?;
        let Watched { name, activation, gradient: InputGradient { gradient, scores, target } } = watched;
        let map = enlarge(weigh(activation, gradient), [height, width]);
        let provenance = Provenance::new(Self::NAME, json!({ "layer": name }), &map.device());
        Ok(Attribution { map, scores, target, completeness: None, standard_error: None, provenance })
    }
}
