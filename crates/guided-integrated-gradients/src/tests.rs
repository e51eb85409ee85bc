#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Device};
use burnsight_core::{AutodiffModel, Classifier, Seed, select_images};
use burnsight_testkit::{conformance, nets, relative_l2, values};

use super::*;

fn config(steps: usize, fraction: f64, max_distance: f64) -> GuidedIntegratedGradientsConfig {
    GuidedIntegratedGradientsConfig { steps, fraction, max_distance, baseline: Baseline::Zero }
}

fn guided(steps: usize, fraction: f64, max_distance: f64) -> GuidedIntegratedGradients {
    config(steps, fraction, max_distance).init().unwrap()
}

/// One score, a function of the pixels `[n, pixels]`.
fn score(function: impl Fn(Tensor<2>) -> Tensor<2>) -> impl Differentiable {
    AutodiffModel::from_closure(move |images: Tensor<4>| function(images.flatten::<2>(1, 3)))
}

fn pixel(pixels: &Tensor<2>, index: usize) -> Tensor<2> {
    pixels.clone().slice_dim(1, index..index + 1)
}

fn picture(pixels: &[f64]) -> Tensor<4> {
    Tensor::<1>::from_data(pixels, (&Device::default(), DType::F64)).reshape([1, 1, 1, pixels.len()])
}

/// The map of one picture, which must add up to the score difference that is reported with it.
fn map(
    method: &GuidedIntegratedGradients,
    model: &impl Differentiable,
    picture: Tensor<4>,
    difference: f32,
) -> Vec<f64> {
    let attribution = method.attribute(model, picture, &Target::Class(0)).unwrap();
    let completeness = attribution.completeness.unwrap()[0];
    assert!((completeness.difference - difference).abs() < 1e-5, "{completeness:?}");
    assert!(completeness.gap().abs() < 1e-5 * difference.abs().max(1.0), "{completeness:?}");
    values(attribution.map)
}

fn close(actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    let fits = actual.iter().zip(expected).all(|(actual, expected)| (actual - expected).abs() <= tolerance);
    assert!(fits, "{actual:?} where {expected:?} is right");
}

/// u², u = 2 x₁ + x₂ + 1, with the slopes 4 u and 2 u: x₂ has the smaller one wherever u is not 0.
fn square() -> impl Differentiable {
    score(|pixels| (pixel(&pixels, 0) * 2.0 + pixel(&pixels, 1) + 1.0).square())
}

/// From 0 to (3, 3), f from 1 to 100. Free to go anywhere, the path moves x₂ to its end, then x₁, in two steps each:
///
/// ```text
/// M₂ = ∫ 2 (x₂ + 1) dx₂ = 9 + 6 = 15        M₁ = ∫ 4 (2 x₁ + 4) dx₁ = 36 + 48 = 84
/// ```
/// The slopes are linear, so the trapezoids are exact. The straight line gives 66 and 33.
#[test]
fn free_path_moves_the_smallest_slope_first() {
    close(&map(&guided(4, 0.25, 1.0), &square(), picture(&[3.0, 3.0]), 99.0), &[84.0, 15.0], 1e-5);
    close(&map(&guided(4, 0.25, 0.0), &square(), picture(&[3.0, 3.0]), 99.0), &[66.0, 33.0], 1e-5);
}

/// The same within a quarter of the line, in four steps, each of which takes a quarter of the way of 6 in all:
///
/// ```text
/// from    at most    behind    then x₂ by    to         x              u
/// 0 0     ½                    ½             0 ½        (0, 1.5)       1   → 2.5
/// 0 ½     ¾          x₁ to ¼   ¼             ¼ ¾        (0.75, 2.25)   2.5 → 4.75
/// ¼ ¾     1          x₁ to ½   ¼             ½ 1        (1.5, 3)       4.75 → 7
/// ½ 1     1          x₁ to ¾   x₁ to 1       1 1        (3, 3)         7   → 10
///
/// M₁ = Σ Δx₁ · 2 (u + u′) = 0.75 · 14.5 + 0.75 · 23.5 + 1.5 · 34  = 79.5
/// M₂ = Σ Δx₂ · (u + u′)   = 1.5 · 3.5 + 0.75 · 7.25 + 0.75 · 11.75 = 19.5
/// ```
#[test]
fn path_stays_near_the_straight_line() {
    close(&map(&guided(4, 0.25, 0.25), &square(), picture(&[3.0, 3.0]), 99.0), &[79.5, 19.5], 1e-5);
}

