//! Every method against captum. `captum/generate.py` made the fixtures and says how.
#![cfg(all(feature = "all-methods", feature = "zoo"))]
#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use burnsight::{
    Attribution, Attributor, Classifier, DeconvNet, GradCam, GuidedBackprop, GuidedGradCam, InputXGradient, Seed,
    SmoothGradConfig, Statistic, Target, VanillaGradient,
    network::{ExactGradient, Network, TraceAttributor, WeightFile},
    vgg::{Depth, VggConfig},
};
use burnsight_testkit::{relative_l2, values};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// Largest relative L2 distance of a picture's map.
const TOLERANCE: f64 = 1e-3;

/// Samples of SmoothGrad, and numbers in the larger of the two networks' pictures.
const SAMPLES: usize = 4;
const LONGEST: usize = 3 * 75 * 37;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captum")
}

/// Pictures and what captum says about them.
struct Fixture {
    name: &'static str,
    bytes: Vec<u8>,
}

impl Fixture {
    fn read(name: &'static str) -> Self {
        Self { name, bytes: fs::read(folder().join(name).with_extension("safetensors")).unwrap() }
    }

    fn data(&self, name: &str) -> TensorData {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        let dtype = if view.dtype() == Dtype::I64 { DType::I64 } else { DType::F32 };
        TensorData::from_bytes_vec(view.data().to_vec(), view.shape(), dtype)
    }

    fn images(&self) -> Tensor<4> {
        Tensor::from_data(self.data("images"), &Device::default())
    }

    fn classes(&self) -> Vec<usize> {
        self.data("target").iter::<i64>().map(|class| class as usize).collect()
    }

    /// Compares picture by picture, so that no picture hides behind a larger one.
    fn check<const D: usize>(&self, what: &str, ours: Tensor<D>) {
        let captum = self.data(what);
        assert_eq!(ours.dims().as_slice(), &captum.shape()[..], "{}: shape of {what}", self.name);
        let length = captum.num_elements() / captum.shape()[0];
        let captum: Vec<f64> = captum.iter().collect();
        for (picture, (ours, captum)) in values(ours).chunks(length).zip(captum.chunks(length)).enumerate() {
            let distance = relative_l2(ours, captum);
            eprintln!("{:8} {what:22} picture {picture}: {distance:.1e}", self.name);
            assert!(distance <= TOLERANCE, "{}: {what} of picture {picture} is {distance:.1e} off", self.name);
        }
    }

    fn check_map(&self, what: &str, ours: Attribution) {
        let logits: Vec<f64> = self.data("logits").iter().collect();
        let classes = self.classes();
        assert_eq!(ours.scores.len(), classes.len(), "{}: scores of {what}", self.name);
        for ((score, row), class) in ours.scores.iter().zip(logits.chunks(logits.len() / classes.len())).zip(&classes) {
            assert!((f64::from(*score) - row[*class]).abs() < 1e-4, "{}: score of {what}", self.name);
        }
        self.check(what, ours.map);
    }
}

/// A method, from the pictures and from a recorded pass.
fn compare_method(
    fixture: &Fixture,
    network: &Network,
    what: &str,
    method: impl Attributor<Network> + TraceAttributor,
) {
    let target = Target::Classes(fixture.classes());
    fixture.check_map(what, method.attribute(network, fixture.images(), &target).unwrap());
    let trace = network.record(fixture.images()).unwrap();
    fixture.check_map(what, method.attribute_trace(&trace, &target).unwrap());
}

/// `inner` is the layer that the fixture explains besides the last convolution.
fn compare(fixture: &Fixture, network: &Network, inner: &str) {
    let target = Target::Classes(fixture.classes());
    fixture.check("logits", network.logits(fixture.images()).unwrap());

    compare_method(fixture, network, "vanilla-gradient", VanillaGradient);
    compare_method(fixture, network, "input-x-gradient", InputXGradient);
    compare_method(fixture, network, "deconvnet", DeconvNet);
    compare_method(fixture, network, "guided-backprop", GuidedBackprop);
    compare_method(fixture, network, "grad-cam", GradCam::new());
    compare_method(fixture, network, &format!("grad-cam of {inner}"), GradCam::with_layer(inner));
    compare_method(fixture, network, "guided-grad-cam", GuidedGradCam::new());

    let trace = network.record(fixture.images()).unwrap();
    fixture.check("logits", trace.logits());
    let backward = trace.explain_layer(&target, &ExactGradient, network.find(inner).unwrap()).unwrap();
    fixture.check(&format!("gradient of {inner}"), backward.arrived.as_map().unwrap());

    let statistics = [
        ("smoothgrad", Statistic::Mean),
        ("smoothgrad-squared", Statistic::MeanOfSquares),
        ("vargrad", Statistic::Variance),
    ];
    for (what, statistic) in statistics {
        let method = SmoothGradConfig { samples: SAMPLES, noise: 0.15, statistic, seed: Seed(0) };
        let method = method.wrap(VanillaGradient).unwrap();
        fixture.check_map(what, method.attribute(network, fixture.images(), &target).unwrap());
    }
}

#[test]
fn builtin_model() {
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/zoo/weights/vgg11-imagenette.safetensors");
    let weights = fs::read(weights).unwrap();
    let config = VggConfig::new(Depth::Vgg11).with_channels([32, 64, 128, 256, 256]).with_head([1, 1], [], 10);
    let weights = WeightFile::safetensors("vgg11-imagenette", &weights, &Device::default()).unwrap();
    compare(&Fixture::read("builtin"), &config.build(weights).unwrap(), "features.14");
}

/// Batch norm, a hidden layer, and odd sizes: 75 × 37 pixels, of which the last max pool leaves 2 × 1 and the adaptive
/// average pool makes 3 × 2.
#[test]
fn random_model() {
    let weights = fs::read(folder().join("random_weights.safetensors")).unwrap();
    let config = VggConfig::new(Depth::Vgg11).with_batch_norm(true).with_channels([4, 8, 16, 16, 16]);
    let config = config.with_head([3, 2], [12], 7);
    let weights = WeightFile::safetensors("random_weights", &weights, &Device::default()).unwrap();
    compare(&Fixture::read("random"), &config.build(weights).unwrap(), "features.13");
}

/// Row by row the noise of every sample. A smaller picture gets the beginning of the row.
fn noise() -> Vec<f32> {
    let row = |sample| Seed(0).normal(sample as u64, [LONGEST], &Device::default()).into_data();
    (0..SAMPLES).flat_map(|sample| row(sample).iter::<f32>().collect::<Vec<_>>()).collect()
}

/// Otherwise SmoothGrad's comparison would fail and nobody would know why.
#[test]
fn noise_is_what_captum_was_given() {
    let given: Vec<f32> = Fixture::read("noise").data("noise").iter().collect();
    assert_eq!(noise(), given);
}

#[test]
#[ignore = "writes the noise for generate.py"]
fn write_noise() {
    let bytes: Vec<u8> = noise().into_iter().flat_map(f32::to_le_bytes).collect();
    let view = TensorView::new(Dtype::F32, vec![SAMPLES, LONGEST], &bytes).unwrap();
    safetensors::serialize_to_file([("noise", view)], None, &folder().join("noise.safetensors")).unwrap();
}
