//! Cases with known answers, and what holds for every metric of this family.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor};
use burnsight_core::{
    Attribution, Attributor, Baseline, Classifier, MicroBatcher, Provenance, Seed, Target, select_images,
};
use burnsight_deconvnet::DeconvNet;
use burnsight_evaluation::*;
use burnsight_grad_cam::GradCam;
use burnsight_guided_backprop::GuidedBackprop;
use burnsight_input_x_gradient::InputXGradient;
use burnsight_integrated_gradients::IntegratedGradientsConfig;
use burnsight_lrp::{Composite, LrpConfig};
use burnsight_network::Network;
use burnsight_testkit::nets;
use burnsight_vanilla_gradient::VanillaGradient;

fn pictures(shape: [usize; 4]) -> Tensor<4> {
    nets::pictures(shape, &Device::default(), DType::F32)
}

/// Three classes on pictures of 2 × 4 × 5.
fn linear() -> Network {
    nets::linear(Seed(4).normal(0, [3, 40], &Device::default()))
}

fn values(metric: &dyn Metric, subject: &Subject<'_>) -> Vec<Option<f64>> {
    let reading = metric.measure(subject).unwrap().remove(0);
    assert!(reading.name.starts_with(metric.name()));
    assert!(reading.values.iter().flatten().all(|value| value.is_finite()));
    reading.values
}

/// Ranks a perfect map, one that is half noise, and noise alone, and their negatives.
fn on_linear(metric: &dyn Metric) -> [f64; 5] {
    let network = linear();
    let pictures = pictures([12, 2, 4, 5]);
    let perfect = Subject::of_model(&network, &InputXGradient, pictures.clone(), &Target::Class(1)).unwrap();
    let perfect = perfect.attribution().map.clone();
    let noise = Seed(9).normal(0, [12, 2, 4, 5], &Device::default()) * 0.5;
    [perfect.clone(), perfect.clone() + noise.clone(), noise.clone(), perfect.clone().neg() - noise, perfect.neg()].map(
        |map| {
            let subject = Subject::of_maps(&network, pictures.clone(), map, &Target::Class(1)).unwrap();
            Summary::of(&values(metric, &subject)).mean.unwrap()
        },
    )
}

#[test]
fn correlations_rank_planted_maps() {
    for metric in [&SensitivityN::default() as &dyn Metric, &FaithfulnessCorrelation::default()] {
        let [perfect, disturbed, random, opposed, inverted] = on_linear(metric);
        let name = metric.name();
        assert!((perfect - 1.0).abs() < 1e-4 && (inverted + 1.0).abs() < 1e-4, "{name}: {perfect} {inverted}");
        assert!(perfect > disturbed + 0.05 && disturbed > random + 0.1, "{name}: {disturbed} {random}");
        assert!(random > opposed + 0.1 && random.abs() < 0.5, "{name}: {random} {opposed}");
    }
}

/// There is one set of all pixels: no correlation at that size, and the mean is over the others.
#[test]
fn sizes_of_sets() {
    let network = linear();
    let subject = Subject::of_model(&network, &InputXGradient, pictures([2, 2, 4, 5]), &Target::Class(1)).unwrap();
    let metric = SensitivityN { sizes: 3, largest: 1.0, sets: 9, ..Default::default() };
    let reading = metric.measure(&subject).unwrap().remove(0);
    let curve = reading.curve.unwrap();
    // 20⁰, √20, 20.
    assert_eq!(curve.x, [1.0, 4.0, 20.0]);
    for (curve, value) in curve.y.iter().zip(&reading.values) {
        assert_eq!(curve[2], None);
        assert!((value.unwrap() - (curve[0].unwrap() + curve[1].unwrap()) / 2.0).abs() < 1e-12);
    }
}

