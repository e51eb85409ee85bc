#![allow(clippy::unwrap_used)]
use burn::tensor::{DType, Device, TensorData};
use burnsight_core::Classifier;
use burnsight_network::{Convolution, Linear, MaxPool};
use burnsight_testkit::{nets, relative_l2, values};
use serde_json::Value;

use super::*;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn tensor<const D: usize>(values: &Value, shape: &Value) -> Tensor<D> {
    let shape: Vec<usize> = numbers(shape).into_iter().map(|size| size as usize).collect();
    Tensor::from_data(TensorData::new(numbers(values), shape), (&Device::default(), DType::F64))
}

fn parameter<const D: usize>(fixture: &Value, name: &str) -> Tensor<D> {
    let parameter = &fixture["parameters"][name];
    tensor(&parameter["values"], &parameter["shape"])
}

/// The network of the fixture, with ReLU.
fn network(fixture: &Value) -> Network {
    let convolution = |name: &str| {
        let bias = Some(parameter(fixture, &format!("{name}.bias")));
        Convolution::new(parameter(fixture, &format!("{name}.weight")), bias)
    };
    nets::chain([
        ("0", Layer::Convolution(convolution("0").with_padding([1, 1]))),
        ("1", Layer::Relu),
        ("2", Layer::MaxPool(MaxPool::new(2))),
        ("3", Layer::Convolution(convolution("3"))),
        ("4", Layer::Relu),
        ("5", Layer::Flatten),
        ("6", Layer::Linear(Linear::new(parameter(fixture, "6.weight"), Some(parameter(fixture, "6.bias"))))),
    ])
}

#[test]
fn directions_are_those_of_a_double_backward() {
    let fixture: Value = serde_json::from_str(include_str!("../../../tests/reference/fragility.json")).unwrap();
    let network = network(&fixture);
    let steepness = fixture["steepness"].as_f64().unwrap();
    let Networks { smooth, .. } = Networks::new(&network, steepness).unwrap();
    let (pictures, places) = (&fixture["pictures"], &fixture["places"]);
    let [pictures, places] = [pictures, places].map(|values| tensor::<4>(values, &fixture["shape"]));
    let logits = values(smooth.logits(pictures.clone()).unwrap());
    assert!(relative_l2(&logits, &numbers(&fixture["logits"])) < 1e-12);

    let target = Target::Classes(numbers(&fixture["classes"]).into_iter().map(|class| class as usize).collect());
    let gradient = |pictures: &Tensor<4>| smooth.gradient(pictures.clone(), &target).unwrap().gradient;
    let top = fixture["top"].as_u64().unwrap() as usize;
    for (attack, name) in [(Attack::TopK, "top-k"), (Attack::MassCenter, "mass-center")] {
        let expected = &fixture["expected"][name];
        let dissimilarity = Dissimilarity::new(attack, gradient(&pictures), top);
        let there: Vec<f64> = dissimilarity.of(&gradient(&places)).unwrap().into_iter().map(f64::from).collect();
        assert!(relative_l2(&there, &numbers(&expected["values"])) < 1e-6, "{name}");
        let slope = dissimilarity.slope(gradient(&places));
        let direction = values(hessian_times(&smooth, &places, &target, slope).unwrap());
        let distance = relative_l2(&direction, &numbers(&expected["gradients"]));
        assert!(distance < 1e-3, "{name}: {distance}");
    }
}

#[test]
fn single_precision_says_the_same_direction() {
    let device = Device::default();
    let directions = [DType::F64, DType::F32].map(|dtype| {
        let network = nets::small_vgg(&device, dtype);
        let Networks { smooth, .. } = Networks::new(&network, Fragility::default().steepness).unwrap();
        let pictures = nets::pictures([2, 3, 16, 16], &device, dtype);
        let target = Target::Class(1);
        let gradient = smooth.gradient(pictures.clone(), &target).unwrap().gradient;
        let dissimilarity = Dissimilarity::new(Attack::TopK, gradient.clone(), 5);
        values(hessian_times(&smooth, &pictures, &target, dissimilarity.slope(gradient)).unwrap())
    });
    let distance = relative_l2(&directions[1], &directions[0]);
    assert!(distance < 0.02, "{distance}");
}

#[test]
fn a_picture_without_a_direction_stays() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let Networks { smooth, .. } = Networks::new(&network, 30.0).unwrap();
    let pictures = nets::pictures([1, 3, 6, 6], &device, DType::F32);
    let direction = hessian_times(&smooth, &pictures, &Target::Class(1), pictures.zeros_like()).unwrap();
    assert!(values(direction).iter().all(|value| *value == 0.0));
}

#[test]
fn the_larger_of_each_picture_is_kept() {
    let device = Device::default();
    let pictures = |value: f32| Tensor::<4>::full([3, 1, 1, 1], value, &device);
    let best = (pictures(1.0), vec![0.0, -0.5, 2.0]);
    // Higher, not allowed, equal.
    let (kept, largest) = keep_larger(best, pictures(2.0), vec![0.5, f32::NEG_INFINITY, 2.0]);
    assert_eq!(values(kept), [2.0, 1.0, 1.0]);
    assert_eq!(largest, [0.5, -0.5, 2.0]);
}
