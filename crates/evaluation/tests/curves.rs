//! Deletion and insertion against xplique, on the same maps; the generator is `reference/curves.py`.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Tensor, TensorData};
use burnsight_core::{Baseline, Target};
use burnsight_evaluation::{Deletion, Insertion, Metric, Subject, Summary};
use burnsight_testkit::nets;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    weights: Vec<f32>,
    pictures: Vec<f32>,
    maps: Vec<f32>,
    classes: Vec<usize>,
    steps: usize,
    deletion: Vec<f64>,
    insertion: Vec<f64>,
}

#[test]
fn curves_are_those_of_xplique() {
    let fixture: Fixture = serde_json::from_str(include_str!("reference/curves.json")).unwrap();
    let device = Device::default();
    let tensor = |values: &[f32], channels: usize| {
        Tensor::<4>::from_data(TensorData::new(values.to_vec(), [3, channels, 8, 8]), &device)
    };
    let network = nets::linear(Tensor::from_data(TensorData::new(fixture.weights.clone(), [4, 192]), &device));
    let (pictures, maps) = (tensor(&fixture.pictures, 3), tensor(&fixture.maps, 1));
    let subject = Subject::of_maps(&network, pictures, maps, &Target::Classes(fixture.classes.clone())).unwrap();
    let deletion = Deletion { steps: fixture.steps, baseline: Baseline::Zero };
    let insertion = Insertion { steps: fixture.steps, baseline: Some(Baseline::Zero) };
    for (metric, expected) in [(&deletion as &dyn Metric, &fixture.deletion), (&insertion, &fixture.insertion)] {
        let reading = metric.measure(&subject).unwrap().remove(0);
        let curve = reading.curve.unwrap();
        for (step, expected) in expected.iter().enumerate() {
            let mean = curve.y.iter().map(|picture| picture[step].unwrap()).sum::<f64>() / 3.0;
            assert!((mean - expected).abs() < 1e-5, "{} at step {step}: {mean}, not {expected}", metric.name());
        }
        // Equal steps, so the area by trapezoids is this.
        let inner: f64 = expected[1..fixture.steps].iter().sum();
        let area = (inner + (expected[0] + expected[fixture.steps]) / 2.0) / fixture.steps as f64;
        assert!((Summary::of(&reading.values).mean.unwrap() - area).abs() < 1e-5);
    }
}