#[test]
fn infidelity_ranks_planted_maps() {
    let [perfect, disturbed, random, opposed, inverted] = on_linear(&Infidelity::default());
    assert!(
        perfect < 1e-8 && perfect < disturbed && disturbed < random && random < opposed,
        "{perfect} {disturbed} {random} {opposed} {inverted}"
    );
    // The negative errs by twice the change: four times the mean square that a map of zeros gets.
    let network = linear();
    let images = pictures([12, 2, 4, 5]);
    let zeros = Subject::of_maps(&network, images.clone(), images.zeros_like(), &Target::Class(1)).unwrap();
    let nothing = Summary::of(&values(&Infidelity::default(), &zeros)).mean.unwrap();
    assert!((inverted - 4.0 * nothing).abs() < 1e-4 * inverted, "{inverted} {nothing}");
    // Scaled, twice the perfect map is perfect, and the best factor of the inverted one is 0.
    let scaled = Infidelity { scaled: true, ..Default::default() };
    let [perfect, .., inverted] = on_linear(&scaled);
    assert!(perfect < 1e-8 && (inverted - nothing).abs() < 1e-4 * nothing);
    let subject = Subject::of_model(&network, &InputXGradient, images.clone(), &Target::Class(1)).unwrap();
    let doubled = subject.attribution().map.clone() * 2.0;
    let doubled = Subject::of_maps(&network, images, doubled, &Target::Class(1)).unwrap();
    assert!(values(&scaled, &doubled).iter().all(|value| value.unwrap() < 1e-8));
    assert!(values(&Infidelity::default(), &doubled).iter().all(|value| value.unwrap() > 0.01));
}

/// On a linear model the gradient foretells every change, whichever way the picture is changed.
#[test]
fn infidelity_of_gradients() {
    let network = linear();
    let subject = Subject::of_model(&network, &VanillaGradient, pictures([2, 2, 4, 5]), &Target::Top).unwrap();
    let baseline = Baseline::Color(vec![0.5, -1.0]);
    for change in [Change::Noise { deviation: 0.3 }, Change::Square { largest: 1.0, baseline }] {
        let metric = Infidelity { change, unit: MapUnit::ScorePerInput, samples: 20, ..Default::default() };
        assert!(values(&metric, &subject).iter().all(|value| value.unwrap() < 1e-8));
        let wrong = Infidelity { unit: MapUnit::Score, ..metric };
        assert!(wrong.measure(&subject).map_or(true, |reading| reading[0].values[0].unwrap() > 0.1));
    }
}

/// f = x₁ + 2x₂ + 3x₃ − x₄ at (1, 1, 1, 1), one pixel at a time.
#[test]
fn monotonicity_by_hand() {
    let device = Device::default();
    let network = nets::linear(Tensor::from_data([[1.0, 2.0, 3.0, -1.0]], &device));
    let picture = Tensor::<4>::ones([1, 1, 1, 4], &device);
    let subject = |map: [f32; 4]| {
        let map = Tensor::<1>::from_data(map, &device).reshape([1, 1, 1, 4]);
        Subject::of_maps(&network, picture.clone(), map, &Target::Class(0)).unwrap()
    };
    let metric = Monotonicity { groups: 4, ..Default::default() };
    // Added in the order 4, 1, 2, 3: 0, −1, 0, 2, 5: one step of four falls.
    let reading = metric.measure(&subject([1.0, 2.0, 3.0, -1.0])).unwrap().remove(0);
    assert_eq!(reading.values, [Some(0.75)]);
    assert_eq!(reading.curve.unwrap().y, [[0.0, -1.0, 0.0, 2.0, 5.0].map(Some)]);
    // More groups than pixels: one each. Two groups, {1, 2} and {3, 4}: 0, 3, 5.
    assert_eq!(
        values(&Monotonicity { groups: 9, ..Default::default() }, &subject([1.0, 2.0, 3.0, -1.0])),
        [Some(0.75)]
    );
    let halves = Monotonicity { groups: 2, ..Default::default() }.measure(&subject([1.0, 2.0, 3.0, 4.0])).unwrap();
    assert_eq!(
        (halves[0].values[0], &halves[0].curve.as_ref().unwrap().y[0]),
        (Some(1.0), &[0.0, 3.0, 5.0].map(Some).to_vec())
    );
    assert_eq!(values(&metric, &subject([0.5; 4])), [None]);

    // Pixels with weights 0 to 3 matter in that order, whatever is drawn.
    let network = nets::linear(Tensor::from_data([[0.0, 10.0, -100.0, 1000.0]], &device));
    let picture = Tensor::<4>::from_data([[[[1.0, 2.0, 1.5, 0.0]]]], &device);
    let metric = MonotonicityCorrelation { groups: 4, draws: 50, ..Default::default() };
    for (map, wanted) in [([0.0, 1.0, -2.0, 3.0], Some(1.0)), ([3.0, -2.0, 1.0, 0.0], Some(-1.0)), ([1.0; 4], None)] {
        let map = Tensor::<1>::from_data(map, &device).reshape([1, 1, 1, 4]);
        let subject = Subject::of_maps(&network, picture.clone(), map, &Target::Class(0)).unwrap();
        let value = values(&metric, &subject)[0];
        let is_close = value.zip(wanted).is_some_and(|(value, wanted)| (value - wanted).abs() < 1e-9);
        assert!(value == wanted || is_close, "{value:?}");
    }
}

