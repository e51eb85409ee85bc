#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

use burn::tensor::{
    Tensor,
    activation::relu,
    module::interpolate,
    ops::{InterpolateMode, InterpolateOptions},
};
use burnsight_core::{Attribution, Attributor, Error, Provenance, Result, Target};
use burnsight_network::{Backward, ExactGradient, Network, NodeId, Trace, TraceAttributor};
use serde_json::json;

/// Which places of a hidden layer spoke for the class.
#[derive(Debug, Clone, Default)]
pub struct GradCam {
    layer: Option<String>,
}

impl GradCam {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "grad-cam";

    /// Looks at the last convolution, after its ReLU: the layer where places still exist and classes nearly do.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the output of another layer, by its name in the network.
    pub fn with_layer(layer: impl Into<String>) -> Self {
        Self { layer: Some(layer.into()) }
    }

    /// The layer this looks at in a network.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a name the network has not got, [`Error::Unsupported`] when it has no convolution.
    pub fn layer(&self, network: &Network) -> Result<NodeId> {
        match &self.layer {
            Some(name) => network.find(name),
            None => network.last_convolution(),
        }
    }

    /// The map at the layer's own size, before it is enlarged.
    ///
    /// # Shapes
    /// - returns: scores and target, and a map `[n, 1, h', w']`, nowhere below 0
    ///
    /// # Errors
    /// As [`layer`](Self::layer); [`Error::Unsupported`] when the layer's output is no map.
    pub fn at_layer(&self, trace: &Trace<'_>, target: &Target) -> Result<(Tensor<4>, Vec<f32>, Target)> {
        let layer = self.layer(trace.network())?;
        let name = trace.network().node(layer).name();
        let no_places = || {
            Error::unsupported(Self::NAME, format!("layer {name} has no places, only features: name a layer before it"))
        };
        let activation = trace.activation(layer).as_map().ok_or_else(no_places)?;
        let Backward { arrived, scores, target } = trace.explain_layer(target, &ExactGradient, layer)?;
        let gradient = arrived.as_map().ok_or_else(no_places)?;
        let weights = gradient.mean_dim(3).mean_dim(2); // α: [n, k, 1, 1]
        let map = relu((activation * weights).sum_dim(1));
        Ok((map, scores, target))
    }
}

/// Enlarges a map bilinearly, pixel centres at half-integers (torch's `align_corners=False`).
fn enlarge(map: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    // Burn's default is the other convention, which shifts everything but the centre.
    let options = InterpolateOptions::new(InterpolateMode::Bilinear)
        .with_align_corners(false)
        .with_output_size([height, width]);
    interpolate(map, options)
}

impl TraceAttributor for GradCam {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        let (map, scores, target) = self.at_layer(trace, target)?;
        let images = trace.images();
        let [_, _, height, width] = images.dims();
        let layer = trace.network().node(self.layer(trace.network())?).name();
        let provenance = Provenance::new(Self::NAME, json!({ "layer": layer }), &images.device());
        let map = enlarge(map, [height, width]);
        Ok(Attribution { map, scores, target, completeness: None, standard_error: None, provenance })
    }
}

impl Attributor<Network> for GradCam {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}
