#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Device};
use burnsight_core::{AutodiffModel, Classifier};
use burnsight_testkit::{conformance, nets, relative_l2, values};

use super::*;

fn blur_ig(steps: usize, max_sigma: f64) -> BlurIntegratedGradients {
    BlurIntegratedGradientsConfig { steps, max_sigma }.init().unwrap()
}

/// One score: Σ over the pixels of a function of each.
fn sum_of(function: impl Fn(Tensor<4>) -> Tensor<4>) -> impl Differentiable {
    AutodiffModel::from_closure(move |images: Tensor<4>| function(images).flatten::<2>(1, 3).sum_dim(1))
}

fn close(actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    let fits = actual.iter().zip(expected).all(|(actual, expected)| (actual - expected).abs() <= tolerance);
    assert!(fits, "{actual:?} where {expected:?} is right");
}

/// Two pixels, x = (4, 0) and f = x₁ x₂. Mirrored at its border, a picture of two pixels has two weights that sum to 1
/// for every σ, so its mean 2 stays and the path is a straight line from b = (2, 2): (2 + s, 2 − s) with s from 0 to 2.
///
/// ```text
/// M₁ = ∫ x₂ dx₁ =  ∫ (2 − s) ds =  4 − 2 =  2
/// M₂ = ∫ x₁ dx₂ = −∫ (2 + s) ds = −4 − 2 = −6        f(x) − f(b) = 0 − 4
/// ```
/// The slopes are linear on the line, and the middle of a step is then exact: one step is enough.
#[test]
fn hand_computed() {
    let product = AutodiffModel::from_closure(|images: Tensor<4>| {
        let pixels = images.flatten::<2>(1, 3);
        pixels.clone().slice_dim(1, 0..1) * pixels.slice_dim(1, 1..2)
    });
    let picture = Tensor::<4>::from_data([[[[4.0, 0.0]]]], &Device::default());
    for steps in [1, 7] {
        let attribution = blur_ig(steps, 50.0).attribute(&product, picture.clone(), &Target::Class(0)).unwrap();
        close(&values(attribution.map), &[2.0, -6.0], 1e-5);
        assert_eq!(attribution.scores, [0.0]);
        let completeness = attribution.completeness.unwrap()[0];
        assert!((completeness.difference + 4.0).abs() < 1e-5 && completeness.gap().abs() < 1e-5, "{completeness:?}");
    }
}

/// f = Σ x³ with the slope 3 x², on the path written out: Σ_k 3 m_k² (x_{k+1} − x_k), m_k in the middle between them,
/// at σ_k = (1 + 8)^(1 − k/2) − 1, that is 8, 2 and 0.
#[test]
fn steps_are_equal_parts_of_the_logarithm() {
    let picture = nets::pictures([1, 2, 5, 9], &Device::default(), DType::F32);
    let attribution = blur_ig(2, 8.0).attribute(&sum_of(|x| x.powi_scalar(3)), picture.clone(), &Target::Top).unwrap();
    let path = [8.0, 2.0, 0.0].map(|sigma| values(gaussian_blur(picture.clone(), sigma)));
    let term = |from: f64, to: f64| 3.0 * ((from + to) / 2.0).powi(2) * (to - from);
    let expected: Vec<f64> = (0..path[0].len())
        .map(|pixel| term(path[0][pixel], path[1][pixel]) + term(path[1][pixel], path[2][pixel]))
        .collect();
    assert!(relative_l2(&values(attribution.map), &expected) < 1e-5);
    let difference: f64 =
        path[2].iter().map(|x| x.powi(3)).sum::<f64>() - path[0].iter().map(|x| x.powi(3)).sum::<f64>();
    assert!((f64::from(attribution.completeness.unwrap()[0].difference) - difference).abs() < 1e-4);
}

/// The slopes are the same everywhere, so the steps add up to the way from the first picture to the last.
#[test]
fn linear_model_gives_the_weights_times_what_the_blur_takes() {
    let device = Device::default();
    let weight = Tensor::<2>::from_data([[1.0, -2.0, 3.0, 0.5, 0.0, 4.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]], &device);
    let pictures = nets::pictures([2, 1, 2, 3], &device, DType::F32);
    let way = values(pictures.clone() - gaussian_blur(pictures.clone(), 2.0));
    let weights = [1.0, -2.0, 3.0, 0.5, 0.0, 4.0];
    let expected: Vec<f64> = way.iter().zip(weights.iter().cycle()).map(|(way, weight)| way * weight).collect();
    for steps in [1, 13] {
        let attribution =
            blur_ig(steps, 2.0).attribute(&nets::linear(weight.clone()), pictures.clone(), &Target::Class(0)).unwrap();
        close(&values(attribution.map), &expected, 1e-5);
        assert!(attribution.completeness.unwrap().iter().all(|completeness| completeness.gap().abs() < 1e-4));
    }
}

/// The example of the tests of PAIR's saliency library: f = Σ sin x, two bright pixels, σ = 10. No pixel depends on
/// another, so each gets sin x − sin b, which it gives as 0.641 and 0.838. It continues the picture by zeros; here a
/// wide black border does, so b = x₁ G(0) + x₂ G(√2), where G is the Gaussian of σ = 10 and G(0) = 1 / 2π σ² = 0.0016:
///
/// ```text
/// b = 0.0027      sin 0.7 − sin b = 0.6442 − 0.0027      sin 1 − sin b = 0.8415 − 0.0027
/// ```
#[test]
fn golden_values_of_two_pixels() {
    let mut picture = Tensor::<4>::zeros([1, 1, 75, 75], (&Device::default(), DType::F64));
    for (place, value) in [(36, 0.7), (37, 1.0)] {
        picture = picture.slice_fill([0..1, 0..1, place..place + 1, place..place + 1], value);
    }
    let attribution = blur_ig(100, 10.0).attribute(&sum_of(Tensor::sin), picture, &Target::Class(0)).unwrap();
    let pixel = |place: usize| values(attribution.map.clone())[place * 75 + place];
    close(&[pixel(36), pixel(37)], &[0.6415, 0.8388], 2e-4);
}

