//! Against Quantus on the same fresh weights; `reference/randomization.py` wrote what it says.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor};
use burnsight_core::{Seed, Target};
use burnsight_evaluation::{CascadingRandomization, IndependentRandomization, Metric, Subject};
use burnsight_network::{Layer, Network};
use burnsight_testkit::{nets, values};
use burnsight_vanilla_gradient::VanillaGradient;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value;

const SEED: Seed = Seed(11);

/// In double precision, so that no ReLU near zero is tipped over by rounding.
fn network() -> Network {
    nets::small_vgg(&Device::default(), DType::F64)
}

fn pictures() -> Tensor<4> {
    nets::pictures([2, 3, 48, 48], &Device::default(), DType::F64)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn curves_are_those_of_quantus() {
    let fixture: Value = serde_json::from_str(include_str!("reference/randomization.json")).unwrap();
    let network = network();
    let target = Target::Classes(numbers(&fixture["target"]).into_iter().map(|class| class as usize).collect());
    let subject = Subject::of_network(&network, &VanillaGradient, pictures(), &target).unwrap();
    let metrics: [(&str, &dyn Metric); 2] = [
        ("top_down", &CascadingRandomization { seed: SEED, layers: None }),
        ("independent", &IndependentRandomization { seed: SEED, layers: None }),
    ];
    for (order, metric) in metrics {
        let readings = metric.measure(&subject).unwrap();
        for (reading, way) in readings.iter().zip(["Spearman", "Spearman of magnitudes", "SSIM", "HOG"]) {
            let expected = &fixture[order][way];
            let curve = reading.curve.as_ref().unwrap();
            for (cut, layer) in curve.ticks.iter().enumerate() {
                let expected = numbers(&expected[if layer == "none" { "original" } else { layer }]);
                for (picture, expected) in expected.into_iter().enumerate() {
                    let ours = curve.y[picture][cut].unwrap();
                    assert!((ours - expected).abs() < 1e-5, "{}, {layer}: {ours} and {expected}", reading.name);
                }
            }
            // Its mean counts the unchanged network in.
            for (value, expected) in reading.values.iter().zip(numbers(&fixture[order]["mean"][way])) {
                let cuts = (curve.x.len() - 1) as f64;
                assert!(((cuts * value.unwrap() + 1.0) / (cuts + 1.0) - expected).abs() < 1e-5, "{}", reading.name);
            }
        }
    }
}

#[test]
#[ignore = "writes the weights for randomization.py"]
fn write_weights() {
    let network = network();
    let fresh = network.randomized(&network.layers_with_weights(), SEED).unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |name: String, shape: &[usize], values: Vec<f64>| {
        tensors.push((name, shape.to_vec(), values.into_iter().flat_map(f64::to_le_bytes).collect()));
    };
    add("pictures".into(), &pictures().dims(), values(pictures()));
    for (kind, network) in [("trained", &network), ("fresh", &fresh)] {
        for (_, node) in network.nodes() {
            let name = |part: &str| format!("{kind}.{}.{part}", node.name());
            match node.layer() {
                Layer::Convolution(layer) => {
                    add(name("weight"), &layer.weight.dims(), values(layer.weight.clone()));
                    add(name("bias"), &layer.bias.as_ref().unwrap().dims(), values(layer.bias.clone().unwrap()));
                }
                Layer::Linear(layer) => {
                    add(name("weight"), &layer.weight.dims(), values(layer.weight.clone()));
                    add(name("bias"), &layer.bias.as_ref().unwrap().dims(), values(layer.bias.clone().unwrap()));
                }
                Layer::BatchNorm(layer) => {
                    let parts = [&layer.weight, &layer.bias, &layer.mean, &layer.variance];
                    for (part, tensor) in ["weight", "bias", "running_mean", "running_var"].into_iter().zip(parts) {
                        add(name(part), &tensor.dims(), values(tensor.clone()));
                    }
                }
                _ => {}
            }
        }
    }
    let view = |(name, shape, bytes)| (name, TensorView::new(Dtype::F64, shape, bytes).unwrap());
    let tensors = tensors.iter().map(|(name, shape, bytes)| view((name, shape.clone(), bytes)));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/randomization_weights.safetensors");
    safetensors::serialize_to_file(tensors, None, path.as_ref()).unwrap();
}
