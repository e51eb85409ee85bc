#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod module;

use burn::tensor::{Tensor, activation::relu};
#[cfg(doc)]
use burnsight_core::Error;
use burnsight_core::{Attribution, Attributor, Provenance, Result, Target, enlarge};
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

    /// Looks where places still exist and classes nearly do: at the last convolution, after its ReLU; with attention behind
    /// it, at the layer norm before the last attention.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the output of another layer, by its name in the network.
    pub fn with_layer(layer: impl Into<String>) -> Self {
        Self { layer: Some(layer.into()) }
    }

    /// The layer this looks at.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a name the network has not got, [`Error::Unsupported`] when it has neither convolution
    /// nor attention.
    pub fn layer(&self, trace: &Trace<'_>) -> Result<NodeId> {
        match &self.layer {
            Some(name) => trace.network().find(name),
            None => trace.last_places(),
        }
    }

    /// The map at the layer's own size, before it is enlarged. Channels may lie on any axis, and places may be tokens;
    /// tokens that belong to no place (a class token) are left out.
    ///
    /// # Shapes
    /// - returns: scores and target, and a map `[n, 1, h', w']`, nowhere below 0
    ///
    /// # Errors
    /// As [`layer`](Self::layer); [`Error::Unsupported`] when the layer's output has no places.
    pub fn at_layer(&self, trace: &Trace<'_>, target: &Target) -> Result<(Tensor<4>, Vec<f32>, Target)> {
        let layer = self.layer(trace)?;
        let places = trace.places(layer)?;
        let activation = places.to_map(trace.activation(layer).clone());
        let Backward { arrived, scores, target } = trace.explain_layer(target, &ExactGradient, layer)?;
        Ok((weigh(activation, places.to_map(arrived)), scores, target))
    }
}

/// The channels of a layer, weighted by how much the score depends on each: `[n, k, h', w']` twice to `[n, 1, h', w']`.
fn weigh(activation: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
    let weights = gradient.mean_dim(3).mean_dim(2); // α: [n, k, 1, 1]
    relu((activation * weights).sum_dim(1))
}

impl TraceAttributor for GradCam {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        let (map, scores, target) = self.at_layer(trace, target)?;
        let images = trace.images();
        let [_, _, height, width] = images.dims();
        let layer = trace.network().node(self.layer(trace)?).name();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::Error;
    use burnsight_network::{Convolution, Layer, Linear};
    use burnsight_testkit::{conformance, nets, relative_l2, trace_conformance, values};

    use super::*;

    fn explain(grad_cam: &GradCam, network: &Network, images: Tensor<4>, target: &Target) -> Vec<f64> {
        values(grad_cam.attribute(network, images, target).unwrap().map)
    }

    /// A 2 × 2 convolution, ReLU and a linear layer on a picture of 3 × 3.
    ///
    /// ```text
    /// picture   1 2 0     kernel  1  2     convolution   4  1     ReLU  4 1     slope of class 0   1 −1
    ///           3 1 1             0 −1                   3 −1           3 0                        2  ½
    ///           0 2 4
    /// ```
    /// α = (1 − 1 + 2 + ½) / 4 = ⅝, so the map at the layer is ⅝ of the ReLU. Its four centres fall on the corners of the
    /// picture, so enlarging puts the means of neighbours between them. Class 1 is the negative of class 0: nothing is
    /// left.
    #[test]
    fn hand_computed() {
        let device = Device::default();
        let kernel = Tensor::<4>::from_data([[[[1.0, 2.0], [0.0, -1.0]]]], &device);
        let weights = Tensor::<2>::from_data([[1.0, -1.0, 2.0, 0.5], [-1.0, 1.0, -2.0, -0.5]], &device);
        let network = nets::chain([
            ("convolution", Layer::Convolution(Convolution::new(kernel, None))),
            ("relu", Layer::Relu),
            ("flatten", Layer::Flatten),
            ("logits", Layer::Linear(Linear::new(weights, None))),
        ]);
        let picture = || Tensor::from_data([[[[1.0, 2.0, 0.0], [3.0, 1.0, 1.0], [0.0, 2.0, 4.0]]]], &device);
        let trace = network.record(picture()).unwrap();
        let (map, scores, _) = GradCam::new().at_layer(&trace, &Target::Class(0)).unwrap();
        assert_eq!((values(map), scores), (vec![2.5, 0.625, 1.875, 0.0], vec![9.0]));
        let map = explain(&GradCam::new(), &network, picture(), &Target::Class(0));
        let expected = [2.5, 1.5625, 0.625, 2.1875, 1.25, 0.3125, 1.875, 0.9375, 0.0];
        assert!(relative_l2(&map, &expected) < 1e-6, "{map:?}");
        assert_eq!(explain(&GradCam::new(), &network, picture(), &Target::Class(1)), [0.0; 9]);
    }