/// The gradient of a linear model never moves; gradient × input moves as the input does, weight by weight.
#[test]
fn robustness_on_a_linear_model() {
    let device = Device::default();
    let network = nets::linear(Tensor::from_data([[3.0, 3.0, -3.0, 3.0]], &device));
    let images = pictures([2, 1, 2, 2]);
    let (sensitivity, lipschitz) = (MaxSensitivity::default(), LocalLipschitz::default());
    let subject = Subject::of_model(&network, &VanillaGradient, images.clone(), &Target::Class(0)).unwrap();
    assert_eq!(values(&sensitivity, &subject), [Some(0.0); 2]);
    assert_eq!(values(&lipschitz, &subject), [Some(0.0); 2]);
    let subject = Subject::of_model(&network, &InputXGradient, images.clone(), &Target::Class(0)).unwrap();
    assert!(values(&lipschitz, &subject).iter().all(|value| (value.unwrap() - 3.0).abs() < 1e-4));
    // ‖3δ‖ is at most 3 · 0.02 · √4, and with ten draws not far below.
    let absolute = values(&MaxSensitivity { relative: false, ..Default::default() }, &subject);
    assert!(absolute.iter().all(|value| (0.06..=0.12).contains(&value.unwrap())), "{absolute:?}");
    // Gradient × input of zeros is zero: no relative change is defined.
    let subject = Subject::of_model(&network, &InputXGradient, images.zeros_like(), &Target::Class(0)).unwrap();
    assert_eq!(values(&sensitivity, &subject), [None; 2]);
    let maps = Subject::of_maps(&network, images.clone(), images, &Target::Class(0)).unwrap();
    assert!(sensitivity.measure(&maps).unwrap_err().to_string().contains("only maps"));
}

#[test]
fn implementation_invariance() {
    let network = nets::small_vgg(&Device::default(), DType::F32);
    let images = pictures([2, 3, 8, 8]);
    let readings = |subject: Subject<'_>| {
        let readings = ImplementationInvariance.measure(&subject).unwrap();
        let names: Vec<&str> = readings.iter().map(|reading| reading.name.as_str()).collect();
        let wanted = ["folded", "rescaled", "split"].map(|way| format!("implementation-invariance, {way}"));
        assert_eq!(names, wanted);
        <[Vec<Option<f64>>; 3]>::try_from(Vec::from_iter(readings.into_iter().map(|reading| reading.values))).unwrap()
    };
    let is_small = |values: &Vec<Option<f64>>| values.iter().all(|value| value.unwrap() < 1e-4);
    let gradient = readings(Subject::of_network(&network, &VanillaGradient, images.clone(), &Target::Top).unwrap());
    assert!(gradient.iter().all(is_small), "{gradient:?}");
    // These treat positive and negative parts apart.
    let lrp = LrpConfig { composite: Composite::epsilon_plus(), ..Default::default() }.init().unwrap();
    for method in [&GuidedBackprop as &dyn Attributor<Network>, &DeconvNet, &lrp] {
        let [folded, rescaled, split] =
            readings(Subject::of_network(&network, method, images.clone(), &Target::Top).unwrap());
        // LRP has no rule for a batch norm and folds it itself.
        assert!(is_small(&folded) && is_small(&rescaled), "{folded:?} {rescaled:?}");
        assert!(split.iter().all(|value| value.unwrap() > 0.05), "{split:?}");
    }
    // Means of gradients and channels: linear in what was split.
    let cam = readings(Subject::of_network(&network, &GradCam::new(), images.clone(), &Target::Top).unwrap());
    assert!(cam.iter().flatten().all(|value| value.is_none_or(|value| value < 1e-4)), "{cam:?}");

    // Nothing to rewrite.
    let network = linear();
    let subject = Subject::of_network(&network, &VanillaGradient, pictures([1, 2, 4, 5]), &Target::Top).unwrap();
    assert_eq!(readings(subject), [[None], [None], [None]].map(Vec::from));
    let subject = Subject::of_model(&network, &VanillaGradient, pictures([1, 2, 4, 5]), &Target::Top).unwrap();
    assert!(ImplementationInvariance.measure(&subject).unwrap_err().to_string().contains("Network"));
    // Branches, groups, a norm behind a sum: whatever cannot be rewritten is left alone.
    let network = nets::branches(&Device::default(), DType::F32);
    let images = pictures([1, 3, 9, 10]);
    let subject = Subject::of_network(&network, &VanillaGradient, images, &Target::Top).unwrap();
    let branches = readings(subject);
    assert!(branches.iter().flatten().flatten().all(|value| *value < 1e-3), "{branches:?}");
}

