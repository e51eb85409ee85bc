#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Device, TensorData};
use burnsight_core::AutodiffModel;
use burnsight_integrated_gradients::{IntegratedGradientsConfig, Quadrature};
use burnsight_testkit::{conformance, nets, relative_l2, values};

use super::*;

fn method(samples: usize, baselines: Baseline) -> ExpectedGradients {
    ExpectedGradientsConfig { samples, baselines, seed: Seed(11) }.init().unwrap()
}

/// Four pictures of the size of `nets::pictures([_, 3, 8, 7], …)`.
fn set(device: &Device) -> Baseline {
    Baseline::Pictures(Seed(5).normal(0, [4, 3, 8, 7], device))
}

/// One score, Σ x², with gradient 2 x.
fn sum_of_squares() -> AutodiffModel<impl Fn(Tensor<4>) -> Tensor<2>> {
    AutodiffModel::from_closure(|images: Tensor<4>| images.square().flatten::<2>(1, 3).sum_dim(1))
}

/// Of Σ x² every sample is (x − b) · 2 (b + α (x − b)), so map and standard error can be worked out from the draws.
#[test]
fn map_and_standard_error_are_those_of_the_draws() {
    let device = Device::default();
    let set = [[1.0, -2.0], [0.0, 0.5], [3.0, 1.0]];
    let baselines = Baseline::Pictures(Tensor::from_data([[[set[0]]], [[set[1]]], [[set[2]]]], &device));
    let samples = 12;
    let method = method(samples, baselines);
    let x = [2.0, -1.0];
    let attribution =
        method.attribute(&sum_of_squares(), Tensor::from_data([[[x]]], &device), &Target::Class(0)).unwrap();

    let draws: Vec<Draw> = (0..samples).map(|sample| method.draw(sample)).collect();
    let term = |draw: &Draw, pixel: usize| {
        let (x, b): (f64, f64) = (x[pixel], set[draw.baseline][pixel]);
        (x - b) * 2.0 * (b + draw.position * (x - b))
    };
    let count = samples as f64;
    let mean = [0, 1].map(|pixel| draws.iter().map(|draw| term(draw, pixel)).sum::<f64>() / count);
    let standard_error = [0, 1].map(|pixel| {
        let squares: f64 = draws.iter().map(|draw| (term(draw, pixel) - mean[pixel]).powi(2)).sum();
        (squares / (count * (count - 1.0))).sqrt()
    });
    assert!(relative_l2(&values(attribution.map), &mean) < 1e-6);
    assert!(relative_l2(&values(attribution.standard_error.unwrap()), &standard_error) < 1e-5);

    assert_eq!(attribution.scores, [5.0]);
    let score = |draw: &Draw| set[draw.baseline].iter().map(|b| b * b).sum::<f64>();
    let difference = 5.0 - draws.iter().map(score).sum::<f64>() / count;
    let completeness = attribution.completeness.unwrap()[0];
    assert!((f64::from(completeness.difference) - difference).abs() < 1e-5, "{completeness:?}, {difference}");
    assert!((f64::from(completeness.sum) - mean[0] - mean[1]).abs() < 1e-5);
}

#[test]
fn draws_are_uniform_and_independent() {
    let device = Device::default();
    let method = method(1, Baseline::Pictures(Tensor::zeros([4, 1, 1, 1], &device)));
    let draws: Vec<Draw> = (0..4000).map(|sample| method.draw(sample)).collect();
    assert!(draws.iter().all(|draw| (0.0..1.0).contains(&draw.position) && draw.baseline < 4));
    for number in 0..4 {
        let of_number = draws.iter().filter(|draw| draw.baseline == number);
        let positions: Vec<f64> = of_number.map(|draw| draw.position).collect();
        let (count, mean) = (positions.len(), positions.iter().sum::<f64>() / positions.len() as f64);
        // 1000 ± 27 of each, with mean ½ ± 0.009.
        assert!((900..1100).contains(&count) && (mean - 0.5).abs() < 0.04, "{count} of number {number}, mean {mean}");
    }
}

/// Noise is drawn anew for every sample; the other kinds have one baseline.
#[test]
fn which_baseline_is_drawn() {
    let drawn = |baselines: Baseline| {
        let method = method(5, baselines);
        (0..5).map(|sample| method.draw(sample).baseline).collect::<Vec<_>>()
    };
    assert_eq!(drawn(ExpectedGradientsConfig::default().baselines), [0, 1, 2, 3, 4]);
    for baselines in [Baseline::Zero, Baseline::Color(vec![1.0]), Baseline::Blurred { sigma: 2.0 }] {
        assert_eq!(drawn(baselines), [0; 5]);
    }
}

/// With one seed for both, the position must not be the first pixel of the noise.
#[test]
fn positions_do_not_follow_the_noise() {
    let seed = Seed(11);
    let method = method(1, Baseline::Noise { low: 0.0, high: 1.0, seed });
    for sample in 0..20 {
        let pixel = values(seed.uniform(sample as u64, [1], &Device::default()))[0];
        assert!((method.draw(sample).position - pixel).abs() > 1e-4, "sample {sample}");
    }
}

