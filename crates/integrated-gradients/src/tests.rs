#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Device};
use burnsight_core::{AutodiffModel, Seed};
use burnsight_guided_backprop::GuidedBackprop;
use burnsight_input_x_gradient::InputXGradient;
use burnsight_network::{Convolution, Layer, Linear, Network, NetworkBuilder};
use burnsight_testkit::{conformance, nets, relative_l2, values};

use super::*;

fn config(steps: usize, quadrature: Quadrature) -> IntegratedGradientsConfig {
    IntegratedGradientsConfig { steps, quadrature, ..IntegratedGradientsConfig::default() }
}

fn with_baseline(baseline: Baseline) -> IntegratedGradients {
    IntegratedGradientsConfig { baseline, ..IntegratedGradientsConfig::default() }.init().unwrap()
}

/// One score, Σ x³, with gradient 3 x².
fn sum_of_cubes() -> AutodiffModel<impl Fn(Tensor<4>) -> Tensor<2>> {
    AutodiffModel::from_closure(|images: Tensor<4>| (images.clone().square() * images).flatten::<2>(1, 3).sum_dim(1))
}

/// y = 1 − ReLU(1 − x₁ − x₂) on the way to (1, 1): the slope is (1, 1) in the first half and 0 in the second, so each
/// pixel gets ½, although the gradient at the picture is 0.
#[test]
fn saturated_pixels_get_their_share() {
    let device = Device::default();
    let network = nets::saturation(&device, DType::F32);
    let picture = Tensor::from_data([[[[1.0, 1.0]]]], &device);
    assert_eq!(values(network.gradient(picture.clone(), &Target::Class(0)).unwrap().gradient), [0.0, 0.0]);
    let attribution = IntegratedGradientsConfig::default().init().unwrap();
    let attribution = attribution.attribute(&network, picture, &Target::Class(0)).unwrap();
    assert!(relative_l2(&values(attribution.map), &[0.5, 0.5]) < 1e-6);
    assert_eq!(attribution.scores, [1.0]);
    let completeness = attribution.completeness.unwrap()[0];
    assert!(completeness.difference == 1.0 && completeness.gap().abs() < 1e-6, "{completeness:?}");
}

/// ReLU(ReLU(x₁ − 1) − ReLU(x₂)), the example of Sundararajan et al., at (3, 1). On the path (3 α, α) the outer ReLU is
/// on where 3 α − 1 > α, that is for α > ½, with slope (1, −1): the map is (3 · ½, 1 · −½).
#[test]
fn hand_computed() {
    let device = Device::default();
    let first = Linear::new(
        Tensor::from_data([[1.0, 0.0], [0.0, 1.0]], &device),
        Some(Tensor::from_data([-1.0, 0.0], &device)),
    );
    let network = nets::chain([
        ("flatten", Layer::Flatten),
        ("first", Layer::Linear(first)),
        ("first_relu", Layer::Relu),
        ("second", Layer::Linear(Linear::new(Tensor::from_data([[1.0, -1.0]], &device), None))),
        ("second_relu", Layer::Relu),
    ]);
    let picture = Tensor::from_data([[[[3.0, 1.0]]]], &device);
    for quadrature in [Quadrature::GaussLegendre, Quadrature::Midpoint] {
        let method = config(100, quadrature).init().unwrap();
        let attribution = method.attribute(&network, picture.clone(), &Target::Top).unwrap();
        assert!(relative_l2(&values(attribution.map), &[1.5, -0.5]) < 1e-5, "{quadrature:?}");
        assert!(attribution.completeness.unwrap()[0].gap().abs() < 1e-5);
    }
}

