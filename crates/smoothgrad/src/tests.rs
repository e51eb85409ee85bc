#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use burn::tensor::{DType, Device, TensorData};
use burnsight_core::{AutodiffModel, Differentiable};
use burnsight_guided_backprop::GuidedBackprop;
use burnsight_input_x_gradient::InputXGradient;
use burnsight_testkit::{conformance, nets, relative_l2, values};
use burnsight_vanilla_gradient::VanillaGradient;

use super::*;

fn config(samples: usize, noise: f64, statistic: Statistic) -> SmoothGradConfig {
    SmoothGradConfig { samples, noise, statistic, seed: Seed(11) }
}

/// One score, Σ x², with gradient 2 x: at x + σ ε it is 2 x + 2 σ ε, so every statistic can be worked out from the noise.
fn sum_of_squares() -> AutodiffModel<impl Fn(Tensor<4>) -> Tensor<2>> {
    AutodiffModel::from_closure(|images: Tensor<4>| images.square().flatten::<2>(1, 3).sum_dim(1))
}

/// The gradient that `sum_of_squares` has at each noisy copy of one picture: `[sample][pixel]`.
fn gradients(picture: &Tensor<4>, samples: usize, deviation: f64) -> Vec<Vec<f64>> {
    let pixels = values(picture.clone());
    let noise = |sample| values(Seed(11).normal(sample as u64, picture.dims(), &picture.device()));
    let gradient = |noise: Vec<f64>| pixels.iter().zip(noise).map(|(x, noise)| 2.0 * (x + deviation * noise)).collect();
    (0..samples).map(|sample| gradient(noise(sample))).collect()
}

/// The mean over the samples of `term`, pixel by pixel.
fn mean_of(gradients: &[Vec<f64>], term: impl Fn(f64, usize) -> f64) -> Vec<f64> {
    let pixels = 0..gradients[0].len();
    pixels.map(|p| gradients.iter().map(|g| term(g[p], p)).sum::<f64>() / gradients.len() as f64).collect()
}

/// Mean 2 x + 2 σ mean(ε), mean of squares, variance and standard error, with σ = 0.2 × (largest − smallest value).
#[test]
fn statistics_are_those_of_the_gradients_at_the_noisy_pictures() {
    let picture = Tensor::<4>::from_data([[[[0.5, -1.0, 2.0]], [[0.0, 4.0, 1.0]]]], &Device::default());
    let samples = 7;
    let gradients = gradients(&picture, samples, 0.2 * 5.0);
    let mean = mean_of(&gradients, |g, _| g);
    let variance = mean_of(&gradients, |g, pixel| (g - mean[pixel]).powi(2));
    let attribution = |statistic| {
        let smooth = config(samples, 0.2, statistic).wrap(VanillaGradient).unwrap();
        smooth.attribute(&sum_of_squares(), picture.clone(), &Target::Class(0)).unwrap()
    };
    let smooth = attribution(Statistic::Mean);
    assert_eq!(smooth.scores, [22.25], "the score is that of the clean picture");
    assert!(relative_l2(&values(smooth.map), &mean) < 1e-5);
    // s / √n with the unbiased s: √(variance / (n − 1)).
    let standard_error: Vec<f64> = variance.iter().map(|v| (v / (samples as f64 - 1.0)).sqrt()).collect();
    assert!(relative_l2(&values(smooth.standard_error.unwrap()), &standard_error) < 1e-5);

    let squares = attribution(Statistic::MeanOfSquares);
    assert!(relative_l2(&values(squares.map), &mean_of(&gradients, |g, _| g * g)) < 1e-5);
    let spread = attribution(Statistic::Variance);
    assert!(relative_l2(&values(spread.map), &variance) < 1e-5);
    assert!(squares.standard_error.is_none() && spread.standard_error.is_none());
}

#[test]
fn mean_of_squares_is_variance_plus_squared_mean() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let map = |statistic| {
        let smooth = config(6, 0.3, statistic).wrap(VanillaGradient).unwrap();
        smooth.attribute(&network, images.clone(), &Target::Class(0)).unwrap().map
    };
    let sum = map(Statistic::Variance) + map(Statistic::Mean).square();
    assert!(relative_l2(&values(map(Statistic::MeanOfSquares)), &values(sum)) < 1e-6);
}

