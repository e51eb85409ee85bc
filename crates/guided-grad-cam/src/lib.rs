#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod module;

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
        Ok(product(guided, cam))
    }
}

fn product(guided: Attribution, cam: Attribution) -> Attribution {
    let provenance = Provenance { method: GuidedGradCam::NAME.into(), ..cam.provenance };
    Attribution { map: guided.map * cam.map, provenance, ..guided }
}

impl Attributor<Network> for GuidedGradCam {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.attribute_trace(&network.record(images)?, target)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::Error;
    use burnsight_network::{Convolution, Layer, Linear};
    use burnsight_testkit::{conformance, nets, trace_conformance, values};

    use super::*;

    /// A convolution with the one weight −1, ReLU and a linear layer, so that nothing needs to be enlarged.
    ///
    /// ```text
    /// picture  −4 −1     ReLU of its negative  4  1     slope of the score  1 −1
    ///          −3  1                           3  0                         2  ½
    /// ```
    /// Grad-CAM: α = (1 − 1 + 2 + ½) / 4 = ⅝, map ⅝ × (4, 1, 3, 0). Guided backpropagation stops the −1 and what is off,
    /// and goes back through the weight −1: (−1, 0, −2, 0). The product: (−2½, 0, −3¾, 0).
    #[test]
    fn hand_computed() {
        let device = Device::default();
        let negative = Convolution::new(Tensor::<4>::from_data([[[[-1.0]]]], &device), None);
        let weights = Tensor::<2>::from_data([[1.0, -1.0, 2.0, 0.5]], &device);
        let network = nets::chain([
            ("negative", Layer::Convolution(negative)),
            ("relu", Layer::Relu),
            ("flatten", Layer::Flatten),
            ("score", Layer::Linear(Linear::new(weights, None))),
        ]);
        let picture = Tensor::from_data([[[[-4.0, -1.0], [-3.0, 1.0]]]], &device);
        let attribution = GuidedGradCam::new().attribute(&network, picture, &Target::Class(0)).unwrap();
        assert_eq!(attribution.scores, [9.0]);
        assert_eq!(values(attribution.map), [-2.5, 0.0, -3.75, 0.0]);
    }

    #[test]
    fn is_the_product_of_its_parts() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        let trace = network.record(images).unwrap();
        for (whole, layer) in
            [(GuidedGradCam::new(), "features.7"), (GuidedGradCam::with_layer("features.4"), "features.4")]
        {
            let whole = whole.attribute_trace(&trace, &Target::Class(3)).unwrap();
            let guided = GuidedBackprop.attribute_trace(&trace, &Target::Class(3)).unwrap();
            let cam = GradCam::with_layer(layer).attribute_trace(&trace, &Target::Class(3)).unwrap();
            assert_eq!((guided.map.dims(), cam.map.dims()), ([2, 3, 11, 9], [2, 1, 11, 9]));
            // One row of the map of Grad-CAM for all three colours.
            let cam_of_colours = values(cam.map.repeat_dim(1, 3));
            let product = values(guided.map).into_iter().zip(cam_of_colours);
            let product: Vec<f64> = product.map(|(guided, cam)| f64::from(guided as f32 * cam as f32)).collect();
            assert!(product.iter().any(|value| *value != 0.0));
            assert_eq!(values(whole.map), product);
            assert_eq!(whole.scores, guided.scores);
            assert_eq!(whole.provenance.method, GuidedGradCam::NAME);
            assert_eq!(whole.provenance.parameters, cam.provenance.parameters);
        }
    }

    #[test]
    fn networks_that_lack_a_part_are_refused() {
        let device = Device::default();
        let picture = || Tensor::<4>::ones([1, 1, 2, 2], &device);
        let without_relu = nets::linear(Tensor::ones([2, 4], &device));
        let error = GuidedGradCam::new().attribute(&without_relu, picture(), &Target::Top).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("no ReLU"), "{error}");
        let logits = Layer::Linear(Linear::new(Tensor::ones([2, 4], &device), None));
        let without_convolution = nets::chain([("flatten", Layer::Flatten), ("relu", Layer::Relu), ("logits", logits)]);
        let error = GuidedGradCam::new().attribute(&without_convolution, picture(), &Target::Top).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("no convolution"), "{error}");
        let network = nets::small_vgg(&device, DType::F32);
        let images = nets::pictures([1, 3, 8, 8], &device, DType::F32);
        let error = GuidedGradCam::with_layer("features.99").attribute(&network, images, &Target::Top).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }) && error.to_string().contains("features.99"), "{error}");
    }

    #[test]
    fn conforms() {
        let device = Device::default();
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
            conformance(&GuidedGradCam::new(), &network, images.clone());
            trace_conformance(&GuidedGradCam::new(), &network, images.clone());
        }
    }
}