/// A third pixel on which nothing depends has the smallest slope and is the first to go; one that is equal to the
/// baseline cannot go anywhere. Neither has a share, and in the end the others have gone their way.
#[test]
fn pixels_without_slope_or_way_get_nothing() {
    let free = map(&guided(6, 0.25, 1.0), &square(), picture(&[3.0, 3.0, -3.0]), 99.0);
    close(&free, &[84.0, 15.0, 0.0], 1e-5);
    let with_slope =
        score(|pixels| (pixel(&pixels, 0) * 2.0 + pixel(&pixels, 1) + 1.0).square() + pixel(&pixels, 2) * 0.1);
    for distance in [1.0, 0.25, 0.0] {
        let expected = map(&guided(4, 0.25, distance), &square(), picture(&[3.0, 3.0]), 99.0);
        let with_still = map(&guided(4, 0.25, distance), &with_slope, picture(&[3.0, 3.0, 0.0]), 99.0);
        close(&with_still[..2], &expected, 1e-5);
        assert_eq!(with_still[2], 0.0);
    }
}

/// f = x₁ x₂ from 0 to (2, 2): the slopes are the same on the diagonal, so the path stays there and each gets half.
/// Were one to move first, it would get nothing.
#[test]
fn equal_slopes_move_together() {
    let product = score(|pixels| pixel(&pixels, 0) * pixel(&pixels, 1));
    for distance in [1.0, 0.1, 0.0] {
        close(&map(&guided(7, 0.25, distance), &product, picture(&[2.0, 2.0]), 4.0), &[2.0, 2.0], 1e-9);
    }
}

/// The slopes are the same on every path: (x − b) ⊙ w, exactly.
#[test]
fn linear_model_gives_the_weights_times_the_way() {
    let weights = [[1.0, -2.0, 3.0, 3.0, 0.0, 0.5], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]];
    let network = nets::linear(Tensor::from_data(weights, (&Device::default(), DType::F64)));
    let x = [2.0, -1.0, 0.5, 4.0, 1.0, -3.0];
    for (steps, fraction, max_distance) in
        [(1, 0.25, 0.02), (5, 0.25, 0.02), (10, 1e-9, 1.0), (7, 1.0, 0.3), (3, 0.5, 0.0)]
    {
        let config = config(steps, fraction, max_distance);
        let method =
            GuidedIntegratedGradientsConfig { baseline: Baseline::Color(vec![-3.0]), ..config }.init().unwrap();
        let expected: Vec<f64> = x.iter().zip(weights[0]).map(|(x, weight)| (x + 3.0) * weight).collect();
        close(&map(&method, &network, picture(&x), expected.iter().sum::<f64>() as f32), &expected, 1e-9);
    }
}

/// The function of the tests of PAIR's saliency library, f = 5 x + y² + sin z. No pixel's slope depends on another, so
/// every path gives each pixel its own part. For the sine the trapezoids are only close.
#[test]
fn independent_pixels_get_their_own_part() {
    let model = score(|pixels| pixel(&pixels, 0) * 5.0 + pixel(&pixels, 1).square() + pixel(&pixels, 2).sin());
    let expected = [-5.0, 4.0, 2.0f64.sin()];
    for distance in [1.0, 0.1, 0.0] {
        let map =
            guided(100, 0.25, distance).attribute(&model, picture(&[-1.0, -2.0, 2.0]), &Target::Class(0)).unwrap().map;
        close(&values(map.clone())[..2], &expected[..2], 1e-9);
        close(&values(map)[2..], &expected[2..], 1e-3);
    }
}

/// The mean of the gradients on the straight line, the ends counted half, times the way.
fn trapezoids_on_the_line(model: &impl Differentiable, pictures: Tensor<4>, steps: usize, target: &Target) -> Vec<f64> {
    let at = |step: usize| model.gradient(pictures.clone() * (step as f64 / steps as f64), target).unwrap().gradient;
    let inner = (1..steps).map(at).fold((at(0) + at(steps)) * 0.5, |sum, gradient| sum + gradient);
    values(inner * pictures.clone() / steps as f64)
}

#[test]
fn without_freedom_it_is_integrated_gradients() {
    let network = nets::small_vgg(&Device::default(), DType::F64);
    let pictures = nets::pictures([2, 3, 8, 7], &Device::default(), DType::F64);
    let target = Target::Classes(vec![2, 4]);
    let line = trapezoids_on_the_line(&network, pictures.clone(), 6, &target);
    for (fraction, max_distance) in [(1.0, 0.02), (1.0, 1.0), (0.25, 0.0)] {
        let map = guided(6, fraction, max_distance).attribute(&network, pictures.clone(), &target).unwrap().map;
        assert!(relative_l2(&values(map), &line) < 1e-9, "fraction {fraction}, distance {max_distance}");
    }
    let map = guided(6, 0.25, 0.3).attribute(&network, pictures, &target).unwrap().map;
    assert!(relative_l2(&values(map), &line) > 0.1, "with freedom it is another path");
}

