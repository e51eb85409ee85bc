//! Small exported networks against onnxruntime and torch; `fixtures/networks.py` makes them.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use burnsight_core::{Classifier, Differentiable, Target};
use burnsight_grad_cam::GradCam;
use burnsight_network::{Layer, Network};
use burnsight_onnx::OnnxModel;
use burnsight_testkit::{relative_l2, values};
use safetensors::SafeTensors;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

struct Expected(Vec<u8>);

impl Expected {
    fn read(name: &str) -> Self {
        Self(std::fs::read(fixture(&format!("{name}.safetensors"))).unwrap())
    }

    fn tensor(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        let (values, _) = view.data().as_chunks::<4>();
        (view.shape().to_vec(), values.iter().map(|value| f32::from_le_bytes(*value).into()).collect())
    }

    fn pictures(&self, model: &OnnxModel, dtype: DType) -> Tensor<4> {
        let (shape, values) = self.tensor("picture");
        let shape: [usize; 4] = shape.try_into().unwrap();
        let pictures = Tensor::from_data(TensorData::new(values, shape), (&Device::default(), dtype));
        if model.channels_last { pictures.permute([0, 3, 1, 2]) } else { pictures }
    }

    fn compare(&self, name: &str, found: Vec<f64>, tolerance: f64) {
        let error = relative_l2(&found, &self.tensor(name).1);
        assert!(error <= tolerance, "{name}: relative error {error:e}");
    }
}

fn check(name: &str, size: Option<[usize; 2]>, cam_layer: Option<&str>) -> OnnxModel {
    let model = burnsight_onnx::open(&fixture(&format!("{name}.onnx")), size, &Device::default()).unwrap();
    let expected = Expected::read(name);
    let target = Target::Classes(vec![0, 1]);
    for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 2e-6)] {
        let network = model.network.cast(dtype);
        let pictures = expected.pictures(&model, dtype);
        expected.compare("logits", values(network.logits(pictures.clone()).unwrap()), tolerance);
        let gradient = network.gradient(pictures.clone(), &target).unwrap().gradient;
        let gradient = if model.channels_last { gradient.permute([0, 2, 3, 1]) } else { gradient };
        expected.compare("gradient", values(gradient), tolerance);
        let grad_cam = cam_layer.map_or_else(GradCam::new, GradCam::with_layer);
        let trace = network.record(pictures).unwrap();
        expected.compare("cam", values(grad_cam.at_layer(&trace, &target).unwrap().0), tolerance);
    }
    model
}

fn kinds(network: &Network) -> Vec<&'static str> {
    network.nodes().map(|(_, node)| node.layer().kind()).collect()
}

#[test]
fn a_convolutional_network() {
    let model = check("convolutions", None, None);
    assert_eq!((model.input, model.fixed_size), ([3, 21, 26], true));
    let kinds = kinds(&model.network);
    for kind in ["hard swish", "SiLU", "product", "concatenation", "max pool", "average pool", "clip", "GELU"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    assert!(model.network.find("/branch/Conv").is_ok(), "layers have the names of the file's operations");
}

#[test]
fn channels_last_with_a_softmax_at_the_end() {
    let model = check("channels_last", None, None);
    assert!(model.channels_last && model.input == [3, 12, 14]);
    assert!(model.network.trailing_softmax().is_some());
    let kinds = kinds(&model.network);
    // Transposes between convolutions cancel, and the scale and shift are part of the first convolution.
    assert!(!kinds.contains(&"softmax") && !kinds.contains(&"product"), "{kinds:?}");
    assert!(kinds.iter().filter(|kind| **kind == "transpose").count() == 0, "{kinds:?}");
    // The probabilities are the softmax of the logits.
    let expected = Expected::read("channels_last");
    let logits = model.network.logits(expected.pictures(&model, DType::F32)).unwrap();
    expected.compare("output", values(burn::tensor::activation::softmax(logits, 1)), 1e-5);
}

#[test]
fn a_vision_transformer() {
    let model = check("tokens", None, None);
    assert!(kinds(&model.network).contains(&"matrix product"));
}

#[test]
fn a_swin_transformer() {
    check("windows", None, None);
}

#[test]
fn a_layer_without_places_is_refused() {
    let model = burnsight_onnx::open(&fixture("windows.onnx"), None, &Device::default()).unwrap();
    let pictures = Expected::read("windows").pictures(&model, DType::F32);
    let trace = model.network.record(pictures).unwrap();
    let attention = model.network.nodes().find(|(_, node)| matches!(node.layer(), Layer::MatrixProduct)).unwrap().1;
    let error = GradCam::with_layer(attention.name()).at_layer(&trace, &Target::Top).unwrap_err().to_string();
    assert!(error.contains("has no places"), "{error}");
}

#[test]
fn another_size_than_the_files_is_refused() {
    let error =
        burnsight_onnx::open(&fixture("tokens.onnx"), Some([32, 16]), &Device::default()).unwrap_err().to_string();
    assert!(error.contains("size") && error.contains("16×32") && error.contains("16×16"), "{error}");
}