    /// 0 and 1 lie at the pixels ½ and 2½ of four, if pixel centres are at half-integers: between them the map rises by
    /// ½ per pixel, beyond them it is flat. (Aligned corners would give 0, ⅓, ⅔, 1.)
    #[test]
    fn enlarging_keeps_pixel_centres_at_half_integers() {
        let map = Tensor::from_data([[[[0.0, 1.0]]]], &Device::default());
        assert_eq!(values(enlarge(map, [1, 4])), [0.0, 0.25, 0.75, 1.0]);
    }

    /// Where a global average pool and a linear layer follow, Grad-CAM is the class activation map of Zhou et al. 2016,
    /// over the number of places, after a ReLU.
    #[test]
    fn equals_cam_behind_a_global_average_pool() {
        let device = Device::default();
        let network = nets::branches(&device, DType::F64);
        let Layer::Linear(logits) = network.node(network.find("logits").unwrap()).layer() else {
            panic!("the logits are a linear layer")
        };
        let trace = network.record(nets::pictures([2, 3, 15, 17], &device, DType::F64)).unwrap();
        let activation = trace.activation(network.find("last_relu").unwrap()).as_map().unwrap();
        let [_, channels, height, width] = activation.dims();
        assert!(height * width > 1, "one place would be no map");
        for class in 0..4 {
            let weights = logits.weight.clone().slice_dim(0, class..class + 1).reshape([1, channels, 1, 1]);
            let cam = relu((activation.clone() * weights).sum_dim(1)) / (height * width) as f64;
            let (map, ..) = GradCam::new().at_layer(&trace, &Target::Class(class)).unwrap();
            assert!(relative_l2(&values(map), &values(cam)) < 1e-12, "class {class}");
        }
    }

    /// A layer with one place says that something speaks for the class, not where.
    #[test]
    fn layer_of_one_place_gives_a_constant_map() {
        let device = Device::default();
        let network = nets::branches(&device, DType::F32);
        let images = nets::pictures([1, 3, 9, 11], &device, DType::F32);
        let mut positive = 0;
        for class in 0..4 {
            let map = explain(&GradCam::with_layer("pool"), &network, images.clone(), &Target::Class(class));
            assert!(relative_l2(&map, &vec![map[0]; 99]) < 1e-6, "class {class}: {map:?}");
            positive += usize::from(map[0] > 0.0);
        }
        assert!(positive > 0, "a map of zeros is constant too");
    }

    #[test]
    fn looks_at_the_last_convolution_after_its_relu() {
        let device = Device::default();
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        for (network, name) in
            [(nets::small_vgg(&device, DType::F32), "features.7"), (nets::branches(&device, DType::F32), "last_relu")]
        {
            let unnamed = GradCam::new().attribute(&network, images.clone(), &Target::Top).unwrap();
            let named = GradCam::with_layer(name).attribute(&network, images.clone(), &Target::Top).unwrap();
            assert_eq!(unnamed.map.into_data(), named.map.into_data());
            assert_eq!(unnamed.provenance.parameters, json!({ "layer": name }));
        }
    }

    #[test]
    fn another_layer_another_map() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let images = nets::pictures([1, 3, 11, 9], &device, DType::F32);
        let last = explain(&GradCam::new(), &network, images.clone(), &Target::Top);
        let first = explain(&GradCam::with_layer("features.1"), &network, images, &Target::Top);
        assert!(relative_l2(&first, &last) > 0.1);
    }

    #[test]
    fn layers_it_cannot_look_at_are_refused_with_advice() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let images = nets::pictures([1, 3, 8, 8], &device, DType::F32);
        let refused = |network: &Network, layer: &str, target: &Target| {
            GradCam::with_layer(layer).attribute(network, images.clone(), target).unwrap_err()
        };
        let unknown = refused(&network, "features.99", &Target::Top);
        assert!(matches!(unknown, Error::Parameter { .. }), "{unknown}");
        assert!(unknown.to_string().contains("features.99") && unknown.to_string().contains("features.7"), "{unknown}");
        for layer in ["flatten", "classifier.0"] {
            let vector = refused(&network, layer, &Target::Top);
            assert!(matches!(vector, Error::Unsupported { .. }), "{vector}");
            let text = vector.to_string();
            assert!(text.contains(layer) && text.contains("name a layer before it"), "{text}");
        }
        // A unit before the layer does not depend on it.
        let unit = Target::Unit { layer: "features.0".into(), index: vec![0, 1, 1] };
        let behind = refused(&network, "features.7", &unit).to_string();
        assert!(behind.contains("features.0 does not depend on layer features.7"), "{behind}");

        let flat = nets::linear(Tensor::ones([2, 192], &device));
        let none = GradCam::new().attribute(&flat, images.clone(), &Target::Top).unwrap_err();
        assert!(matches!(none, Error::Unsupported { .. }) && none.to_string().contains("no convolution"), "{none}");
    }

    #[test]
    fn conforms() {
        let device = Device::default();
        let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
        for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
            conformance(&GradCam::new(), &network, images.clone());
            trace_conformance(&GradCam::new(), &network, images.clone());
        }
    }
}
