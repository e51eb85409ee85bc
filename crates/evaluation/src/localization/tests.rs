#![allow(clippy::unwrap_used)]
use burn::tensor::{Device, Tensor, TensorData};
use burnsight_core::{Error, MicroBatcher, Result, Seed, Target};
use burnsight_network::Network;
use burnsight_testkit::nets::linear;
use rand::RngExt;

use super::*;
use crate::{Metric, PixelValue, Reading};

const HEIGHT: usize = 3;
const WIDTH: usize = 3;

fn tensor(values: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

/// Two classes: the first pixel and the last.
fn model(pixels: usize) -> Network {
    let mut weight = vec![0.0; 2 * pixels];
    weight[0] = 1.0;
    weight[2 * pixels - 1] = 1.0;
    linear(Tensor::from_data(TensorData::new(weight, [2, pixels]), &Device::default()))
}

fn measure(metric: &dyn Metric, [height, width]: [usize; 2], pictures: &[(&[f32], &[bool])]) -> Result<Vec<Reading>> {
    let model = model(height * width);
    let shape = [pictures.len(), 1, height, width];
    let maps = tensor(pictures.iter().flat_map(|(map, _)| map.to_vec()).collect(), shape);
    let masks = pictures.iter().map(|(_, mask)| Mask::new(height, width, mask.to_vec()).unwrap()).collect();
    let subject = Subject::of_maps(&model, maps.zeros_like(), maps, &Target::Class(0)).unwrap();
    metric.measure(&subject.with_masks(masks).unwrap())
}

/// The readings of one picture.
fn values(metric: &dyn Metric, size: [usize; 2], map: &[f32], mask: &[bool]) -> Vec<Option<f64>> {
    measure(metric, size, &[(map, mask)]).unwrap().iter().map(|reading| reading.values[0]).collect()
}

fn all() -> [Box<dyn Metric>; 4] {
    [
        Box::new(PointingGame::default()),
        Box::new(MassAccuracy),
        Box::new(RankAccuracy),
        Box::new(IntersectionOverUnion::default()),
    ]
}

/// Pointing game, mass accuracy, rank accuracy, IoU at the best and at the fixed threshold.
fn values_of_all(size: [usize; 2], map: &[f32], mask: &[bool]) -> Vec<Option<f64>> {
    all().iter().flat_map(|metric| values(metric.as_ref(), size, map, mask)).collect()
}

fn assert_near(values: &[Option<f64>], expected: &[Option<f64>]) {
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        let near = match (value, expected) {
            (Some(value), Some(expected)) => (value - expected).abs() < 1e-12,
            (value, expected) => value == expected,
        };
        assert!(near, "{values:?} {expected:?}");
    }
}

const MAP: [f32; 9] = [5.0, 4.0, 0.0, 3.0, 2.0, 0.0, 1.0, 0.0, -1.0];
const MASK: [bool; 9] = [true, false, false, true, false, false, false, false, false];

#[test]
fn by_hand() {
    // The object has 5 and 3. Mass: (5 + 3) / (5 + 4 + 3 + 2 + 1). Rank: of 5 and 4 one is inside. IoU: {5}: 1/2,
    // {5, 4}: 1/3, {5, 4, 3}: 2/3, then falling; at 0.2 · 5: {5, 4, 3, 2, 1}: 2/5.
    let expected = [Some(1.0), Some(8.0 / 15.0), Some(0.5), Some(2.0 / 3.0), Some(0.4)];
    assert_near(&values_of_all([HEIGHT, WIDTH], &MAP, &MASK), &expected);
    // Turned over, the one positive value is outside; the best cut is the whole picture, 2 of 9.
    let expected = [Some(0.0), Some(0.0), Some(0.0), Some(2.0 / 9.0), Some(0.0)];
    assert_near(&values_of_all([HEIGHT, WIDTH], &MAP.map(|value| -value), &MASK), &expected);
}

#[test]
fn names_and_directions() {
    let readings: Vec<Reading> =
        all().iter().flat_map(|metric| measure(metric.as_ref(), [HEIGHT, WIDTH], &[(&MAP, &MASK)]).unwrap()).collect();
    let names: Vec<&str> = readings.iter().map(|reading| reading.name.as_str()).collect();
    let iou = ["intersection-over-union, best threshold", "intersection-over-union, fixed threshold"];
    assert_eq!(names, [&["pointing-game", "mass-accuracy", "rank-accuracy"][..], &iou].concat());
    assert!(readings.iter().all(|reading| reading.direction == crate::Direction::Higher));
    assert_eq!(IntersectionOverUnion::default().parameters(), serde_json::json!({ "threshold": 0.2 }));
    assert_eq!(PointingGame { tolerance: 15 }.parameters(), serde_json::json!({ "tolerance": 15 }));
}

