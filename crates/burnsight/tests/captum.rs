//! Every method that captum has too. `captum/generate.py` made the fixtures and says how.
#![cfg(all(feature = "all-methods", feature = "zoo"))]
#![allow(clippy::unwrap_used)]

mod reference;

use burn::tensor::{DType, Device, Tensor};
use burnsight::{
    Attributor, Baseline, Classifier, Composite, DeconvNet, DeepLiftConfig, DeepLiftRule, ExpectedGradients,
    ExpectedGradientsConfig, GradCam, GuidedBackprop, GuidedGradCam, InputXGradient, IntegratedGradientsConfig, Layers,
    LrpConfig, Quadrature, Rule, Seed, SmoothGradConfig, Statistic, VanillaGradient,
    network::{ExactGradient, Network, TraceAttributor},
};
use reference::{DOUBLE, Fixture, Precision, SINGLE, builtin, path, random_vgg, residual, small};
use safetensors::{Dtype, tensor::TensorView};

/// Samples of SmoothGrad, and numbers in the larger of the two networks' pictures.
const SAMPLES: usize = 4;
const LONGEST: usize = 3 * 75 * 37;

/// Samples of expected gradients, and baselines in the fixtures.
const DRAWS: usize = 8;
const BASELINES: usize = 3;

/// A method, from the pictures and from a recorded pass.
fn compare_method(
    fixture: &Fixture,
    network: &Network,
    what: &str,
    method: impl Attributor<Network> + TraceAttributor,
    precision: Precision,
) {
    let target = fixture.target();
    let images = fixture.images(precision.dtype);
    fixture.check_map(what, method.attribute(network, images.clone(), &target).unwrap(), precision);
    let trace = network.record(images).unwrap();
    fixture.check_map(what, method.attribute_trace(&trace, &target).unwrap(), precision);
}

/// `inner` is the layer that the fixture explains besides the last convolution.
fn compare(fixture: &Fixture, network: &Network, inner: &str) {
    let target = fixture.target();
    let images = || fixture.images(DType::F32);
    fixture.check("logits", network.logits(images()).unwrap(), SINGLE);

    compare_method(fixture, network, "vanilla-gradient", VanillaGradient, SINGLE);
    compare_method(fixture, network, "input-x-gradient", InputXGradient, SINGLE);
    compare_method(fixture, network, "deconvnet", DeconvNet, SINGLE);
    compare_method(fixture, network, "guided-backprop", GuidedBackprop, SINGLE);
    compare_method(fixture, network, "grad-cam", GradCam::new(), SINGLE);
    compare_method(fixture, network, &format!("grad-cam of {inner}"), GradCam::with_layer(inner), SINGLE);
    compare_method(fixture, network, "guided-grad-cam", GuidedGradCam::new(), SINGLE);

    let trace = network.record(images()).unwrap();
    fixture.check("logits", trace.logits(), SINGLE);
    let backward = trace.explain_layer(&target, &ExactGradient, network.find(inner).unwrap()).unwrap();
    fixture.check(&format!("gradient of {inner}"), backward.arrived.as_map().unwrap(), SINGLE);

    let statistics = [
        ("smoothgrad", Statistic::Mean),
        ("smoothgrad-squared", Statistic::MeanOfSquares),
        ("vargrad", Statistic::Variance),
    ];
    for (what, statistic) in statistics {
        let method = SmoothGradConfig { samples: SAMPLES, noise: 0.15, statistic, seed: Seed(0) };
        let method = method.wrap(VanillaGradient).unwrap();
        fixture.check_map(what, method.attribute(network, images(), &target).unwrap(), SINGLE);
    }
}

/// The methods that share out a score, or the difference of two. `signed`: a layer behind the first that reads values of
/// both signs.
fn compare_additive(fixture: &Fixture, network: &Network, signed: Option<&str>, precision: Precision) {
    let network = &network.cast(precision.dtype);
    let target = fixture.target();
    let images = || fixture.images(precision.dtype);
    fixture.check("logits", network.logits(images()).unwrap(), precision);

    let pictures = fixture.pictures("baselines", precision.dtype);
    let all = || Baseline::Pictures(pictures.clone());
    let one = || Baseline::Pictures(pictures.clone().slice_dim(0, 0..1));
    let paths = [
        ("integrated-gradients", Quadrature::GaussLegendre, 50, Baseline::Zero),
        ("integrated-gradients from a picture", Quadrature::GaussLegendre, 50, one()),
        ("integrated-gradients from pictures", Quadrature::GaussLegendre, 50, all()),
        ("integrated-gradients middle", Quadrature::Midpoint, 20, one()),
        ("integrated-gradients left", Quadrature::Left, 20, one()),
        ("integrated-gradients right", Quadrature::Right, 20, one()),
    ];
    for (what, quadrature, steps, baseline) in paths {
        let config = IntegratedGradientsConfig { steps, quadrature, baseline, ..Default::default() };
        let method = config.init().unwrap();
        fixture.check_map(what, method.attribute(network, images(), &target).unwrap(), precision);
    }

    let method = expected_gradients(all());
    fixture.check_map("expected-gradients", method.attribute(network, images(), &target).unwrap(), precision);

    let starts = [("deeplift", Baseline::Zero), ("deeplift from a picture", one()), ("deeplift from pictures", all())];
    for (what, baseline) in starts {
        let method = DeepLiftConfig { rule: DeepLiftRule::Rescale, baseline }.init().unwrap();
        compare_method(fixture, network, what, method, precision);
    }

    // Captum's LRP-0 for the layers that read values of both signs, whose signs its other rules do not see.
    let with_zero = |rule| {
        let composite = Composite::uniform(rule).with(Layers::First, Rule::Epsilon(1e-6));
        match signed {
            Some(layer) => composite.with(Layers::Named(layer.into()), Rule::Epsilon(1e-6)),
            None => composite,
        }
    };
    let mut rules = vec![
        ("lrp epsilon", Composite::uniform(Rule::Epsilon(1e-6)), true),
        ("lrp epsilon large", Composite::uniform(Rule::Epsilon(0.25)), true),
        ("lrp z-plus", with_zero(Rule::ZPlus), false),
    ];
    // Without biases, sums come close to 0, and on a deep network the shares grow beyond single precision.
    if signed.is_none() && precision.dtype == DType::F64 {
        rules.push(("lrp gamma", with_zero(Rule::Gamma(0.25)), false));
    }
    for (what, composite, biases) in rules {
        compare_method(fixture, network, what, LrpConfig { composite, biases }.init().unwrap(), precision);
    }
}