/// A model that notes at which pictures it was asked for the gradient.
struct Watched<M>(M, Mutex<Vec<Vec<f64>>>);

impl<M: Classifier> Classifier for Watched<M> {
    fn logits(&self, images: Tensor<4>) -> Result<Tensor<2>> {
        self.0.logits(images)
    }
}

impl<M: Differentiable> Differentiable for Watched<M> {
    fn gradient(&self, images: Tensor<4>, target: &Target) -> Result<InputGradient> {
        self.1.lock().unwrap().push(values(images.clone()));
        self.0.gradient(images, target)
    }
}

/// Every step takes the same part of Σ |x − b|; no feature turns back or leaves the band around the straight line.
#[test]
fn path_keeps_its_promises() {
    let network = Watched(nets::small_vgg(&Device::default(), DType::F64), Mutex::default());
    let x = nets::pictures([1, 3, 8, 7], &Device::default(), DType::F64);
    let (steps, distance) = (10, 0.15);
    guided(steps, 0.25, distance).attribute(&network, x.clone(), &Target::Top).unwrap();
    let seen = network.1.into_inner().unwrap();
    let x = values(x);
    assert_eq!((seen.len(), &seen[0]), (steps + 1, &x), "the picture first, then the steps");
    let whole: f64 = x.iter().map(|x| x.abs()).sum();
    let mut before = vec![0.0; x.len()];
    for (step, point) in seen[1..].iter().enumerate() {
        let share = step as f64 / steps as f64;
        let gone: f64 = point.iter().map(|value| value.abs()).sum();
        assert!((gone / whole - share).abs() < 1e-8, "step {step} is at {}", gone / whole);
        let places: Vec<f64> = point.iter().zip(&x).map(|(value, x)| value / x).collect();
        assert!(places.iter().all(|place| (place - share).abs() <= distance + 1e-9), "step {step} left the band");
        assert!(places.iter().zip(&before).all(|(place, before)| place >= &(before - 1e-9)), "step {step} turned back");
        assert!(step == 0 || places.iter().any(|place| (place - share).abs() > 0.1), "step {step} is on the line");
        before = places;
    }
}

#[test]
fn gap_shrinks_with_the_steps() {
    let network = nets::small_vgg(&Device::default(), DType::F64);
    let pictures = nets::pictures([2, 3, 8, 7], &Device::default(), DType::F64);
    let gap = |steps| {
        let attribution = guided(steps, 0.25, 0.1).attribute(&network, pictures.clone(), &Target::Class(0)).unwrap();
        attribution.completeness.unwrap().iter().map(|completeness| completeness.gap().abs()).sum::<f32>()
    };
    let (few, many) = (gap(5), gap(200));
    assert!(many < few / 10.0, "{few} and {many}");
}

#[test]
fn picture_equal_to_the_baseline_has_no_map() {
    let pictures = Tensor::cat(vec![picture(&[0.0, 0.0]), picture(&[3.0, 3.0])], 0);
    let attribution = guided(4, 0.25, 1.0).attribute(&square(), pictures, &Target::Class(0)).unwrap();
    close(&values(attribution.map), &[0.0, 0.0, 84.0, 15.0], 1e-5);
    let completeness = attribution.completeness.unwrap();
    assert_eq!((completeness[0].sum, completeness[0].difference), (0.0, 0.0));
}

/// The logits are x₁ and 3 − x₁: at 2 the first is lower than at the start, where x₁ = 0, but higher than the second.
#[test]
fn target_is_that_of_the_picture() {
    let model = score(|pixels| {
        let x = pixel(&pixels, 0);
        Tensor::cat(vec![x.clone(), x * -1.0 + 3.0], 1)
    });
    let attribution = guided(5, 0.25, 0.1).attribute(&model, picture(&[2.0, 1.0]), &Target::Top).unwrap();
    assert_eq!(attribution.target.to_string(), "classes [0]");
    close(&values(attribution.map), &[2.0, 0.0], 1e-9);
}

