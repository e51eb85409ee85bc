#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, Provenance, Result, Target};
use burnsight_grad_cam::GradCam;
use burnsight_guided_backprop::GuidedBackprop;
use burnsight_network::{Network, Trace, TraceAttributor};

/// Guided backpropagation, weighted by where Grad-CAM looks.
#[derive(Debug, Clone, Default)]
pub struct GuidedGradCam {
    grad_cam: GradCam,
}

impl GuidedGradCam {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "guided-grad-cam";

    /// With Grad-CAM at the last convolution.
    pub fn new() -> Self {
        Self::default()
    }

    /// With Grad-CAM at another layer, by its name in the network.
    pub fn with_layer(layer: impl Into<String>) -> Self {
        Self { grad_cam: GradCam::with_layer(layer) }
    }
}

impl TraceAttributor for GuidedGradCam {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        let guided = GuidedBackprop.attribute_trace(trace, target)?;
        let cam = self.grad_cam.attribute_trace(trace, target)?;
        let provenance = Provenance { method: Self::NAME.into(), ..cam.provenance };
        Ok(Attribution { map: guided.map * cam.map, provenance, ..guided })
    }
}

impl Attributor<Network> for GuidedGradCam {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}