fn all() -> Vec<Box<dyn Metric>> {
    let few = 6;
    vec![
        Box::new(Infidelity { samples: few, ..Default::default() }),
        Box::new(Infidelity {
            change: Change::Noise { deviation: 0.1 },
            unit: MapUnit::ScorePerInput,
            samples: few,
            ..Default::default()
        }),
        Box::new(SensitivityN { sizes: 3, sets: few, ..Default::default() }),
        Box::new(FaithfulnessCorrelation { sets: few, ..Default::default() }),
        Box::new(Monotonicity { groups: few, ..Default::default() }),
        Box::new(MonotonicityCorrelation { groups: few, draws: 2, ..Default::default() }),
        Box::new(MaxSensitivity { samples: 3, ..Default::default() }),
        Box::new(LocalLipschitz { samples: 3, ..Default::default() }),
        Box::new(Sparseness),
        Box::new(Complexity),
        Box::new(CompletenessGap),
        Box::new(ImplementationInvariance),
    ]
}

/// A picture's numbers depend neither on the batch size nor on its company, and the same seed repeats them.
#[test]
fn company_does_not_matter() {
    let network = nets::small_vgg(&Device::default(), DType::F32);
    let images = pictures([3, 3, 8, 8]);
    let method = IntegratedGradientsConfig { steps: 8, ..Default::default() }.init().unwrap();
    let subject = |images: Tensor<4>, batch| {
        let subject = Subject::of_network(&network, &method, images, &Target::Top).unwrap();
        subject.with_batches(MicroBatcher::new(batch).unwrap())
    };
    for metric in all() {
        let together = metric.measure(&subject(images.clone(), 5)).unwrap();
        assert_eq!(together, metric.measure(&subject(images.clone(), 5)).unwrap());
        assert_eq!(together[0].values.len(), 3);
        for image in 0..3 {
            let alone = metric.measure(&subject(select_images(&images, [image]), 1)).unwrap();
            for (together, alone) in together.iter().zip(alone) {
                let (a, b) = (together.values[image], alone.values[0]);
                let is_close = match (a, b) {
                    (Some(a), Some(b)) => (a - b).abs() < 1e-3 * a.abs().max(1e-2),
                    (a, b) => a == b,
                };
                assert!(is_close, "{}: {a:?} and {b:?}", together.name);
            }
        }
    }
}

/// A map that is the same everywhere has an answer or none, never a NaN.
#[test]
fn constant_maps() {
    let network = linear();
    let images = pictures([2, 2, 4, 5]);
    for value in [0.0, 0.7] {
        let maps = Tensor::full([2, 1, 4, 5], value, &Device::default());
        let subject = Subject::of_maps(&network, images.clone(), maps, &Target::Class(0)).unwrap();
        assert_eq!(values(&FaithfulnessCorrelation::default(), &subject), [None; 2]);
        assert_eq!(values(&SensitivityN::default(), &subject), [None; 2]);
        assert_eq!(values(&Monotonicity::default(), &subject), [None; 2]);
        assert_eq!(values(&MonotonicityCorrelation::default(), &subject).len(), 2);
        assert!(values(&Infidelity::default(), &subject).iter().all(Option::is_some));
        let scaled = Infidelity { scaled: true, ..Default::default() };
        assert!(values(&scaled, &subject).iter().all(Option::is_some));
    }
}

