//! Every operator against onnxruntime; `fixtures/operators.py` makes the cases.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor};
use burnsight_core::{Classifier, Differentiable, Target};
use burnsight_testkit::{numeric_gradient, relative_l2, values};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    /// The file, in hexadecimal.
    model: String,
    output: Vec<f64>,
}

#[derive(Deserialize)]
struct Cases {
    picture: Vec<f32>,
    cases: Vec<Case>,
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len()).step_by(2).map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn as_in_onnxruntime() {
    let Cases { picture, cases } = serde_json::from_str(include_str!("fixtures/operators.json")).unwrap();
    assert!(cases.len() > 80);
    let device = Device::default();
    let mut wrong = Vec::new();
    for Case { name, model, output } in cases {
        let network = match burnsight_onnx::parse(&name, bytes(&model), None, &device) {
            Ok(model) => model.network.cast(DType::F64),
            Err(error) => {
                wrong.push(error.to_string());
                continue;
            }
        };
        let picture = Tensor::<1>::from_data(picture.as_slice(), (&device, DType::F64)).reshape([1, 3, 5, 6]);
        let error = relative_l2(&values(network.logits(picture.clone()).unwrap()), &output);
        if error.is_nan() || error > 1e-5 {
            wrong.push(format!("{name}: relative error {error:e}"));
        }
        // Several pictures at once, and a gradient: the axis of the pictures must not get lost.
        let both = Tensor::cat(vec![picture.clone() * 0.5, picture.clone()], 0);
        let second = values(network.logits(both.clone()).unwrap()).split_off(output.len());
        let error = relative_l2(&second, &output);
        if error.is_nan() || error > 1e-5 {
            wrong.push(format!("{name}: relative error {error:e} as the second of two pictures"));
        }
        let weights = (0..output.len()).map(|index| (index % 7) as f32 - 2.5).collect();
        let target = Target::Weighted(weights);
        let gradient = values(network.gradient(both.clone(), &target).unwrap().gradient);
        let error = relative_l2(&gradient, &numeric_gradient(&network, &both, &target, 1e-6));
        if error.is_nan() || error > 1e-5 {
            wrong.push(format!("{name}: gradient, relative error {error:e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
