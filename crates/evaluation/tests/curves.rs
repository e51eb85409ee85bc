//! The faithfulness curves against xplique, Quantus and pytorch-grad-cam on the same maps: see `reference/curves.py`.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;

use burn::tensor::{Device, Tensor, TensorData};
use burnsight_core::{AutodiffModel, Baseline, Classifier, MicroBatcher, Target, read};
use burnsight_evaluation::*;
use burnsight_network::{Layer, Linear, Network};
use burnsight_testkit::nets;
use serde_json::Value;

const SHAPE: [usize; 4] = [3, 3, 12, 8];
const PIXELS: usize = 96;

struct Fixture(Value);

impl Fixture {
    fn load() -> Self {
        Self(serde_json::from_str(include_str!("reference/curves.json")).unwrap())
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        self.0[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    }

    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<D> {
        let values: Vec<f32> = self.numbers(name).iter().map(|value| *value as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    fn network(&self) -> Network {
        let linear = |name: &str, shape: [usize; 2]| {
            let bias = self.tensor(&format!("{name}_bias"), [shape[0]]);
            Layer::Linear(Linear::new(self.tensor(name, shape), Some(bias)))
        };
        nets::chain([
            ("flatten", Layer::Flatten),
            ("hidden", linear("hidden", [6, 3 * PIXELS])),
            ("relu", Layer::Relu),
            ("logits", linear("logits", [4, 6])),
        ])
    }

    fn subject<'a>(&self, model: &'a dyn Classifier) -> Subject<'a> {
        let classes = self.numbers("classes").iter().map(|class| *class as usize).collect();
        let maps = self.tensor("maps", [3, 1, 12, 8]);
        Subject::of_maps(model, self.tensor("pictures", SHAPE), maps, &Target::Classes(classes)).unwrap()
    }

    /// The shares that remove as many pixels as the reference did.
    fn road(&self) -> Road {
        let shares = self.numbers("removed").iter().map(|count| count / PIXELS as f64).collect();
        Road { shares, noise: 0.0, ..Road::default() }
    }
}

fn measure(metric: &dyn Metric, fixture: &Fixture) -> Vec<Reading> {
    let network = fixture.network();
    metric.measure(&fixture.subject(&network)).unwrap()
}

fn values(reading: &Reading) -> Vec<f64> {
    reading.values.iter().map(|value| value.unwrap()).collect()
}

/// One curve after the other, without their first points.
fn curves(reading: &Reading, without: usize) -> Vec<f64> {
    let curves = &reading.curve.as_ref().unwrap().y;
    curves.iter().flat_map(|curve| &curve[without..]).map(|value| value.unwrap()).collect()
}

fn assert_close(ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len());
    let largest = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(largest < 2e-6, "{largest}");
}

#[test]
fn deletion_and_insertion_are_those_of_xplique() {
    let fixture = Fixture::load();
    let deletion = measure(&Deletion { steps: 12, ..Deletion::default() }, &fixture).remove(0);
    let other = Baseline::Pictures(fixture.tensor("other", [1, 3, 12, 8]));
    let insertion = measure(&Insertion { steps: 12, baseline: Some(other) }, &fixture).remove(0);
    for reading in [deletion, insertion] {
        assert_close(&values(&reading), &fixture.numbers(&format!("xplique_{}", reading.name)));
        assert_close(&curves(&reading, 0), &fixture.numbers(&format!("xplique_{}_curve", reading.name)));
    }
}

/// Quantus' curves begin after the first step.
#[test]
fn pixels_are_flipped_as_in_quantus() {
    let fixture = Fixture::load();
    let deletion = measure(&Deletion { steps: 12, ..Deletion::default() }, &fixture).remove(0);
    assert_close(&curves(&deletion, 1), &fixture.numbers("quantus_pixels_probability"));
    let flipping = PixelFlipping { region: 1, steps: PIXELS, baseline: Baseline::Zero };
    let flipping = measure(&flipping, &fixture).remove(0);
    assert_close(&curves(&flipping, 1), &fixture.numbers("quantus_pixels_score"));
}

/// Quantus returns the falls after each of the L regions; the mean over L + 1 begins with a fall of 0.
#[test]
fn regions_are_flipped_as_in_quantus() {
    let fixture = Fixture::load();
    let network = fixture.network();
    let metric = PixelFlipping { region: 4, steps: 4, baseline: Baseline::Zero };
    for (order, sign) in [("morf", 1.0), ("lerf", -1.0)] {
        let subject = fixture.subject(&network);
        let classes = subject.target().clone();
        let maps = subject.attribution().map.clone() * sign;
        let subject = Subject::of_maps(&network, subject.images().clone(), maps, &classes).unwrap();
        let reading = metric.measure(&subject).unwrap().remove(0);
        let falls = fixture.numbers(&format!("quantus_regions_{order}"));
        let means: Vec<f64> = falls.chunks(4).map(|falls| falls.iter().sum::<f64>() / 5.0).collect();
        assert_close(&values(&reading), &means);
        let curves = &reading.curve.as_ref().unwrap().y;
        let ours = curves.iter().flat_map(|curve| curve[1..].iter().map(|score| curve[0].unwrap() - score.unwrap()));
        assert_close(&ours.collect::<Vec<_>>(), &falls);
    }
}

#[test]
fn road_is_that_of_pytorch_grad_cam() {
    let fixture = Fixture::load();
    let readings = measure(&fixture.road(), &fixture);
    let (most, least) = (fixture.numbers("road_most"), fixture.numbers("road_least"));
    assert_close(&curves(&readings[0], 0), &most);
    assert_close(&curves(&readings[1], 0), &least);
    let mean = |curve: &[f64]| curve.iter().sum::<f64>() / curve.len() as f64;
    let combined: Vec<f64> =
        most.chunks(5).zip(least.chunks(5)).map(|(most, least)| (mean(least) - mean(most)) / 2.0).collect();
    assert_close(&values(&readings[2]), &combined);
}

/// What the model is shown, pixel by pixel, of the first picture with its strongest pixels removed. Those at the border are
/// among them.
#[test]
fn road_fills_as_pytorch_grad_cam() {
    let fixture = Fixture::load();
    let shown = RefCell::new(Vec::new());
    let model = AutodiffModel::from_closure(|images: Tensor<4>| {
        shown.borrow_mut().extend(read(images.clone()).unwrap().into_iter().map(f64::from));
        images.flatten::<2>(1, 3)
    });
    let subject = fixture.subject(&model).with_batches(MicroBatcher::new(5).unwrap());
    shown.borrow_mut().clear();
    fixture.road().measure(&subject).unwrap();
    let ours = &shown.borrow()[..5 * 3 * PIXELS];
    assert_close(ours, &fixture.numbers("road_pictures"));
}