/// The gradient of a linear model is w everywhere, so the map is (x − mean b) · w with the mean over what was drawn,
/// and nothing is left of the gap, however few the samples.
#[test]
fn linear_models_leave_no_gap() {
    let device = Device::default();
    let network = nets::linear(nets::Draw::new(9, &device, DType::F32).tensor([3, 24], 0.0, 1.0));
    let images = nets::pictures([2, 2, 3, 4], &device, DType::F32);
    let set = Seed(5).normal(0, [4, 2, 3, 4], &device);
    let method = method(3, Baseline::Pictures(set.clone()));
    let attribution = method.attribute(&network, images.clone(), &Target::Top).unwrap();
    let drawn = (0..3).map(|sample| method.draw(sample).baseline);
    let mean = select_images(&set, drawn).mean_dim(0).expand([2, 2, 3, 4]);
    let gradient = network.gradient(images.clone(), &Target::Top).unwrap().gradient;
    assert!(relative_l2(&values(attribution.map), &values((images - mean) * gradient)) < 1e-5);
    for kept in attribution.completeness.unwrap() {
        assert!(kept.gap().abs() < 1e-5 && kept.difference.abs() > 0.1, "{kept:?}");
    }
}

/// With one baseline the expectation is the integral: the map lies about one standard error from integrated gradients,
/// and the standard error shrinks with the root of the samples. All pixels share the positions, so their distances rise
/// and fall together: wide bounds.
#[test]
fn one_baseline_tends_to_integrated_gradients() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F64);
    let images = nets::pictures([1, 3, 8, 7], &device, DType::F64);
    let baseline = Baseline::Color(vec![0.3, -0.5, 0.1]);
    let limit = IntegratedGradientsConfig {
        steps: 2000,
        quadrature: Quadrature::Midpoint,
        baseline: baseline.clone(),
        largest_gap: None,
    };
    let limit = values(limit.init().unwrap().attribute(&network, images.clone(), &Target::Class(2)).unwrap().map);
    let root_mean_square = |numbers: &[f64]| (numbers.iter().map(|x| x * x).sum::<f64>() / numbers.len() as f64).sqrt();
    let sizes = [100, 900].map(|samples| {
        let method = method(samples, baseline.clone()).with_batches(MicroBatcher::new(50).unwrap());
        let attribution = method.attribute(&network, images.clone(), &Target::Class(2)).unwrap();
        let (map, standard_error) = (values(attribution.map), values(attribution.standard_error.unwrap()));
        let pixels = map.iter().zip(&limit).zip(&standard_error);
        let distances: Vec<f64> = pixels.map(|((map, limit), error)| (map - limit) / error).collect();
        let distance = root_mean_square(&distances);
        assert!((0.2..2.5).contains(&distance), "{samples} samples: {distance} standard errors");
        root_mean_square(&standard_error)
    });
    assert!((2.6..3.4).contains(&(sizes[0] / sizes[1])), "{sizes:?}: nine times the samples, a third of the error");
    assert!(root_mean_square(&limit) > 3.0 * sizes[1], "the limit is not lost in the error");
}

/// Two logits that change places on the way to the baselines: the picture alone decides.
#[test]
fn baselines_do_not_change_the_class_that_is_explained() {
    let device = Device::default();
    let network = nets::linear(Tensor::from_data([[1.0, 0.0], [0.0, 1.0]], &device));
    let images = Tensor::from_data([[[[1.0, 1.5]]], [[[4.0, -5.0]]]], &device);
    let attribution = method(10, Baseline::Color(vec![3.0])).attribute(&network, images, &Target::Top).unwrap();
    assert!(relative_l2(&values(attribution.map), &[0.0, -1.5, 1.0, 0.0]) < 1e-6);
    assert_eq!(attribution.target.to_string(), "classes [1, 0]");
    assert_eq!(attribution.scores, [1.5, 4.0]);
}

#[test]
fn same_seed_same_bytes_and_another_seed_another_map() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let map = |seed| -> TensorData {
        let config = ExpectedGradientsConfig { samples: 5, baselines: set(&device), seed: Seed(seed) };
        config.init().unwrap().attribute(&network, images.clone(), &Target::Class(0)).unwrap().map.into_data()
    };
    assert_eq!(map(0), map(0));
    assert_ne!(map(0), map(1));
}