#[test]
fn settings_out_of_range() {
    let network = linear();
    let subject = Subject::of_model(&network, &InputXGradient, pictures([1, 2, 4, 5]), &Target::Top).unwrap();
    let noise = |deviation| Infidelity {
        change: Change::Noise { deviation },
        unit: MapUnit::ScorePerInput,
        ..Default::default()
    };
    let square = Change::Square { largest: 1.5, baseline: Baseline::Zero };
    let refused: Vec<(&str, Box<dyn Metric>)> = vec![
        ("samples", Box::new(Infidelity { samples: 0, ..Default::default() })),
        ("largest", Box::new(Infidelity { change: square, ..Default::default() })),
        ("deviation", Box::new(noise(0.0))),
        ("deviation", Box::new(noise(f64::NAN))),
        ("unit", Box::new(Infidelity { unit: MapUnit::Score, ..noise(0.1) })),
        ("sizes", Box::new(SensitivityN { sizes: 1, ..Default::default() })),
        ("largest", Box::new(SensitivityN { largest: f64::NAN, ..Default::default() })),
        ("sets", Box::new(SensitivityN { sets: 1, ..Default::default() })),
        ("share", Box::new(FaithfulnessCorrelation { share: 0.0, ..Default::default() })),
        ("sets", Box::new(FaithfulnessCorrelation { sets: 1, ..Default::default() })),
        ("groups", Box::new(Monotonicity { groups: 0, ..Default::default() })),
        ("groups", Box::new(MonotonicityCorrelation { groups: 1, ..Default::default() })),
        ("draws", Box::new(MonotonicityCorrelation { draws: 0, ..Default::default() })),
        ("radius", Box::new(MaxSensitivity { radius: -0.1, ..Default::default() })),
        ("samples", Box::new(MaxSensitivity { samples: 0, ..Default::default() })),
        ("radius", Box::new(LocalLipschitz { radius: f64::INFINITY, ..Default::default() })),
        ("baseline", Box::new(Monotonicity { baseline: Baseline::Color(vec![0.0]), ..Default::default() })),
    ];
    for (setting, metric) in refused {
        let error = metric.measure(&subject).unwrap_err().to_string();
        assert!(error.contains(&format!("`{setting}`")), "{}: {error}", metric.name());
    }
    assert_eq!(SensitivityN::default().parameters()["baseline"], "zero");
}

/// A method whose maps of any but the whole number pictures are not numbers.
struct Breaks;

impl<M: Classifier> Attributor<M> for Breaks {
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> burnsight_core::Result<Attribution> {
        let target = target.pin(&model.logits(images.clone())?)?;
        let is_whole = images.clone().round().equal(images.clone());
        let map = images.zeros_like().mask_where(is_whole, images.ones_like());
        // ln 1 · 0 is 0, ln 0 · 0 is no number.
        let map = map.clone() + map.log() * 0.0;
        let provenance = Provenance::new("breaks", serde_json::json!({}), &map.device());
        let scores = vec![0.0; map.dims()[0]];
        Ok(Attribution { map, scores, target, completeness: None, standard_error: None, provenance })
    }
}

#[test]
fn maps_that_are_no_numbers_have_no_robustness() {
    let device = Device::default();
    let network = nets::linear(Tensor::from_data([[1.0, 2.0]], &device));
    let picture = Tensor::from_data([[[[1.0, 2.0]]]], &device);
    let subject = Subject::of_network(&network, &Breaks, picture, &Target::Class(0)).unwrap();
    for metric in [&MaxSensitivity::default() as &dyn Metric, &LocalLipschitz::default()] {
        assert_eq!(metric.measure(&subject).unwrap()[0].values, [None], "{}", metric.name());
    }
}

#[test]
fn a_hidden_unit_of_another_implementation_is_another_unit() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let pictures = nets::pictures([1, 3, 8, 8], &device, DType::F32);
    let unit = Target::Unit { layer: "features.6".into(), index: vec![0, 1, 1] };
    let subject = Subject::of_network(&network, &VanillaGradient, pictures, &unit).unwrap();
    let refused = ImplementationInvariance.measure(&subject).unwrap_err().to_string();
    assert!(refused.contains("another unit"), "{refused}");
}