#[test]
fn set_of_baselines_gives_the_mean_map() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F64);
    let pictures = nets::pictures([2, 3, 8, 7], &device, DType::F64);
    let set = Seed(5).normal(0, [3, 3, 8, 7], &device).cast(DType::F64);
    let attribution = |baseline, size| {
        let method = GuidedIntegratedGradientsConfig { baseline, ..config(6, 0.25, 0.1) }.init().unwrap();
        let method = method.with_batches(MicroBatcher::new(size).unwrap());
        method.attribute(&network, pictures.clone(), &Target::Top).unwrap()
    };
    let alone: Vec<Attribution> =
        (0..3).map(|index| attribution(Baseline::Pictures(select_images(&set, [index])), 2)).collect();
    let mean = values(alone.iter().skip(1).fold(alone[0].map.clone(), |sum, one| sum + one.map.clone()) / 3.0);
    for size in [1, 2, 3, 50] {
        let together = attribution(Baseline::Pictures(set.clone()), size);
        assert!(relative_l2(&values(together.map), &mean) < 1e-9, "size {size}");
        for (picture, completeness) in together.completeness.unwrap().iter().enumerate() {
            let difference = |one: &Attribution| one.completeness.as_ref().unwrap()[picture].difference;
            let expected = alone.iter().map(difference).sum::<f32>() / 3.0;
            assert!((completeness.difference - expected).abs() < 1e-5, "{completeness:?}");
        }
    }
}

#[test]
fn batch_size_does_not_change_the_map() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([3, 3, 8, 7], &device, DType::F32);
    let map = |size| {
        let method = guided(5, 0.25, 0.1).with_batches(MicroBatcher::new(size).unwrap());
        values(method.attribute(&network, images.clone(), &Target::Top).unwrap().map)
    };
    let one = map(1);
    for size in [2, 3, 7, 100] {
        assert!(relative_l2(&map(size), &one) <= 1e-6, "size {size}");
    }
}

/// Three pictures of four steps from each of two baselines, two rows at a time; and never a picture twice in one pass.
#[test]
fn observer_sees_every_step_of_every_picture() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let batches = |size| MicroBatcher::new(size).unwrap();
    let batches = batches(10).with_observer(move |done, of| sink.lock().unwrap().push((done, of)));
    let images = nets::pictures([3, 1, 2, 3], &Device::default(), DType::F32);
    let baseline = Baseline::Pictures(Seed(1).normal(0, [2, 1, 2, 3], &Device::default()));
    let method = GuidedIntegratedGradientsConfig { baseline, ..config(4, 0.25, 0.1) }.init().unwrap();
    let model = Watched(score(|pixels| pixels.sin().sum_dim(1)), Mutex::default());
    method.with_batches(batches).attribute(&model, images, &Target::Class(0)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(10, 24), (20, 24), (24, 24)]);
    let passes: Vec<usize> = model.1.into_inner().unwrap().iter().map(|pixels| pixels.len() / 6).collect();
    assert_eq!(passes, [3, 3, 3, 3, 1, 3, 3, 3, 1, 3, 1]);
}

#[test]
fn defaults_and_provenance() {
    let method = GuidedIntegratedGradientsConfig::default().init().unwrap();
    let provenance = method.attribute(&square(), picture(&[1.0, 2.0]), &Target::Top).unwrap().provenance;
    assert_eq!(provenance.method, "guided-integrated-gradients");
    let expected = json!({ "steps": 200, "fraction": 0.25, "max-distance": 0.02, "baseline": "zero" });
    assert_eq!(provenance.parameters, expected);
}

#[test]
fn bad_settings_are_refused() {
    let refused = |config: GuidedIntegratedGradientsConfig| config.init().unwrap_err().to_string();
    assert!(refused(config(0, 0.25, 0.02)).contains("`steps` is 0"));
    for fraction in [0.0, -0.1, 1.01, f64::NAN, f64::INFINITY] {
        let message = refused(config(10, fraction, 0.02));
        assert!(message.contains(&format!("`fraction` is {fraction}:")), "{message}");
    }
    for distance in [-0.1, 1.01, f64::NAN, f64::NEG_INFINITY] {
        let message = refused(config(10, 0.25, distance));
        assert!(message.contains(&format!("`max_distance` is {distance}:")), "{message}");
    }
    let none = Baseline::Pictures(Tensor::empty([0, 1, 1, 2], &Device::default()));
    assert!(
        refused(GuidedIntegratedGradientsConfig { baseline: none, ..config(10, 0.25, 0.02) }).contains("0 pictures")
    );
    let colors = Baseline::Color(vec![0.0, 1.0]);
    let method = GuidedIntegratedGradientsConfig { baseline: colors, ..config(10, 0.25, 0.02) }.init().unwrap();
    let message = method.attribute(&square(), picture(&[1.0, 2.0]), &Target::Top).unwrap_err().to_string();
    assert!(message.contains("1 channels"), "{message}");
}

#[test]
fn conforms() {
    let device = Device::default();
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
        conformance(&guided(5, 0.25, 0.1), &network, images.clone());
    }
}