/// The rule is of second order: ten times the steps, about a hundredth of the gap.
#[test]
fn gap_shrinks_with_the_steps() {
    let pictures = nets::pictures([6, 3, 12, 9], &Device::default(), DType::F64) * 2.0;
    let gap = |steps| {
        let attribution = blur_ig(steps, 6.0).attribute(&sum_of(Tensor::sin), pictures.clone(), &Target::Top).unwrap();
        attribution.completeness.unwrap().iter().map(|completeness| completeness.gap().abs()).sum::<f32>()
    };
    let (few, many) = (gap(10), gap(100));
    assert!((50.0..200.0).contains(&(few / many)), "{few} and {many}");
}

/// The logits are x₁ − x₂ and 1. At x = (4, 0) the first is higher, out of focus, at (2, 2), the second, which no pixel
/// moves. What is explained is the first: (x − b) ⊙ (1, −1).
#[test]
fn target_is_that_of_the_picture_in_focus() {
    let model = AutodiffModel::from_closure(|images: Tensor<4>| {
        let pixels = images.flatten::<2>(1, 3);
        let difference = pixels.clone().slice_dim(1, 0..1) - pixels.slice_dim(1, 1..2);
        Tensor::cat(vec![difference.clone(), difference * 0.0 + 1.0], 1)
    });
    let picture = Tensor::<4>::from_data([[[[4.0, 0.0]]]], &Device::default());
    let attribution = blur_ig(3, 50.0).attribute(&model, picture, &Target::Top).unwrap();
    assert_eq!(attribution.target.to_string(), "classes [0]");
    close(&values(attribution.map), &[2.0, 2.0], 1e-5);
}

/// A picture without structure is its own blur: there is nothing to explain, and nothing is divided by nothing.
#[test]
fn flat_picture_has_no_map() {
    let picture = Tensor::<4>::full([1, 3, 6, 5], 0.7, (&Device::default(), DType::F64));
    let network = nets::small_vgg(&picture.device(), DType::F64);
    let attribution = blur_ig(5, 50.0).attribute(&network, picture, &Target::Top).unwrap();
    assert!(values(attribution.map).iter().all(|value| value.abs() < 1e-6));
    let completeness = attribution.completeness.unwrap()[0];
    assert!(completeness.sum.abs() < 1e-6 && completeness.difference.abs() < 1e-6, "{completeness:?}");
}

#[test]
fn difference_is_that_of_the_scores() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let pictures = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    let attribution = blur_ig(2, 3.0).attribute(&network, pictures.clone(), &Target::Class(1)).unwrap();
    let class = |images| values(network.logits(images).unwrap()).chunks(5).map(|row| row[1]).collect::<Vec<_>>();
    let scores = class(pictures.clone()).into_iter().zip(class(gaussian_blur(pictures, 3.0)));
    for (completeness, (in_focus, blurred)) in attribution.completeness.unwrap().iter().zip(scores) {
        assert!((f64::from(completeness.difference) - (in_focus - blurred)).abs() < 1e-5);
    }
}

#[test]
fn batch_size_does_not_change_the_map() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([3, 3, 8, 7], &device, DType::F32);
    let map = |size| {
        let batches = MicroBatcher::new(size).unwrap();
        values(blur_ig(5, 4.0).with_batches(batches).attribute(&network, images.clone(), &Target::Top).unwrap().map)
    };
    let one = map(1);
    for size in [2, 7, 100] {
        assert!(relative_l2(&map(size), &one) <= 1e-6, "size {size}");
    }
}

/// Two pictures of five steps, four at a time.
#[test]
fn observer_sees_every_step_of_every_picture() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let batches = MicroBatcher::new(4).unwrap().with_observer(move |done, of| sink.lock().unwrap().push((done, of)));
    let images = nets::pictures([2, 1, 2, 3], &Device::default(), DType::F32);
    blur_ig(5, 1.0).with_batches(batches).attribute(&sum_of(Tensor::sin), images, &Target::Class(0)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(4, 10), (8, 10), (10, 10)]);
}

#[test]
fn defaults_and_provenance() {
    let method = BlurIntegratedGradientsConfig::default().init().unwrap();
    let picture = nets::pictures([1, 1, 3, 4], &Device::default(), DType::F32);
    let provenance = method.attribute(&sum_of(Tensor::sin), picture, &Target::Top).unwrap().provenance;
    assert_eq!(provenance.method, "blur-integrated-gradients");
    assert_eq!(provenance.parameters, json!({ "steps": 50, "max-sigma": 50.0 }));
}

#[test]
fn bad_settings_are_refused() {
    let refused = |steps, max_sigma| BlurIntegratedGradientsConfig { steps, max_sigma }.init().unwrap_err().to_string();
    assert!(refused(0, 50.0).contains("`steps` is 0"));
    for max_sigma in [0.0, -1.0, 1000.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let message = refused(50, max_sigma);
        assert!(message.contains(&format!("`max_sigma` is {max_sigma}:")), "{message}");
    }
}

#[test]
fn conforms() {
    let device = Device::default();
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
        conformance(&blur_ig(4, 5.0), &network, images.clone());
    }
}