#[test]
fn the_mask_beats_chance_beats_the_inverted_mask() {
    let size = [12, 10];
    let mask: Vec<bool> =
        (0..120).map(|pixel| (2..8).contains(&(pixel / 10)) && (3..7).contains(&(pixel % 10))).collect();
    let share = 24.0 / 120.0;
    let perfect: Vec<f32> = mask.iter().map(|inside| f32::from(u8::from(*inside))).collect();
    let inverted: Vec<f32> = perfect.iter().map(|value| 1.0 - value).collect();
    assert_near(&values_of_all(size, &perfect, &mask), &[Some(1.0); 5]);
    // 0 of the mask is above any threshold but the lowest, which takes in everything.
    let expected = [Some(0.0), Some(0.0), Some(0.0), Some(share), Some(0.0)];
    assert_near(&values_of_all(size, &inverted, &mask), &expected);

    // The means of 400 random maps: standard errors are at most √(0.2 · 0.8 / 400) = 0.02.
    let mut generator = Seed(0).stream(0);
    let maps: Vec<Vec<f32>> = (0..400).map(|_| (0..120).map(|_| generator.random()).collect()).collect();
    let pictures: Vec<(&[f32], &[bool])> = maps.iter().map(|map| (map.as_slice(), mask.as_slice())).collect();
    let means: Vec<f64> = all()
        .iter()
        .flat_map(|metric| measure(metric.as_ref(), size, &pictures).unwrap())
        .map(|reading| reading.values.iter().copied().map(Option::unwrap).sum::<f64>() / 400.0)
        .collect();
    let fixed = 0.8 * share / (0.8 + share - 0.8 * share);
    assert!(means[..3].iter().all(|mean| (mean - share).abs() < 0.06), "{means:?}");
    assert!(means[3] > share && means[3] < share + 0.06, "{means:?}");
    assert!((means[4] - fixed).abs() < 0.02, "{means:?}");
}

#[test]
fn no_value_where_there_is_nothing_to_say() {
    let none = [None; 5];
    assert_near(&values_of_all([HEIGHT, WIDTH], &MAP, &[false; 9]), &none);
    assert_near(&values_of_all([HEIGHT, WIDTH], &MAP, &[true; 9]), &none);
    assert_near(&values_of_all([HEIGHT, WIDTH], &[0.0; 9], &MASK), &none);
    assert_near(&values_of_all([HEIGHT, WIDTH], &[0.3; 9], &MASK), &none);
    assert_near(&values_of_all([1, 1], &[1.0], &[true]), &none);
    // Negative everywhere: there are a highest pixel and an order, but no evidence to share out.
    let negative = MAP.map(|value| value - 6.0);
    let expected = [Some(1.0), None, Some(0.5), Some(2.0 / 3.0), None];
    assert_near(&values_of_all([HEIGHT, WIDTH], &negative, &MASK), &expected);
}

#[test]
fn pixels_of_equal_value_have_no_order() {
    // Room for 2: the 1, and one of three zeros of which one is inside: (1 + 1/3) / 2, from whichever side.
    let (map, mask) = ([1.0, 0.0, 0.0, 0.0], [true, true, false, false]);
    assert_near(&values(&RankAccuracy, [1, 4], &map, &mask), &[Some(2.0 / 3.0)]);
    let mirrored = [0.0, 0.0, 0.0, 1.0];
    assert_near(&values(&RankAccuracy, [1, 4], &mirrored, &[false, false, true, true]), &[Some(2.0 / 3.0)]);
    // All pixels of a tie are cut out together: {1}: 1/2, everything: 2/4.
    let iou = values(&IntersectionOverUnion::default(), [1, 4], &map, &mask);
    assert_near(&iou, &[Some(0.5), Some(0.5)]);
    // A zero has no sign.
    let ties = highest_first(&[-0.0, 1.0, 0.0, -0.0], &Mask::new(1, 4, mask.to_vec()).unwrap());
    assert_eq!(ties.iter().map(|tie| (tie.pixels, tie.inside)).collect::<Vec<_>>(), [(1, 1), (3, 1)]);
}