/// x³ from 0 to 2: the sum over the places α of weight · 3 (2 α)² · 2 = 24 · Σ weight · α², the integral being 8.
///
/// ```text
/// left       4 steps   24 · ¼ (0 + 1 + 4 + 9) / 16          = 5.25
/// right      4 steps   24 · ¼ (1 + 4 + 9 + 16) / 16         = 11.25
/// midpoint   4 steps   24 · ¼ (1 + 9 + 25 + 49) / 64        = 7.875
/// trapezoid  5 steps   24 · ¼ (0/2 + 1 + 4 + 9 + 16/2) / 16 = 8.25
/// Gauss      2 steps   exact up to degree 3
/// ```
#[test]
fn each_quadrature_by_hand() {
    let picture = Tensor::<4>::from_data([[[[2.0]]]], &Device::default());
    for (quadrature, steps, expected) in [
        (Quadrature::Left, 4, 5.25),
        (Quadrature::Right, 4, 11.25),
        (Quadrature::Midpoint, 4, 7.875),
        (Quadrature::Trapezoid, 5, 8.25),
        (Quadrature::GaussLegendre, 2, 8.0),
    ] {
        let method = config(steps, quadrature).init().unwrap();
        let attribution = method.attribute(&sum_of_cubes(), picture.clone(), &Target::Class(0)).unwrap();
        let (found, completeness) = (values(attribution.map)[0], attribution.completeness.unwrap()[0]);
        assert!((found - expected).abs() < 1e-5, "{quadrature:?}: {found}, expected {expected}");
        assert_eq!(completeness.difference, 8.0);
        assert!((f64::from(completeness.sum) - expected).abs() < 1e-5);
    }
}

/// The gradient of a linear model is w everywhere, so one step does: (x − b) · w, for every kind of baseline.
#[test]
fn linear_models_need_one_step_whatever_the_baseline() {
    let device = Device::default();
    let weight = nets::Draw::new(9, &device, DType::F32).tensor([3, 24], 0.0, 1.0);
    let network = nets::linear(weight);
    let images = nets::pictures([2, 2, 3, 4], &device, DType::F32);
    let gradient = network.gradient(images.clone(), &Target::Top).unwrap().gradient;
    for baseline in [
        Baseline::Zero,
        Baseline::Color(vec![0.5, -2.0]),
        Baseline::Noise { low: -1.0, high: 1.0, seed: Seed(3) },
        Baseline::Blurred { sigma: 1.5 },
        Baseline::Pictures(nets::pictures([1, 2, 3, 4], &device, DType::F32) * 0.3),
    ] {
        let expected = values((images.clone() - baseline.of(&images).unwrap()) * gradient.clone());
        for quadrature in [Quadrature::GaussLegendre, Quadrature::Left, Quadrature::Right, Quadrature::Midpoint] {
            let config = IntegratedGradientsConfig { baseline: baseline.clone(), ..config(1, quadrature) };
            let attribution = config.init().unwrap().attribute(&network, images.clone(), &Target::Top).unwrap();
            assert!(relative_l2(&values(attribution.map), &expected) < 1e-6, "{baseline:?}, {quadrature:?}");
            let kept = attribution.completeness.unwrap().iter().all(|picture| picture.gap().abs() < 1e-4);
            assert!(kept, "{baseline:?}, {quadrature:?}");
        }
    }
}

#[test]
fn one_right_step_from_zero_is_input_times_gradient() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let method = config(1, Quadrature::Right).init().unwrap();
    let map = method.attribute(&network, images.clone(), &Target::Top).unwrap().map;
    let expected = InputXGradient.attribute(&network, images, &Target::Top).unwrap().map;
    assert!(relative_l2(&values(map), &values(expected)) < 1e-6);
}

/// The axiom that gives the path its worth. What is lost at the kinks of a network of ReLUs shrinks with the steps, and
/// the bound with it. The worst cases here are 0.8 %, 0.1 % and 0.02 % of what the map's values amount to.
#[test]
fn map_adds_up_to_the_score_difference() {
    let device = Device::default();
    let images = nets::pictures([3, 3, 11, 9], &device, DType::F64);
    for network in [nets::small_vgg(&device, DType::F64), nets::branches(&device, DType::F64)] {
        let baseline_scores = network.gradient(images.zeros_like(), &Target::Class(1)).unwrap().scores;
        for quadrature in [Quadrature::GaussLegendre, Quadrature::Midpoint, Quadrature::Trapezoid] {
            for (steps, bound) in [(20, 0.02), (200, 0.003), (1000, 0.0006)] {
                let method = config(steps, quadrature).init().unwrap().with_batches(MicroBatcher::new(50).unwrap());
                let attribution = method.attribute(&network, images.clone(), &Target::Class(1)).unwrap();
                for (picture, kept) in attribution.completeness.unwrap().iter().enumerate() {
                    let difference = attribution.scores[picture] - baseline_scores[picture];
                    assert!((kept.difference - difference).abs() < 1e-6);
                    let map = values(attribution.map.clone().slice_dim(0, picture..picture + 1));
                    assert!((f64::from(kept.sum) - map.iter().sum::<f64>()).abs() < 1e-6);
                    let gap = f64::from(kept.gap()) / map.iter().map(|value| value.abs()).sum::<f64>();
                    assert!(gap.abs() < bound, "{quadrature:?}, {steps} steps, picture {picture}: {gap}");
                }
            }
        }
    }
}

