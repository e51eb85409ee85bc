//! Against PAIR's saliency library; `saliency/generate.py` wrote what it says.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use burnsight_blur_integrated_gradients::BlurIntegratedGradientsConfig;
use burnsight_core::{Attributor, Target};
use burnsight_network::{AdaptiveAveragePool, Convolution, Function, Layer, Linear};
use burnsight_testkit::{nets, relative_l2, values};
use serde_json::Value;

/// The library's Gaussian ends at 4 σ, where e⁻⁸ = 3e-4 is left of its height, ours at 6 σ.
const TOLERANCE: f64 = 1e-3;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn tensor<const D: usize>(value: &Value, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers(value), shape), (&Device::default(), DType::F64))
}

/// Both come close to the integral, on other steps: the library with 8000, we with 100.
#[test]
fn integral_is_that_of_the_library() {
    let fixture: Value = serde_json::from_str(include_str!("saliency/saliency.json")).unwrap();
    let part = |name: &str, kind| &fixture[format!("{name}_{kind}")];
    let bias = |name, size| Some(tensor(part(name, "bias"), [size]));
    let convolution = Convolution::new(tensor(part("convolution", "weight"), [4, 2, 3, 3]), bias("convolution", 4));
    let logits = Linear::new(tensor(part("logits", "weight"), [3, 16]), bias("logits", 3));
    let network = nets::chain([
        ("convolution", Layer::Convolution(convolution)),
        ("tanh", Layer::Function(Function::Tanh)),
        ("pool", Layer::AdaptiveAveragePool(AdaptiveAveragePool::new([2, 2]))),
        ("flatten", Layer::Flatten),
        ("logits", Layer::Linear(logits)),
    ]);
    let shape: Vec<usize> = fixture["shape"].as_array().unwrap().iter().map(number).collect();
    let ([channels, height, width], border) = ([shape[0], shape[1], shape[2]], number(&fixture["border"]));
    let middle = tensor(&fixture["middle"], [1, channels, height, width]);
    let black = [1, channels, height + 2 * border, width + 2 * border];
    let picture = Tensor::zeros(black, (&Device::default(), DType::F64))
        .slice_assign([0..1, 0..channels, border..border + height, border..border + width], middle);

    let config = BlurIntegratedGradientsConfig { steps: 100, max_sigma: fixture["max_sigma"].as_f64().unwrap() };
    let target = Target::Class(number(&fixture["label"]));
    let attribution = config.init().unwrap().attribute(&network, picture, &target).unwrap();
    let error = relative_l2(&values(attribution.map), &numbers(&fixture["mask"]));
    assert!(error < TOLERANCE, "relative error {error:e}");
    let completeness = attribution.completeness.unwrap()[0];
    assert!(completeness.relative_gap() < 1e-3, "{completeness:?}");
}