#[test]
fn batch_size_does_not_change_the_map() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([3, 3, 8, 7], &device, DType::F32);
    let attribution = |size| {
        let method = method(9, set(&device)).with_batches(MicroBatcher::new(size).unwrap());
        method.attribute(&network, images.clone(), &Target::Top).unwrap()
    };
    let one = attribution(1);
    for size in [2, 7, 100] {
        let other = attribution(size);
        assert!(relative_l2(&values(other.map), &values(one.map.clone())) <= 1e-5, "size {size}");
        let [left, right] = [other.standard_error, one.standard_error.clone()].map(|error| values(error.unwrap()));
        assert!(relative_l2(&left, &right) <= 1e-5, "size {size}");
        for (left, right) in other.completeness.unwrap().iter().zip(one.completeness.as_ref().unwrap()) {
            assert!((left.gap() - right.gap()).abs() < 1e-5, "size {size}: {left:?}, {right:?}");
        }
    }
}

/// No more than `size` pictures at once. Of a set only what is drawn is scored, and once, however many samples.
#[test]
fn samples_come_in_batches_and_the_observer_sees_them() {
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
    let method = method(50, Baseline::Pictures(Tensor::ones([3, 1, 1, 2], &device))).with_batches(batches);
    method.attribute(&model, Tensor::ones([2, 1, 1, 2], &device), &Target::Class(1)).unwrap();
    assert_eq!(*largest.lock().unwrap(), 4);
    let calls = calls.lock().unwrap();
    assert_eq!(calls[..2], [(4, 6), (6, 6)]);
    assert_eq!((calls.len(), *calls.last().unwrap()), (2 + 25, (100, 100)));
}

#[test]
fn one_sample_has_no_standard_error() {
    let device = Device::default();
    let network = nets::linear(Tensor::ones([1, 2], &device));
    let attribution = method(1, Baseline::Zero).attribute(&network, Tensor::ones([1, 1, 1, 2], &device), &Target::Top);
    assert!(attribution.unwrap().standard_error.is_none());
}

/// The default noise has the mean and the variance of normalised pictures; the provenance says where it comes from.
#[test]
fn defaults_and_provenance() {
    let device = Device::default();
    let config = ExpectedGradientsConfig::default();
    let noise = values(config.baselines.of(&Tensor::zeros([1, 3, 40, 50], &device)).unwrap());
    let mean = noise.iter().sum::<f64>() / noise.len() as f64;
    let variance = noise.iter().map(|x| x * x).sum::<f64>() / noise.len() as f64;
    assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");

    let network = nets::linear(Tensor::ones([1, 2], &device));
    let attribution = config.init().unwrap().attribute(&network, Tensor::ones([1, 1, 1, 2], &device), &Target::Top);
    let provenance = attribution.unwrap().provenance;
    assert_eq!((provenance.method.as_str(), provenance.seed), ("expected-gradients", Some(Seed(0))));
    assert_eq!(provenance.parameters["samples"], json!(200));
    assert_eq!(provenance.parameters["baselines"]["noise"]["seed"], json!(0));
}

#[test]
fn bad_settings_are_refused() {
    let refused = |samples, baselines| {
        ExpectedGradientsConfig { samples, baselines, seed: Seed(0) }.init().unwrap_err().to_string()
    };
    assert!(refused(0, Baseline::Zero).contains("`samples` is 0: 1 to 1000000"));
    assert!(refused(usize::MAX, Baseline::Zero).contains("`samples` is 18446744073709551615"));
    let none = Baseline::Pictures(Tensor::empty([0, 3, 4, 5], &Device::default()));
    assert!(refused(1, none).contains("`baselines` is a set of 0 pictures"));
}

#[test]
fn baselines_that_do_not_fit_the_pictures_are_refused() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    for (baselines, words) in [
        (Baseline::Pictures(Tensor::zeros([2, 3, 7, 8], &device)), "[3, 7, 8]"),
        (Baseline::Color(vec![0.0]), "3 channels"),
        (Baseline::Noise { low: 1.0, high: 1.0, seed: Seed(0) }, "low < high"),
        (Baseline::Blurred { sigma: -1.0 }, "blurred by -1"),
    ] {
        let error = method(3, baselines).attribute(&network, images.clone(), &Target::Top).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }) && error.to_string().contains(words), "{error}");
    }
}

/// A hidden unit's score at the baselines comes from the network, not from the logits.
#[test]
fn hidden_units_are_explained() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let unit = Target::Unit { layer: "features.2".into(), index: vec![2, 3, 3] };
    let attribution = method(20, Baseline::Zero).attribute(&network, images.clone(), &unit).unwrap();
    let baseline_scores = network.gradient(images.zeros_like(), &unit).unwrap().scores;
    for (picture, kept) in attribution.completeness.unwrap().iter().enumerate() {
        assert!((kept.difference - (attribution.scores[picture] - baseline_scores[picture])).abs() < 1e-6);
    }
}

#[test]
fn conforms() {
    let device = Device::default();
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    let set = Baseline::Pictures(Seed(5).normal(0, [3, 3, 11, 9], &device));
    for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
        for baselines in [set.clone(), ExpectedGradientsConfig::default().baselines, Baseline::Blurred { sigma: 1.0 }] {
            conformance(&method(3, baselines), &network, images.clone());
        }
    }
}