/// relu(x) = x + relu(−x): another graph of the same function. The map is that of the function; a method with rules for
/// layers explains the graph.
#[test]
fn map_belongs_to_the_function_not_to_the_graph() {
    let device = Device::default();
    let mut draw = nets::Draw::new(12, &device, DType::F64);
    let convolution = Layer::Convolution(draw.convolution([4, 3, 3, 3]));
    let logits = Layer::Linear(draw.linear([2, 4 * 4 * 3]));
    let plain: Network = nets::chain([
        ("convolution", convolution.clone()),
        ("relu", Layer::Relu),
        ("flatten", Layer::Flatten),
        ("logits", logits.clone()),
    ]);
    let mirror = Tensor::<2>::eye(4, &device).cast(DType::F64).neg().reshape([4, 4, 1, 1]);
    let mut net = NetworkBuilder::new();
    let input = net.input();
    let convolution = net.add("convolution", convolution, &[input]).unwrap();
    let negative = net.add("negative", Layer::Convolution(Convolution::new(mirror, None)), &[convolution]).unwrap();
    let relu = net.add("relu", Layer::Relu, &[negative]).unwrap();
    let sum = net.add("sum", Layer::Sum, &[convolution, relu]).unwrap();
    let flatten = net.add("flatten", Layer::Flatten, &[sum]).unwrap();
    net.add("logits", logits, &[flatten]).unwrap();
    let mirrored = net.build().unwrap();

    let images = nets::pictures([2, 3, 6, 5], &device, DType::F64);
    fn maps(method: impl Attributor<Network>, networks: [&Network; 2], images: &Tensor<4>) -> [Vec<f64>; 2] {
        networks.map(|network| values(method.attribute(network, images.clone(), &Target::Class(1)).unwrap().map))
    }
    let [left, right] = maps(config(20, Quadrature::Midpoint).init().unwrap(), [&plain, &mirrored], &images);
    assert!(relative_l2(&left, &right) < 1e-12, "{}", relative_l2(&left, &right));
    let [left, right] = maps(GuidedBackprop, [&plain, &mirrored], &images);
    assert!(relative_l2(&left, &right) > 0.1);
}

#[test]
fn set_of_baselines_gives_the_mean_of_their_maps() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let set = Seed(5).normal(0, [3, 3, 8, 7], &device);
    let attribute = |pictures| {
        let method = with_baseline(Baseline::Pictures(pictures));
        method.attribute(&network, images.clone(), &Target::Top).unwrap()
    };
    let all = attribute(set.clone());
    let singles: Vec<Attribution> = (0..3).map(|index| attribute(set.clone().slice_dim(0, index..index + 1))).collect();
    let maps = singles.iter().map(|single| single.map.clone()).collect();
    let mean = Tensor::cat(maps, 0).reshape([3, 2, 3 * 8 * 7]).mean_dim(0);
    assert!(relative_l2(&values(all.map), &values(mean)) < 1e-5);
    for picture in 0..2 {
        let difference =
            singles.iter().map(|single| single.completeness.as_ref().unwrap()[picture].difference).sum::<f32>() / 3.0;
        assert!((all.completeness.as_ref().unwrap()[picture].difference - difference).abs() < 1e-5);
    }
}

/// Two logits that are equal at the baseline and change places before it: the picture alone decides.
#[test]
fn the_path_does_not_change_the_class_that_is_explained() {
    let device = Device::default();
    let network = nets::linear(Tensor::from_data([[1.0, 0.0], [0.0, 1.0]], &device));
    let images = Tensor::from_data([[[[1.0, 1.5]]], [[[4.0, -5.0]]]], &device);
    let attribution = with_baseline(Baseline::Color(vec![3.0])).attribute(&network, images, &Target::Top).unwrap();
    assert!(relative_l2(&values(attribution.map), &[0.0, -1.5, 1.0, 0.0]) < 1e-6);
    assert_eq!(attribution.target.to_string(), "classes [1, 0]");
    assert_eq!(attribution.scores, [1.5, 4.0]);
}

