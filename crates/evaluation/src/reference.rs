//! Against captum and Quantus on the same maps, with the same changes: see `tests/reference/faithfulness.py`.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Tensor, TensorData};
use burnsight_core::{Row, Target, select_images};
use burnsight_input_x_gradient::InputXGradient;
use burnsight_network::{Convolution, Layer, Linear, Network};
use burnsight_testkit::nets;
use burnsight_vanilla_gradient::VanillaGradient;
use serde_json::Value;

use crate::{
    Change, Complexity, Infidelity, LocalLipschitz, MapUnit, MaxSensitivity, Metric, Monotonicity,
    MonotonicityCorrelation, Sparseness, Subject,
    removal::{correlation, removals},
};

const SAMPLES: usize = 6;

struct Fixture(Value);

impl Fixture {
    fn load() -> Self {
        Self(serde_json::from_str(include_str!("../tests/reference/faithfulness.json")).unwrap())
    }

    fn numbers(&self, pointer: &str) -> Vec<f64> {
        self.0.pointer(pointer).unwrap().as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    }

    fn tensor<const D: usize>(&self, pointer: &str, shape: [usize; D]) -> Tensor<D> {
        let values: Vec<f32> = self.numbers(pointer).iter().map(|value| *value as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    fn network(&self) -> Network {
        let bias = |name| Some(self.tensor(name, [3]));
        let convolution = Convolution::new(self.tensor("/weights/conv", [3, 1, 3, 3]), bias("/weights/conv_bias"));
        let linear = Linear::new(self.tensor("/weights/linear", [3, 108]), bias("/weights/linear_bias"));
        nets::chain([
            ("conv", Layer::Convolution(convolution.with_padding([1, 1]))),
            ("relu", Layer::Relu),
            ("flatten", Layer::Flatten),
            ("logits", Layer::Linear(linear)),
        ])
    }

    fn pictures(&self) -> Tensor<4> {
        self.tensor("/pictures", [2, 1, 6, 6])
    }

    fn target(&self) -> Target {
        Target::Classes(self.numbers("/classes").iter().map(|class| *class as usize).collect())
    }

    fn subject<'a>(&self, network: &'a Network) -> Subject<'a> {
        Subject::of_maps(network, self.pictures(), self.tensor("/maps", [2, 1, 6, 6]), &self.target()).unwrap()
    }

    fn changes(&self, name: &str, rows: &[Row]) -> Tensor<4> {
        let all = self.tensor(name, [2 * SAMPLES, 1, 6, 6]);
        select_images(&all, rows.iter().map(|row| row.image * SAMPLES + row.sample))
    }

    fn agrees(&self, pointer: &str, values: &[Option<f64>], tolerance: f64) {
        let wanted = self.numbers(pointer);
        assert_eq!(values.len(), wanted.len());
        for (value, wanted) in values.iter().zip(&wanted) {
            let value = value.unwrap();
            assert!((value - wanted).abs() <= tolerance * wanted.abs().max(1.0), "{pointer}: {value} and {wanted}");
        }
    }
}

fn pictures_of(images: &Tensor<4>, rows: &[Row]) -> Tensor<4> {
    select_images(images, rows.iter().map(|row| row.image))
}

#[test]
fn infidelity() {
    let fixture = Fixture::load();
    let network = fixture.network();
    let subject = fixture.subject(&network);
    let removed = |rows: &[Row]| {
        let mask = fixture.changes("/masks", rows);
        Ok((mask.clone(), pictures_of(subject.images(), rows) * (mask.neg() + 1.0)))
    };
    let metric = Infidelity { samples: SAMPLES, ..Default::default() };
    fixture.agrees("/infidelity", &metric.values(&subject, removed).unwrap(), 1e-4);
    // Both of captum's factors are positive here, else ours would be 0.
    let metric = Infidelity { scaled: true, ..metric };
    fixture.agrees("/infidelity_scaled", &metric.values(&subject, removed).unwrap(), 1e-4);

    let subject = Subject::of_model(&network, &VanillaGradient, fixture.pictures(), &fixture.target()).unwrap();
    let noisy = |rows: &[Row]| {
        let noise = fixture.changes("/noise", rows);
        Ok((noise.clone(), pictures_of(subject.images(), rows) - noise))
    };
    let change = Change::Noise { deviation: 0.1 };
    let metric = Infidelity { change, unit: MapUnit::ScorePerInput, samples: SAMPLES, ..Default::default() };
    fixture.agrees("/infidelity_noise", &metric.values(&subject, noisy).unwrap(), 1e-4);
}

