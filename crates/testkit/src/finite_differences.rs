//! Gradients without a reverse pass.

use burn::tensor::{Tensor, TensorData};
use burnsight_core::{Classifier, Target};

/// Pictures per forward pass.
const BATCH: usize = 64;

/// The gradient of every picture's score with respect to its pixels, by central differences.
///
/// The differences are those of the logits; the slope of the score at the logits is the target's own. In `f64` a step
/// of 1e-6 gives about nine digits; in `f32` a step of 1e-2 gives about three.
///
/// # Shapes
/// - images: `[n, c, h, w]`
/// - returns: n · c · h · w numbers in that order
///
/// # Panics
/// When the model refuses the pictures or has no such target.
pub fn numeric_gradient(model: &impl Classifier, images: &Tensor<4>, target: &Target, step: f64) -> Vec<f64> {
    let logits = |images| model.logits(images).expect("the model takes the pictures");
    let score = target.score(logits(images.clone())).expect("the model has the target");
    let classes = score.cotangent.dims()[1];
    let of_picture = |(index, slope): (usize, &[f64])| {
        let picture = images.clone().slice_dim(0, index..index + 1);
        let score = |row: &[f64]| row.iter().zip(slope).map(|(logit, slope)| logit * slope).sum();
        central_differences(&picture, step, |changed| values(logits(changed)).chunks(classes).map(score).collect())
    };
    values(score.cotangent).chunks(classes).enumerate().flat_map(of_picture).collect()
}

/// (s(x + step) − s(x − step)) / 2 step for every pixel of one picture.
///
/// # Shapes
/// - picture: `[1, c, h, w]`
/// - scores: takes `[m, c, h, w]`, returns m numbers
/// - returns: c · h · w numbers
pub fn central_differences(picture: &Tensor<4>, step: f64, scores: impl Fn(Tensor<4>) -> Vec<f64>) -> Vec<f64> {
    let [_, channels, height, width] = picture.dims();
    let place = (&picture.device(), picture.dtype());
    let center = values(picture.clone());
    let pixels: Vec<usize> = (0..center.len()).collect();
    let of_pixels = |pixels: &[usize]| {
        let mut changed = Vec::with_capacity(2 * pixels.len() * center.len());
        for pixel in pixels {
            for change in [step, -step] {
                changed.extend_from_slice(&center);
                let start = changed.len() - center.len();
                changed[start + pixel] += change;
            }
        }
        let changed = TensorData::new(changed, [2 * pixels.len(), channels, height, width]);
        let scores = scores(Tensor::from_data(changed, place));
        scores.chunks(2).map(|pair| (pair[0] - pair[1]) / (2.0 * step)).collect::<Vec<f64>>()
    };
    pixels.chunks(BATCH / 2).flat_map(of_pixels).collect()
}

/// ‖a − b‖ / ‖b‖; 0 when both are all zero.
///
/// # Panics
/// When the lengths differ.
pub fn relative_l2(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "numbers to compare");
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
    if difference == 0.0 { 0.0 } else { difference / norm(&mut b.iter().copied()) }
}

/// Copies a tensor to the host, row by row, in full precision.
///
/// # Panics
/// When the backend failed.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}
