//! Preprocessing against torchvision (`torchvision/generate.py`), and at its limits.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use burn::tensor::Device;
use burnsight_core::Error;
use burnsight_zoo::{CropBox, Prepared, Preprocessing};
use image::RgbImage;
use safetensors::SafeTensors;

const FIXTURE: &[u8] = include_bytes!("torchvision/fixture.safetensors");

/// Values 0 to 1, one to one.
fn plain(resize: usize, size: [usize; 2]) -> Preprocessing {
    Preprocessing { resize, size, mean: [0.0; 3], std: [1.0; 3] }
}

fn apply(preprocessing: &Preprocessing, picture: &RgbImage) -> Prepared {
    preprocessing.apply(picture, &Device::flex()).unwrap()
}

fn values(prepared: Prepared) -> Vec<f32> {
    prepared.tensor.into_data().try_to_vec().unwrap()
}

fn near(a: CropBox, b: [f64; 4]) -> bool {
    [a.left, a.top, a.width, a.height].iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn it_does_what_torchvision_does() {
    let (_, header) = SafeTensors::read_metadata(FIXTURE).unwrap();
    let settings: &HashMap<String, String> = header.metadata().as_ref().unwrap();
    let fixture = SafeTensors::deserialize(FIXTURE).unwrap();
    let cases: Vec<_> = settings.iter().filter(|(name, _)| *name != "versions").collect();
    assert_eq!(cases.len(), 10);

    for (name, json) in cases {
        let preprocessing: Preprocessing = serde_json::from_str(json).unwrap();
        let picture = fixture.tensor(&format!("{name}.picture")).unwrap();
        let [height, width, 3] = *picture.shape() else { panic!("{name}: not RGB") };
        let picture = RgbImage::from_raw(width as u32, height as u32, picture.data().to_vec()).unwrap();
        let expected = fixture.tensor(&format!("{name}.tensor")).unwrap();
        let expected: Vec<f32> =
            expected.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();

        let prepared = apply(&preprocessing, &picture);
        let [h, w] = preprocessing.size;
        assert_eq!(prepared.tensor.dims(), [1, 3, h, w]);
        // In grey levels, so that a rounding that falls on the other side counts 1.
        let errors: Vec<f32> = values(prepared)
            .iter()
            .zip(&expected)
            .enumerate()
            .map(|(i, (ours, theirs))| (ours - theirs).abs() * preprocessing.std[i / (h * w)] * 255.0)
            .collect();
        let largest = errors.iter().copied().fold(0.0, f32::max);
        let mean = errors.iter().sum::<f32>() / errors.len() as f32;
        assert!(largest < 1.001 && mean < 0.04, "{name}: largest {largest}, mean {mean} grey levels");
    }
}

#[test]
fn the_view_is_where_the_crop_lies_in_the_picture() {
    let view = |width, height, resize, size| apply(&plain(resize, size), &RgbImage::new(width, height)).view;
    assert!(near(view(64, 64, 32, [32, 32]), [0.0, 0.0, 64.0, 64.0]));
    assert!(near(view(64, 64, 32, [16, 24]), [8.0, 16.0, 48.0, 32.0]));
    assert!(near(view(100, 50, 10, [10, 10]), [25.0, 0.0, 50.0, 50.0]));
    assert!(near(view(50, 100, 10, [10, 10]), [0.0, 25.0, 50.0, 50.0]));
    // (25 − 20) / 2 = 2.5 rounds to the even 2, and (20 − 17) / 2 = 1.5 too.
    assert!(near(view(25, 20, 20, [17, 20]), [2.0, 2.0, 20.0, 17.0]));
}

#[test]
fn a_single_pixel_fills_the_tensor() {
    let picture = RgbImage::from_pixel(1, 1, image::Rgb([255, 102, 0]));
    let preprocessing = Preprocessing { mean: [0.5, 0.0, 0.25], std: [0.5, 1.0, 0.5], ..plain(8, [4, 4]) };
    let prepared = apply(&preprocessing, &picture);
    assert!(prepared.notes.len() == 1, "a quarter is seen: {:?}", prepared.notes);
    let values = values(prepared);
    for (channel, expected) in [1.0, 0.4, -0.5].iter().enumerate() {
        assert!(values[channel * 16..][..16].iter().all(|value| (value - expected).abs() < 1e-6), "{values:?}");
    }
}

#[test]
fn a_line_of_pixels_does_not_blow_up() {
    // Scaled whole, it would be 5 120 000 × 256.
    let mut picture = RgbImage::new(20000, 1);
    picture.put_pixel(9999, 0, image::Rgb([255; 3]));
    picture.put_pixel(10000, 0, image::Rgb([255; 3]));
    let imagenet = Preprocessing::imagenet();
    let prepared = apply(&imagenet, &picture);
    assert!(near(prepared.view, [9999.5625, 0.0625, 0.875, 0.875]), "{:?}", prepared.view);
    let note = &prepared.notes[0];
    assert!(note.contains("0.9 × 0.9 of 20000 × 1"), "{note}");
    let white = (1.0 - imagenet.mean[0]) / imagenet.std[0];
    assert!(values(prepared)[..224 * 224].iter().all(|value| (value - white).abs() < 1e-5));
}

#[test]
fn a_note_is_given_only_when_most_is_cut_away() {
    let notes = |width, height| apply(&plain(16, [16, 16]), &RgbImage::new(width, height)).notes;
    assert!(notes(32, 64).is_empty());
    let notes = notes(32, 66);
    assert!(notes.len() == 1 && notes[0].contains("32 × 66"), "{notes:?}");
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let good = plain(8, [8, 8]);
    let cases = [
        ("resize", Preprocessing { resize: 0, ..good.clone() }),
        ("resize", Preprocessing { resize: 1 << 40, ..good.clone() }),
        ("size", Preprocessing { size: [0, 8], ..good.clone() }),
        ("size", Preprocessing { size: [8, 9], ..good.clone() }),
        ("mean", Preprocessing { mean: [f32::NAN, 0.0, 0.0], ..good.clone() }),
        ("std", Preprocessing { std: [1.0, 0.0, 1.0], ..good.clone() }),
        ("std", Preprocessing { std: [1.0, -1.0, 1.0], ..good }),
    ];
    for (name, preprocessing) in cases {
        match preprocessing.apply(&RgbImage::new(4, 4), &Device::flex()).unwrap_err() {
            Error::Parameter { parameter, .. } => assert_eq!(parameter, name),
            other => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn a_picture_without_pixels_is_refused() {
    let error = plain(8, [8, 8]).apply(&RgbImage::new(0, 5), &Device::flex()).unwrap_err();
    assert!(matches!(error, Error::Image { .. }) && error.to_string().contains("0 × 5"), "{error}");
}

#[test]
fn settings_survive_a_file_and_misspelt_ones_are_refused() {
    let json = serde_json::to_string(&Preprocessing::imagenet()).unwrap();
    assert_eq!(serde_json::from_str::<Preprocessing>(&json).unwrap(), Preprocessing::imagenet());
    assert!(serde_json::from_str::<Preprocessing>(&json.replace("\"std\"", "\"sdt\"")).is_err());
}