/// Without noise and with one sample nothing is left of the method, whatever it wraps.
#[test]
fn one_sample_without_noise_is_the_wrapped_method() {
    let device = Device::default();
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    fn check<M: Classifier, A: Attributor<M> + Copy>(model: &M, inner: A, images: &Tensor<4>) {
        let smooth = config(1, 0.0, Statistic::Mean).wrap(inner).unwrap();
        let smooth = smooth.attribute(model, images.clone(), &Target::Top).unwrap();
        let plain = inner.attribute(model, images.clone(), &Target::Top).unwrap();
        assert_eq!(smooth.map.into_data(), plain.map.into_data());
        assert_eq!(smooth.scores, plain.scores);
        assert!(smooth.standard_error.is_none(), "one sample has no spread");
    }
    let network = nets::small_vgg(&device, DType::F32);
    check(&network, VanillaGradient, &images);
    check(&network, InputXGradient, &images);
    check(&network, GuidedBackprop, &images);
    check(&sum_of_squares(), VanillaGradient, &images);
}

#[test]
fn linear_models_have_one_gradient_whatever_the_noise() {
    let device = Device::default();
    let weight = nets::Draw::new(9, &device, DType::F32).tensor([3, 24], 0.0, 1.0);
    let network = nets::linear(weight);
    let images = nets::pictures([2, 2, 3, 4], &device, DType::F32);
    let gradient = network.gradient(images.clone(), &Target::Top).unwrap().gradient;
    for noise in [0.1, 5.0] {
        let map = |statistic| {
            let smooth = config(10, noise, statistic).wrap(VanillaGradient).unwrap();
            smooth.attribute(&network, images.clone(), &Target::Top).unwrap()
        };
        let smooth = map(Statistic::Mean);
        assert_eq!(smooth.map.into_data(), gradient.clone().into_data(), "noise {noise}");
        assert_eq!(values(smooth.standard_error.unwrap()), vec![0.0; 48]);
        assert_eq!(values(map(Statistic::Variance).map), vec![0.0; 48]);
        assert_eq!(map(Statistic::MeanOfSquares).map.into_data(), gradient.clone().square().into_data());
    }
}

/// Two logits so close that noise decides between them; the clean picture has class 1 first.
#[test]
fn noise_does_not_change_the_class_that_is_explained() {
    let device = Device::default();
    let network = nets::linear(Tensor::from_data([[1.0, 0.0], [0.0, 1.0]], &device));
    let picture = Tensor::from_data([[[[1.0, 1.01]]], [[[5.0, -5.0]]]], &device);
    let smooth = config(20, 50.0, Statistic::Mean).wrap(VanillaGradient).unwrap();
    let attribution = smooth.attribute(&network, picture, &Target::Top).unwrap();
    assert_eq!(values(attribution.map), [0.0, 1.0, 1.0, 0.0]);
    assert_eq!(attribution.target.to_string(), "classes [1, 0]");
    assert_eq!(attribution.scores, [1.01, 5.0]);
}

/// The noise follows the range of each picture, not of the batch; a picture of one colour gets none.
#[test]
fn noise_is_a_share_of_each_pictures_own_range() {
    let device = Device::default();
    let images = Tensor::<4>::from_data([[[[0.0, 1.0]]], [[[-5.0, 5.0]]], [[[3.0, 3.0]]]], &device);
    let smooth = config(4, 0.5, Statistic::Mean).wrap(VanillaGradient).unwrap();
    let map = smooth.attribute(&sum_of_squares(), images.clone(), &Target::Class(0)).unwrap().map;
    for (index, deviation) in [0.5, 5.0, 0.0].into_iter().enumerate() {
        let picture = images.clone().slice_dim(0, index..index + 1);
        let expected = mean_of(&gradients(&picture, 4, deviation), |g, _| g);
        let found = values(map.clone().slice_dim(0, index..index + 1));
        assert!(relative_l2(&found, &expected) < 1e-6, "picture {index}: {found:?}, expected {expected:?}");
    }
}

/// Of Σ x² the smoothed gradient is exactly 2 x: the standard error must say how far the map is from it, and must shrink
/// like 1/√n.
#[test]
fn standard_error_is_the_distance_from_the_limit_and_shrinks_with_the_root() {
    let picture = nets::pictures([1, 3, 10, 12], &Device::default(), DType::F32);
    let limit = values(picture.clone() * 2.0);
    let root_mean_square =
        |numbers: &mut dyn Iterator<Item = f64>| (numbers.map(|x| x * x).sum::<f64>() / limit.len() as f64).sqrt();
    let size = |samples| {
        let smooth = config(samples, 0.15, Statistic::Mean).wrap(VanillaGradient).unwrap();
        let smooth = smooth.with_batches(MicroBatcher::new(64).unwrap());
        let attribution = smooth.attribute(&sum_of_squares(), picture.clone(), &Target::Class(0)).unwrap();
        let (map, standard_error) = (values(attribution.map), values(attribution.standard_error.unwrap()));
        // In units of the standard error, 360 distances have a root mean square of about 1.
        let mut distances =
            map.iter().zip(&limit).zip(&standard_error).map(|((map, limit), error)| (map - limit) / error);
        let distance = root_mean_square(&mut distances);
        assert!((0.85..1.25).contains(&distance), "{samples} samples: {distance} standard errors");
        root_mean_square(&mut standard_error.into_iter())
    };
    let (few, many) = (size(16), size(144));
    assert!((2.7..3.3).contains(&(few / many)), "{few} and {many}: a ninth of the samples, three times the error");
}