/// Σ x³ from the left: with n steps the sum falls short by 3/(2 n) − 1/(2 n²) of the difference: 34 % for 4 steps, 18 %
/// for 8, 9.2 % for 16, 4.6 % for 32. A black picture is done at once.
#[test]
fn steps_are_doubled_until_the_gap_is_small_enough() {
    let images = Tensor::<4>::from_data([[[[2.0]]], [[[0.0]]], [[[-1.0]]]], &Device::default());
    let rows = Arc::new(Mutex::new(0));
    let counter = rows.clone();
    let model = AutodiffModel::from_closure(move |images: Tensor<4>| {
        *counter.lock().unwrap() += images.dims()[0];
        (images.clone().square() * images).flatten::<2>(1, 3)
    });
    let config = IntegratedGradientsConfig { largest_gap: Some(0.05), ..config(4, Quadrature::Left) };
    let attribution = config.init().unwrap().attribute(&model, images.clone(), &Target::Class(0)).unwrap();
    assert_eq!(attribution.provenance.parameters["steps-taken"], json!([32, 4, 32]));
    let short = 1.0 - 1.5 / 32.0 + 0.5 / 1024.0;
    assert!(relative_l2(&values(attribution.map), &[8.0 * short, 0.0, -short]) < 1e-5);
    assert!(attribution.completeness.unwrap().iter().all(|picture| picture.relative_gap() <= 0.05));
    // Pictures and baselines once, then what is not done: 4 steps of 3, and 8, 16 and 32 of 2.
    assert_eq!(*rows.lock().unwrap(), 3 + 3 + 12 + 2 * (8 + 16 + 32));
}

/// min(1000 x, 1) rises before the first of the places k / n, so no map ever adds up: that is said, and not an error.
#[test]
fn gap_that_never_closes_is_reported() {
    let model = AutodiffModel::from_closure(|images: Tensor<4>| (images * 1000.0).clamp_max(1.0).flatten::<2>(1, 3));
    let picture = Tensor::<4>::from_data([[[[1.0]]]], &Device::default());
    let config = IntegratedGradientsConfig { largest_gap: Some(0.01), ..config(2, Quadrature::Right) };
    let attribution = config.init().unwrap().attribute(&model, picture, &Target::Class(0)).unwrap();
    assert_eq!(attribution.provenance.parameters["steps-taken"], json!([2 * 64]));
    let completeness = attribution.completeness.unwrap()[0];
    assert_eq!((completeness.sum, completeness.difference), (0.0, 1.0));
    assert!(completeness.warning().unwrap().contains("100 % off"));
}

#[test]
fn batch_size_does_not_change_the_map() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([3, 3, 8, 7], &device, DType::F32);
    let set = Baseline::Pictures(Seed(5).normal(0, [2, 3, 8, 7], &device));
    let attribution = |size| {
        let config = IntegratedGradientsConfig { baseline: set.clone(), ..config(9, Quadrature::GaussLegendre) };
        let method = config.init().unwrap().with_batches(MicroBatcher::new(size).unwrap());
        method.attribute(&network, images.clone(), &Target::Top).unwrap()
    };
    let one = attribution(1);
    for size in [2, 7, 100] {
        let other = attribution(size);
        assert!(relative_l2(&values(other.map), &values(one.map.clone())) <= 1e-5, "size {size}");
        for (left, right) in other.completeness.unwrap().iter().zip(one.completeness.as_ref().unwrap()) {
            assert!((left.gap() - right.gap()).abs() < 1e-5, "size {size}: {left:?}, {right:?}");
        }
    }
}

/// No more than `size` pictures at once: two for what is explained, 2 × 3 baselines, 2 × 3 × 5 steps.
#[test]
fn steps_come_in_batches_and_the_observer_sees_them() {
    let device = Device::default();
    let largest = Arc::new(Mutex::new(0));
    let seen = largest.clone();
    let model = AutodiffModel::from_closure(move |images: Tensor<4>| {
        let mut seen = seen.lock().unwrap();
        *seen = images.dims()[0].max(*seen);
        images.flatten::<2>(1, 3)
    });
    let calls = Arc::new(Mutex::new(Vec::new()));
    let sink = calls.clone();
    let batches = MicroBatcher::new(4).unwrap();
    let batches = batches.with_observer(move |done, total| sink.lock().unwrap().push((done, total)));
    let baseline = Baseline::Pictures(Tensor::ones([3, 1, 1, 2], &device));
    let config = IntegratedGradientsConfig { baseline, ..config(5, Quadrature::Left) };
    let method = config.init().unwrap().with_batches(batches);
    method.attribute(&model, Tensor::ones([2, 1, 1, 2], &device), &Target::Class(1)).unwrap();
    assert_eq!(*largest.lock().unwrap(), 4);
    let calls = calls.lock().unwrap();
    assert_eq!(calls[..2], [(4, 6), (6, 6)]);
    assert_eq!((calls.len(), *calls.last().unwrap()), (2 + 8, (30, 30)));
}