#[test]
fn every_highest_pixel_must_hit() {
    let game = PointingGame::default();
    let map = [2.0, 2.0, 1.0, 0.0];
    assert_near(&values(&game, [1, 4], &map, &[true, false, true, false]), &[Some(0.0)]);
    assert_near(&values(&game, [1, 4], &map, &[true, true, false, false]), &[Some(1.0)]);
}

#[test]
fn pointing_beside_the_object_within_the_tolerance() {
    let (map, mask) = ([0.0, 0.0, 1.0, 0.0, 0.0], [true, false, false, false, false]);
    let at = |tolerance| values(&PointingGame { tolerance }, [1, 5], &map, &mask)[0];
    assert_eq!([at(0), at(1), at(2), at(3)], [Some(0.0), Some(0.0), Some(1.0), Some(1.0)]);
    // Everything is within 4 pixels.
    assert_eq!(at(4), None);
}

#[test]
fn a_fixed_threshold_is_a_share_of_the_maximum() {
    // Of 5: 0.6 keeps {5, 4, 3}: 2/3, 0.61 keeps {5, 4}: 1/3, 1 keeps {5}: 1/2.
    let at = |threshold| values(&IntersectionOverUnion { threshold }, [HEIGHT, WIDTH], &MAP, &MASK)[1];
    assert_near(&[at(0.6), at(0.61), at(1.0)], &[Some(2.0 / 3.0), Some(1.0 / 3.0), Some(0.5)]);
    for threshold in [0.0, -0.1, 1.1, f64::NAN] {
        let error = measure(&IntersectionOverUnion { threshold }, [HEIGHT, WIDTH], &[(&MAP, &MASK)]).unwrap_err();
        assert!(error.to_string().contains("`threshold`"), "{error}");
    }
}

#[test]
fn a_picture_in_company_scores_as_alone() {
    let maps = [MAP, MAP.map(|value| -value), [1.0; 9]];
    let masks = [MASK, MASK.map(|inside| !inside), MASK];
    let pictures: Vec<(&[f32], &[bool])> = maps.iter().zip(&masks).map(|(map, mask)| (&map[..], &mask[..])).collect();
    for metric in all() {
        let together = measure(metric.as_ref(), [HEIGHT, WIDTH], &pictures).unwrap();
        for (index, (map, mask)) in pictures.iter().enumerate() {
            let alone = values(metric.as_ref(), [HEIGHT, WIDTH], map, mask);
            assert_eq!(together.iter().map(|reading| reading.values[index]).collect::<Vec<_>>(), alone);
        }
    }
}

#[test]
fn colours_count_as_the_subject_says() {
    // Sums 1 and 2, largest magnitudes 3 and 1.
    let maps = tensor(vec![3.0, 1.0, -2.0, 1.0], [1, 2, 1, 2]);
    let model = model(4);
    for (pixel_value, hit) in [(PixelValue::Signed, 0.0), (PixelValue::Magnitude, 1.0)] {
        let subject = Subject::of_maps(&model, maps.zeros_like(), maps.clone(), &Target::Class(0)).unwrap();
        let subject = subject.with_masks(vec![Mask::new(1, 2, vec![true, false]).unwrap()]).unwrap();
        let readings = PointingGame::default().measure(&subject.with_pixel_value(pixel_value)).unwrap();
        assert_eq!(readings[0].values, [Some(hit)]);
    }
}

#[test]
fn without_masks_the_metric_says_what_it_needs() {
    let model = model(9);
    let maps = tensor(MAP.to_vec(), [1, 1, HEIGHT, WIDTH]);
    let subject = Subject::of_maps(&model, maps.zeros_like(), maps, &Target::Class(0)).unwrap();
    for metric in all() {
        let error = metric.measure(&subject).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { method, .. } if method == metric.name()), "{error}");
    }
}

#[test]
fn pictures_taken_for_something_else_are_found() {
    // First pixel against last: classes 0, 1, 1.
    let images = tensor(vec![2.0, 1.0, 0.0, 1.0, -2.0, -1.0], [3, 1, 1, 2]);
    for size in [1, 2, 3] {
        let batches = MicroBatcher::new(size).unwrap();
        let correct = |labels: &[usize]| correctly_classified(&model(2), &images, labels, &batches);
        assert_eq!(correct(&[0, 1, 0]).unwrap(), [true, true, false]);
        assert!(correct(&[0, 1]).unwrap_err().to_string().contains("`labels` is 2"));
        assert!(correct(&[0, 1, 2]).unwrap_err().to_string().contains("`label` is 2"));
    }
}