#[test]
fn builtin_model() {
    compare(&Fixture::read("captum/builtin"), &builtin(), "features.14");
}

#[test]
fn builtin_model_shares() {
    let fixture = Fixture::read("captum/builtin_additive");
    [SINGLE, DOUBLE].into_iter().for_each(|precision| compare_additive(&fixture, &builtin(), None, precision));
}

/// Batch norm, a hidden layer, and odd sizes: 75 × 37 pixels, of which the last max pool leaves 2 × 1 and the adaptive
/// average pool makes 3 × 2.
#[test]
fn random_model() {
    compare(&Fixture::read("captum/random"), &random_vgg(), "features.13");
}

/// The same for 35 × 33 pixels, of which the last max pool leaves one.
#[test]
fn random_model_shares() {
    let fixture = Fixture::read("captum/random_additive");
    [SINGLE, DOUBLE].into_iter().for_each(|precision| compare_additive(&fixture, &random_vgg(), None, precision));
}

#[test]
fn residual_model_shares() {
    let fixture = Fixture::read("captum/residual_additive");
    [SINGLE, DOUBLE]
        .into_iter()
        .for_each(|precision| compare_additive(&fixture, &residual(), Some("logits"), precision));
}

#[test]
fn small_model_shares() {
    let fixture = Fixture::read("captum/small_additive");
    [SINGLE, DOUBLE].into_iter().for_each(|precision| compare_additive(&fixture, &small(), None, precision));
}

/// Row by row the noise of every sample. A smaller picture gets the beginning of the row.
fn noise() -> Vec<f32> {
    let row = |sample| Seed(0).normal(sample as u64, [LONGEST], &Device::default()).into_data();
    (0..SAMPLES).flat_map(|sample| row(sample).iter::<f32>().collect::<Vec<_>>()).collect()
}

/// Otherwise SmoothGrad's comparison would fail and nobody would know why.
#[test]
fn noise_is_what_captum_was_given() {
    let given: Vec<f32> = Fixture::read("captum/noise").data("noise").iter().collect();
    assert_eq!(noise(), given);
}

fn expected_gradients(baselines: Baseline) -> ExpectedGradients {
    ExpectedGradientsConfig { samples: DRAWS, baselines, seed: Seed(0) }.init().unwrap()
}

/// Numbers of the baselines and positions of every sample, for as many baselines as the fixtures have.
fn draws() -> (Vec<i64>, Vec<f64>) {
    let method = expected_gradients(Baseline::Pictures(Tensor::zeros([BASELINES, 1, 1, 1], &Device::default())));
    (0..DRAWS).map(|sample| method.draw(sample)).map(|draw| (draw.baseline as i64, draw.position)).unzip()
}

#[test]
fn draws_are_what_captum_was_given() {
    let given = Fixture::read("captum/draws");
    assert_eq!(draws(), (given.data("baseline").iter().collect(), given.data("position").iter().collect()));
}

#[test]
#[ignore = "writes the draws for generate.py"]
fn write_draws() {
    let (baselines, positions) = draws();
    let baselines: Vec<u8> = baselines.into_iter().flat_map(i64::to_le_bytes).collect();
    let positions: Vec<u8> = positions.into_iter().flat_map(f64::to_le_bytes).collect();
    let view = |dtype, bytes| TensorView::new(dtype, vec![DRAWS], bytes).unwrap();
    let tensors = [("baseline", view(Dtype::I64, &baselines)), ("position", view(Dtype::F64, &positions))];
    safetensors::serialize_to_file(tensors, None, &path("captum/draws")).unwrap();
}

#[test]
#[ignore = "writes the noise for generate.py"]
fn write_noise() {
    let bytes: Vec<u8> = noise().into_iter().flat_map(f32::to_le_bytes).collect();
    let view = TensorView::new(Dtype::F32, vec![SAMPLES, LONGEST], &bytes).unwrap();
    safetensors::serialize_to_file([("noise", view)], None, &path("captum/noise")).unwrap();
}