#[test]
fn robustness() {
    let fixture = Fixture::load();
    let network = fixture.network();
    let subject = Subject::of_model(&network, &InputXGradient, fixture.pictures(), &fixture.target()).unwrap();
    // Noise differs between the pictures there; here it is one for all: a subject for each.
    for image in 0..2 {
        let one = subject.target().select([image]);
        let picture = select_images(subject.images(), [image]);
        let subject = Subject::of_model(&network, &InputXGradient, picture, &one).unwrap();
        let noise = |sample| fixture.changes("/noise", &[Row { image, sample }]).neg();
        let metric = MaxSensitivity { samples: SAMPLES, ..Default::default() };
        let wanted = fixture.numbers("/max_sensitivity")[image];
        let value = metric.values(&subject, noise).unwrap()[0].unwrap();
        assert!((value - wanted).abs() < 1e-4, "max-sensitivity {value} and {wanted}");
        let metric = LocalLipschitz { samples: SAMPLES, ..Default::default() };
        let wanted = fixture.numbers("/local_lipschitz")[image];
        let value = metric.values(&subject, noise).unwrap()[0].unwrap();
        assert!((value - wanted).abs() < 1e-4, "local Lipschitz {value} and {wanted}");
    }
}

#[test]
fn faithfulness_correlation() {
    let fixture = Fixture::load();
    let network = fixture.network();
    let subject = fixture.subject(&network);
    // Twelve runs of two pictures with five pixels each.
    let sets = fixture.numbers("/sets");
    let set = |row: Row| {
        let start = (row.sample * 2 + row.image) * 5;
        Ok(sets[start..start + 5].iter().map(|pixel| *pixel as usize).collect())
    };
    let filling = |rows: &[Row]| Ok(pictures_of(subject.images(), rows).zeros_like());
    let removals = removals(&subject, 12, filling, set).unwrap();
    let values: Vec<Option<f64>> = removals.iter().map(|removals| correlation(removals)).collect();
    fixture.agrees("/faithfulness_correlation", &values, 1e-4);
}

#[test]
fn monotonicity() {
    let fixture = Fixture::load();
    let network = fixture.network();
    let subject = fixture.subject(&network);
    let filling = |rows: &[Row]| Ok(pictures_of(subject.images(), rows).zeros_like());
    for (name, groups) in [("/monotonicity_correlation_1", 36), ("/monotonicity_correlation_3", 12)] {
        let metric = MonotonicityCorrelation { groups, draws: 1, ..Default::default() };
        fixture.agrees(name, &metric.values(&subject, filling).unwrap(), 1e-4);
    }
    let reading = Monotonicity { groups: 9, ..Default::default() }.measure(&subject).unwrap().remove(0);
    let curve: Vec<Option<f64>> = reading.curve.unwrap().y.iter().flat_map(|curve| curve[1..].to_vec()).collect();
    fixture.agrees("/monotonicity_curve", &curve, 1e-4);
}

#[test]
fn complexity() {
    let fixture = Fixture::load();
    let network = fixture.network();
    let subject = fixture.subject(&network);
    fixture.agrees("/sparseness", &Sparseness.measure(&subject).unwrap()[0].values, 1e-6);
    fixture.agrees("/complexity", &Complexity.measure(&subject).unwrap()[0].values, 1e-6);
}
