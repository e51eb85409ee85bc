//! Against PAIR's saliency library; `saliency/generate.py` wrote what it says.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use burnsight_core::{Attributor, Baseline, Target};
use burnsight_guided_integrated_gradients::GuidedIntegratedGradientsConfig;
use burnsight_network::{Layer, Linear, Network};
use burnsight_testkit::{nets, relative_l2, values};
use serde_json::Value;

/// The library computes in double precision. We decide in single precision where the path goes next, in double how far.
const TOLERANCE: f64 = 1e-6;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn tensor<const D: usize>(value: &Value, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers(value), shape), (&Device::default(), DType::F64))
}

fn network(fixture: &Value) -> Network {
    let linear = |name: &str| {
        let [weight, bias] = ["weight", "bias"].map(|kind| &fixture[format!("{name}_{kind}")]);
        let (size, out) = (numbers(weight).len(), numbers(bias).len());
        Layer::Linear(Linear::new(tensor(weight, [out, size / out]), Some(tensor(bias, [out]))))
    };
    let (hidden, logits) = (linear("hidden"), linear("logits"));
    nets::chain([("flatten", Layer::Flatten), ("hidden", hidden), ("relu", Layer::Relu), ("logits", logits)])
}

/// The same path for every setting; on it, the same map by the same rule, and another by the library's own.
#[test]
fn path_is_that_of_the_library() {
    let fixture: Value = serde_json::from_str(include_str!("saliency/saliency.json")).unwrap();
    let network = network(&fixture);
    let shape: Vec<usize> = fixture["shape"].as_array().unwrap().iter().map(number).collect();
    let shape = [1, shape[0], shape[1], shape[2]];
    let picture = tensor(&fixture["picture"], shape);
    for case in fixture["cases"].as_array().unwrap() {
        let config = GuidedIntegratedGradientsConfig {
            steps: number(&case["steps"]),
            fraction: case["fraction"].as_f64().unwrap(),
            max_distance: case["max_distance"].as_f64().unwrap(),
            baseline: Baseline::Pictures(tensor(&fixture["baseline"], shape)),
        };
        let what = format!("{config:?}");
        let target = Target::Class(number(&fixture["label"]));
        let map = config.init().unwrap().attribute(&network, picture.clone(), &target).unwrap().map;
        let error = relative_l2(&values(map.clone()), &numbers(&case["trapezoids"]));
        assert!(error < TOLERANCE, "{what}: relative error {error:e}");
        let other_rule = relative_l2(&values(map), &numbers(&case["mask"]));
        assert!((1e-3..0.3).contains(&other_rule), "{what}: {other_rule} from the library's sum");
    }
}
