//! Deletion and insertion: how the probability of the class follows the pixels.

use burnsight_core::{Baseline, Error, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Curve, Direction, Metric, Reading, Subject,
    replacement::{Replacement, places, points},
};

const PAPER: &str =
    "Petsiuk et al. 2018, RISE: Randomized Input Sampling for Explanation of Black-box Models, arXiv:1806.07421";

/// How fast the probability of the explained class falls when pixels are taken away, the strongest of the map first. Lower is
/// better.
///
/// ```text
/// deletion = ∫₀¹ p(picture without its strongest share s of pixels) ds        insertion = ∫₀¹ p(blur with them) ds
///
/// p   softmax probability of the explained class        ∫   trapezoid over `steps` + 1 equally spaced shares
/// ```
///
/// Petsiuk et al. 2018 (RISE), <https://arxiv.org/abs/1806.07421>. All colours of a pixel go together. Of pixels with the
/// same value the upper left one goes first. A map that is the same everywhere orders nothing and has no value.
///
/// Costs steps + 1 forward passes. The paper takes 224 pixels a step, as many steps as a picture of 224 × 224 has rows.
///
/// # When it misleads
/// A picture with grey holes is like nothing that the model was trained on: its answer may be about the holes. Where
/// the baseline itself is taken for the class the curve ends high for every map. Scattered pixels, as of a gradient, destroy
/// more than a connected region of the same size, whether or not they are what the model looks at.
///
/// # Where libraries differ
/// xplique 2.0: 10 steps, baseline 0 for both metrics, and the score as the model returns it. Quantus 0.6 (`PixelFlipping`): one
/// number per step instead of a pixel, the picture's minimum as the baseline. Given the same baselines and steps that divide the
/// number of pixels, xplique's numbers are ours (it rounds counts down, we to the nearest).
#[derive(Debug, Clone, Serialize)]
pub struct Deletion {
    /// How many times pixels are taken away. Default: 20.
    pub steps: usize,
    /// What they become. Default: zero, which is the mean colour where pictures are normalised.
    pub baseline: Baseline,
}

/// How fast the probability of the explained class rises when pixels are put into a blurred picture, the strongest of the map
/// first. Higher is better.
///
/// The formula, the paper, the costs and the order are those of [`Deletion`]. A blurred picture is nearer to what the
/// model was trained on than one with grey holes.
///
/// # When it misleads
/// The blur leaves large things recognisable: where the model knows the class already, the curve is high for every map. Look
/// at where it starts.
///
/// # Where libraries differ
/// The paper blurs with a window of 11 × 11 pixels and σ = 5, which cuts the bell off at its sigma; here the window is as
/// wide as the bell. xplique 2.0 starts from 0.
#[derive(Debug, Clone, Serialize)]
pub struct Insertion {
    /// How many times pixels are put in. Default: 20.
    pub steps: usize,
    /// What is there before. Default: the picture blurred by a sixteenth of its shorter side, 10 pixels of 160.
    pub baseline: Option<Baseline>,
}

impl Deletion {
    /// The name in the tool.
    pub const NAME: &str = "deletion";
}

impl Default for Deletion {
    fn default() -> Self {
        Self { steps: STEPS, baseline: Baseline::Zero }
    }
}

impl Insertion {
    /// The name in the tool.
    pub const NAME: &str = "insertion";
}

impl Default for Insertion {
    fn default() -> Self {
        Self { steps: STEPS, baseline: None }
    }
}

const STEPS: usize = 20;

impl Metric for Deletion {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        PAPER
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`] for no steps, and [`Error::Target`] when not a class was explained.
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let gone = self.baseline.of(subject.images())?;
        let replacement = Replacement { before: subject.images().clone(), after: gone };
        let head = (Self::NAME, Direction::Lower);
        Ok(vec![reading(subject, replacement, self.steps, head, "share of pixels deleted")?])
    }
}

impl Metric for Insertion {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        PAPER
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`] for no steps, and [`Error::Target`] when not a class was explained.
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let [_, _, height, width] = subject.images().dims();
        let blurred = Baseline::Blurred { sigma: height.min(width) as f64 / 16.0 };
        let start = self.baseline.as_ref().unwrap_or(&blurred).of(subject.images())?;
        let replacement = Replacement { before: start, after: subject.images().clone() };
        let head = (Self::NAME, Direction::Higher);
        Ok(vec![reading(subject, replacement, self.steps, head, "share of pixels inserted")?])
    }
}