#[test]
fn same_seed_same_bytes_and_another_seed_another_map() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let map = |seed| -> TensorData {
        let config = SmoothGradConfig { seed: Seed(seed), samples: 5, ..SmoothGradConfig::default() };
        let attribution = config.wrap(VanillaGradient).unwrap().attribute(&network, images.clone(), &Target::Class(0));
        attribution.unwrap().map.into_data()
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
        let smooth = config(5, 0.15, Statistic::Mean).wrap(VanillaGradient).unwrap();
        let smooth = smooth.with_batches(MicroBatcher::new(size).unwrap());
        smooth.attribute(&network, images.clone(), &Target::Top).unwrap()
    };
    let one = attribution(1);
    for size in [2, 7, 100] {
        let other = attribution(size);
        assert!(relative_l2(&values(other.map), &values(one.map.clone())) <= 1e-6, "size {size}");
        let [left, right] = [other.standard_error, one.standard_error.clone()].map(|error| values(error.unwrap()));
        assert!(relative_l2(&left, &right) <= 1e-5, "size {size}");
    }
}

/// Notes how many pictures it is given at once.
struct Counting(Mutex<Vec<usize>>);

impl<M: Differentiable> Attributor<M> for Counting {
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.0.lock().unwrap().push(images.dims()[0]);
        VanillaGradient.attribute(model, images, target)
    }
}

/// Two pictures once for what is explained, then their 2 × 5 noisy copies.
#[test]
fn noisy_pictures_come_in_batches() {
    let images = nets::pictures([2, 1, 2, 3], &Device::default(), DType::F32);
    let smooth = config(5, 0.15, Statistic::Mean).wrap(Counting(Mutex::default())).unwrap();
    let smooth = smooth.with_batches(MicroBatcher::new(4).unwrap());
    smooth.attribute(&sum_of_squares(), images, &Target::Class(0)).unwrap();
    assert_eq!(*smooth.inner.0.lock().unwrap(), [2, 4, 4, 2]);
}

#[test]
fn defaults_are_the_papers_and_the_provenance_repeats_the_map() {
    let device = Device::default();
    let network = nets::linear(Tensor::ones([1, 2], &device));
    let smooth = SmoothGradConfig::default().wrap(VanillaGradient).unwrap();
    let picture = Tensor::ones([1, 1, 1, 2], &device);
    let provenance = smooth.attribute(&network, picture, &Target::Top).unwrap().provenance;
    assert_eq!((provenance.method.as_str(), provenance.seed), ("smoothgrad", Some(Seed(0))));
    let parameters = &provenance.parameters;
    assert_eq!((&parameters["of"], &parameters["samples"]), (&json!("vanilla-gradient"), &json!(50)));
    assert_eq!((&parameters["noise"], &parameters["statistic"]), (&json!(0.15), &json!("mean")));
}

#[test]
fn bad_settings_are_refused() {
    let refused = |config: SmoothGradConfig| config.wrap(VanillaGradient).unwrap_err().to_string();
    assert!(refused(config(0, 0.1, Statistic::Mean)).contains("`samples` is 0"));
    for noise in [-0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let message = refused(config(1, noise, Statistic::Mean));
        assert!(message.contains(&format!("`noise` is {noise}")), "{message}");
    }
    assert!(MicroBatcher::new(0).is_err());
}

#[test]
fn conforms() {
    let device = Device::default();
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    for network in [nets::small_vgg(&device, DType::F32), nets::branches(&device, DType::F32)] {
        for statistic in [Statistic::Mean, Statistic::MeanOfSquares, Statistic::Variance] {
            let smooth = config(3, 0.15, statistic).wrap(VanillaGradient).unwrap();
            conformance(&smooth, &network, images.clone());
        }
        conformance(&config(3, 0.15, Statistic::Mean).wrap(GuidedBackprop).unwrap(), &network, images.clone());
    }
}