#[test]
fn defaults_are_the_fields_and_the_provenance_repeats_the_map() {
    let device = Device::default();
    let network = nets::linear(Tensor::ones([1, 2], &device));
    let method = IntegratedGradientsConfig::default().init().unwrap();
    let attribution = method.attribute(&network, Tensor::ones([1, 1, 1, 2], &device), &Target::Top).unwrap();
    let provenance = attribution.provenance;
    assert_eq!((provenance.method.as_str(), provenance.seed), ("integrated-gradients", None));
    let expected = json!({
        "steps": 50,
        "quadrature": "gauss-legendre",
        "baseline": "zero",
        "largest-gap": null,
        "steps-taken": [50],
    });
    assert_eq!(provenance.parameters, expected);
}

#[test]
fn bad_settings_are_refused() {
    let refused = |config: IntegratedGradientsConfig| config.init().unwrap_err().to_string();
    for quadrature in [Quadrature::GaussLegendre, Quadrature::Left, Quadrature::Right, Quadrature::Midpoint] {
        assert!(refused(config(0, quadrature)).contains("`steps` is 0"));
        assert!(config(1, quadrature).init().is_ok());
    }
    assert!(refused(config(1, Quadrature::Trapezoid)).contains("`steps` is 1: Trapezoid takes 2 to"));
    assert!(config(2, Quadrature::Trapezoid).init().is_ok());
    let message = refused(config(usize::MAX, Quadrature::GaussLegendre));
    assert!(message.contains("18446744073709551615") && message.contains("1000000"), "{message}");
    for gap in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        let message = refused(IntegratedGradientsConfig { largest_gap: Some(gap), ..Default::default() });
        assert!(message.contains(&format!("`largest_gap` is {gap}")), "{message}");
    }
    let none = Baseline::Pictures(Tensor::empty([0, 3, 4, 5], &Device::default()));
    assert!(refused(IntegratedGradientsConfig { baseline: none, ..Default::default() }).contains("0 pictures"));
}

#[test]
fn baselines_that_do_not_fit_the_pictures_are_refused() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    for (baseline, words) in [
        (Baseline::Pictures(Tensor::zeros([2, 3, 7, 8], &device)), "[3, 7, 8]"),
        (Baseline::Color(vec![0.0]), "3 channels"),
        (Baseline::Noise { low: 1.0, high: 1.0, seed: Seed(0) }, "low < high"),
        (Baseline::Blurred { sigma: -1.0 }, "blurred by -1"),
    ] {
        let error = with_baseline(baseline).attribute(&network, images.clone(), &Target::Top).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }) && error.to_string().contains(words), "{error}");
    }
}

/// A unit of a hidden layer has a map too, and its own score at the baseline.
#[test]
fn hidden_units_are_explained() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let unit = Target::Unit { layer: "features.2".into(), index: vec![2, 3, 3] };
    let method = config(200, Quadrature::Midpoint).init().unwrap();
    let attribution = method.attribute(&network, images, &unit).unwrap();
    assert!(attribution.completeness.unwrap().iter().all(|picture| picture.warning().is_none()));
}

#[test]
fn conforms() {
    let device = Device::default();
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    let set = Baseline::Pictures(Seed(5).normal(0, [2, 3, 11, 9], &device));
    let refined = IntegratedGradientsConfig { largest_gap: Some(0.2), ..config(3, Quadrature::Trapezoid) };
    for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
        conformance(&config(4, Quadrature::GaussLegendre).init().unwrap(), &network, images.clone());
        let config = IntegratedGradientsConfig { baseline: set.clone(), ..config(2, Quadrature::Midpoint) };
        conformance(&config.init().unwrap(), &network, images.clone());
    }
    conformance(&refined.init().unwrap(), &nets::small_vgg(&device, DType::F32), images);
}