/// The curve of pixels replaced one after the other, and the area under it.
fn reading(
    subject: &Subject<'_>,
    replacement: Replacement,
    steps: usize,
    (name, direction): (&str, Direction),
    x_label: &str,
) -> Result<Reading> {
    if steps == 0 {
        return Err(Error::parameter("steps", steps, "at least 1"));
    }
    let values = subject.pixel_values()?;
    let pixels = values[0].len();
    let places: Vec<Option<Vec<f32>>> = values.iter().map(|map| places(map)).collect();
    let counts: Vec<usize> = (0..=steps).map(|step| (step * pixels + steps / 2) / steps).collect();
    let curves = replacement.curves(subject, &places, &counts, |images, rows| subject.probabilities(images, rows))?;
    let x: Vec<f64> = counts.iter().map(|count| *count as f64 / pixels as f64).collect();
    let areas = curves.iter().map(|curve| Some(area(&x, curve.as_ref()?))).collect();
    let (x_label, y_label) = (x_label.into(), "probability of the explained class".into());
    let y = points(curves, x.len());
    Ok(Reading::new(name, direction, areas).with_curve(Curve { x_label, y_label, x, ticks: Vec::new(), y }))
}

/// The area under a curve by trapezoids.
fn area(x: &[f64], y: &[f64]) -> f64 {
    x.windows(2).zip(y.windows(2)).map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device, Tensor};
    use burnsight_core::{Attributor, AutodiffModel, MicroBatcher, Seed, Target, select_images};
    use burnsight_input_x_gradient::InputXGradient;
    use burnsight_network::Network;
    use burnsight_testkit::nets;

    use super::*;

    /// p₀ = σ(x₁ + x₂) on a picture (1, 2).
    fn sum() -> (Network, Tensor<4>) {
        let device = Device::default();
        let network = nets::linear(Tensor::from_data([[1.0, 1.0], [0.0, 0.0]], &device));
        (network, Tensor::from_data([[[[1.0, 2.0]]]], &device))
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    fn value(metric: &dyn Metric, map: [f32; 2]) -> Option<f64> {
        let (network, picture) = sum();
        let maps = Tensor::from_data([[[map]]], &picture.device());
        let subject = Subject::of_maps(&network, picture, maps, &Target::Class(0)).unwrap();
        metric.measure(&subject).unwrap()[0].values[0]
    }

    #[test]
    fn by_hand() {
        let deletion = Deletion { steps: 2, ..Deletion::default() };
        let insertion = Insertion { steps: 2, baseline: Some(Baseline::Zero) };
        // The second pixel first: x₁ + x₂ is 3, 1, 0; inserted 0, 2, 3.
        let area = |[a, b, c]: [f64; 3]| (sigmoid(a) + 2.0 * sigmoid(b) + sigmoid(c)) / 4.0;
        assert!((value(&deletion, [0.1, 0.2]).unwrap() - area([3.0, 1.0, 0.0])).abs() < 1e-6);
        assert!((value(&insertion, [0.1, 0.2]).unwrap() - area([0.0, 2.0, 3.0])).abs() < 1e-6);
        // The first pixel first: 3, 2, 0 and 0, 1, 3.
        assert!((value(&deletion, [0.2, 0.1]).unwrap() - area([3.0, 2.0, 0.0])).abs() < 1e-6);
        assert!((value(&insertion, [0.2, 0.1]).unwrap() - area([0.0, 1.0, 3.0])).abs() < 1e-6);
    }

    #[test]
    fn a_flat_map_orders_nothing() {
        assert_eq!(value(&Deletion::default(), [0.3, 0.3]), None);
    }

    /// A linear model and 6 × 6 pictures in which the class depends on every pixel by another weight.
    fn many() -> (Network, Tensor<4>) {
        let device = Device::default();
        let weight = Seed(2).normal(0, [2, 108], &device);
        (nets::linear(weight), Seed(3).normal(0, [5, 3, 6, 6], &device))
    }

    #[test]
    fn the_true_contributions_beat_random_ones_and_those_beat_the_inverted() {
        let (network, pictures) = many();
        // For two classes the probability follows the difference of the logits.
        let target = Target::Contrast { class: 0, against: 1 };
        let right = InputXGradient.attribute(&network, pictures.clone(), &target).unwrap().map;
        let random = Seed(4).normal(0, right.dims(), &right.device());
        let mean = |metric: &dyn Metric, maps: Tensor<4>| {
            let subject = Subject::of_maps(&network, pictures.clone(), maps, &Target::Class(0)).unwrap();
            crate::Summary::of(&metric.measure(&subject).unwrap()[0].values).mean.unwrap()
        };
        let deletion = [right.clone(), random.clone(), -right.clone()].map(|maps| mean(&Deletion::default(), maps));
        assert!(deletion[0] + 0.1 < deletion[1] && deletion[1] + 0.1 < deletion[2], "{deletion:?}");
        let insertion = Insertion { baseline: Some(Baseline::Zero), ..Insertion::default() };
        let insertion = [right.clone(), random, -right].map(|maps| mean(&insertion, maps));
        assert!(insertion[0] > insertion[1] + 0.1 && insertion[1] > insertion[2] + 0.1, "{insertion:?}");
    }

    #[test]
    fn curves_begin_and_end_where_they_must_whatever_the_batch() {
        let device = Device::default();
        let network = nets::small_vgg(&device, DType::F32);
        let pictures = nets::pictures([3, 3, 9, 7], &device, DType::F32);
        let measure = |metric: &dyn Metric, pictures: Tensor<4>, batch: usize| {
            let subject = Subject::of_network(&network, &InputXGradient, pictures, &Target::Class(2)).unwrap();
            let subject = subject.with_batches(MicroBatcher::new(batch).unwrap());
            metric.measure(&subject).unwrap().remove(0)
        };
        let insertion = Insertion::default();
        let reading = measure(&insertion, pictures.clone(), 2);
        let others = [measure(&insertion, pictures.clone(), 100), measure(&insertion, pictures.clone(), 1)];
        let alone = measure(&insertion, select_images(&pictures, [1]), 5);
        let close = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-6;
        for other in &others {
            assert!(reading.values.iter().zip(&other.values).all(|(a, b)| close(*a, *b)));
        }
        assert!(close(reading.values[1], alone.values[0]));

        let subject = Subject::of_network(&network, &InputXGradient, pictures.clone(), &Target::Class(2)).unwrap();
        let rows = [0, 1, 2].map(|image| burnsight_core::Row { image, sample: 0 });
        let probability = |images: Tensor<4>| subject.probabilities(images, &rows).unwrap();
        let (clean, blurred) = (probability(pictures.clone()), Baseline::Blurred { sigma: 7.0 / 16.0 });
        let blurred = probability(blurred.of(&pictures).unwrap());
        let zero = probability(pictures.zeros_like());
        let deletion = measure(&Deletion::default(), pictures, 2).curve.unwrap();
        let insertion = reading.curve.unwrap();
        assert_eq!((insertion.x[0], insertion.x[20], insertion.x.len()), (0.0, 1.0, 21));
        for image in 0..3 {
            let at = |curve: &Curve, step: usize| curve.y[image][step].map(|y| y as f32);
            assert!((at(&deletion, 0).unwrap() - clean[image]).abs() < 1e-6);
            assert!((at(&deletion, 20).unwrap() - zero[image]).abs() < 1e-6);
            assert!((at(&insertion, 0).unwrap() - blurred[image]).abs() < 1e-6);
            assert!((at(&insertion, 20).unwrap() - clean[image]).abs() < 1e-6);
        }
    }

    #[test]
    fn any_model_but_only_classes() {
        let model = AutodiffModel::from_closure(|images: Tensor<4>| images.flatten::<2>(1, 3));
        let picture = Tensor::from_data([[[[1.0, 2.0]]]], &Device::default());
        let subject = |target| Subject::of_maps(&model, picture.clone(), picture.clone(), &target).unwrap();
        assert!(Deletion::default().measure(&subject(Target::Class(1))).is_ok());
        let refused = |metric: &dyn Metric, target| metric.measure(&subject(target)).unwrap_err().to_string();
        let contrast = Target::Contrast { class: 0, against: 1 };
        assert!(refused(&Deletion::default(), contrast).contains("explain a class"));
        let no_steps = Insertion { steps: 0, ..Insertion::default() };
        assert!(refused(&no_steps, Target::Top).contains("`steps` is 0"));
    }
}
