//! Weight files that are as they should be, in every format; `weights/generate.py` wrote them.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor, TensorData};
use burnsight_core::{Classifier, Result, read};
use burnsight_zoo::{BUILT_IN, Cache, Card, InputCard, Labels, Model, Preprocessing, load, load_file, models};
use safetensors::SafeTensors;
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights").join(name)
}

fn open(path: &Path) -> Result<Model> {
    load_file(path, &Card::default(), &Device::default())
}

/// The picture and logits of torch.
fn expected() -> (Tensor<4>, Vec<f32>) {
    let bytes = fs::read(fixture("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| -> Vec<f32> {
        tensors.tensor(name).unwrap().data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let picture = TensorData::new(numbers("picture"), [1, 3, 64, 64]);
    (Tensor::from_data(picture, &Device::default()), numbers("logits"))
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
    squares(&mut a.iter().zip(b).map(|(a, b)| a - b)) / squares(&mut b.iter().copied())
}

/// A weight file with a card beside it.
fn with_card(card: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("birds.v2.pth");
    fs::copy(fixture("zip.pth"), &path).unwrap();
    fs::write(folder.path().join("birds.v2.json"), card).unwrap();
    (folder, path)
}

#[test]
fn every_format_gives_the_logits_of_torch() {
    let (picture, logits) = expected();
    for (file, tolerance) in [
        ("f32.safetensors", 1e-5),
        ("zip.pth", 1e-5),
        ("legacy.pth", 1e-5),
        ("2017.pth", 1e-5),
        ("module.pth", 1e-5),
        ("checkpoint.pth", 1e-5),
        ("views.pth", 1e-5),
        ("float64.safetensors", 1e-5),
        ("float64.pth", 1e-5),
        // Half the last digit of the weights: 2⁻¹¹ and 2⁻⁸, carried through ten layers.
        ("float16.safetensors", 2e-3),
        ("float16.pth", 2e-3),
        ("bfloat16.safetensors", 2e-2),
        ("bfloat16.pth", 2e-2),
    ] {
        let model = open(&fixture(file)).unwrap();
        let distance = distance(&read(model.network.logits(picture.clone()).unwrap()).unwrap(), &logits);
        assert!(distance < tolerance, "{file}: {distance}");
        // The formats differ, and a test that reads one twice would not see that.
        assert!(tolerance < 1e-4 || distance > 1e-5, "{file}: {distance}");
    }
}

#[test]
fn what_is_assumed_is_said() {
    let model = open(&fixture("f32.safetensors")).unwrap();
    assert_eq!(model.name, "f32");
    assert_eq!(model.labels, Labels::new(["class 0", "class 1", "class 2", "class 3"]));
    assert_eq!(model.preprocessing, Preprocessing::imagenet());
    assert!(model.notes.iter().any(|note| note.contains("no labels")), "{:?}", model.notes);
    assert!(model.notes.iter().any(|note| note.contains("size, mean, std") && note.contains("224×224")));
    let bytes = fs::read(fixture("f32.safetensors")).unwrap();
    let sum: String = <sha2::Sha256 as sha2::Digest>::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(model.sha256, sum);
}

#[test]
fn a_card_beside_the_file_and_settings_before_it() {
    let card = r#"{"labels": ["crane", "heron", "ibis", "stork"], "more": {"licence": "ours"},
        "input": {"size": [48, 64], "resize": 70, "mean": [0.5, 0.5, 0.5], "std": [1, 1, 1], "range": "[0, 1]"}}"#;
    let (_folder, path) = with_card(card);
    let model = open(&path).unwrap();
    assert_eq!(model.name, "birds.v2");
    assert_eq!(model.labels.name(2), Some("ibis"));
    let preprocessing = Preprocessing { resize: 70, size: [48, 64], mean: [0.5; 3], std: [1.0; 3] };
    assert_eq!(model.preprocessing, preprocessing);
    assert_eq!(model.notes, [""; 0]);

    let labels = Labels::new(["a", "b", "c", "d"]);
    let input = InputCard { size: Some([96, 80]), mean: Some([0.25; 3]), ..InputCard::default() };
    let settings = Card { name: Some("mine".into()), labels: Some(labels.clone()), input, ..Card::default() };
    let changed = load_file(&path, &settings, &Device::default()).unwrap();
    assert_eq!((changed.name.as_str(), &changed.labels), ("mine", &labels));
    // The card's 70 belongs to the card's size.
    let expected = Preprocessing { resize: 96, size: [96, 80], mean: [0.25; 3], std: [1.0; 3] };
    assert_eq!(changed.preprocessing, expected);
    assert_eq!(model.with_settings(&settings).unwrap().preprocessing, expected);
}

#[test]
fn a_number_is_a_square_and_half_a_card_is_completed() {
    let (_folder, path) = with_card("\u{feff}{\"input\": {\"size\": 64}}");
    let model = open(&path).unwrap();
    assert_eq!(model.preprocessing, Preprocessing { resize: 64, size: [64, 64], ..Preprocessing::imagenet() });
    assert!(model.notes.iter().any(|note| note.contains("says the mean, std of")), "{:?}", model.notes);
}

#[test]
fn a_sum_in_the_card_is_checked() {
    let sum = open(&fixture("zip.pth")).unwrap().sha256;
    for stated in [&sum, &sum.to_uppercase(), &sum[..8]] {
        open(&with_card(&format!("{{\"sha256\": \"{stated}\"}}")).1).unwrap();
    }
    for (stated, problem) in [
        (&sum.replace('0', "1")[..], "damaged or another file"),
        ("01234567", "damaged or another file"),
        ("0123", "8 to 64"),
        ("", "8 to 64"),
        ("not hexadecimal", "8 to 64"),
    ] {
        let error = open(&with_card(&format!("{{\"sha256\": \"{stated}\"}}")).1).unwrap_err().to_string();
        assert!(error.contains(problem) && error.contains(stated) && error.contains("birds.v2.pth"), "{error}");
    }
}

#[test]
fn labels_must_be_as_many_as_classes() {
    let settings = Card { labels: Some(Labels::imagenet()), ..Card::default() };
    let error = load_file(&fixture("zip.pth"), &settings, &Device::default()).unwrap_err().to_string();
    assert!(error.contains("4 classes") && error.contains("`labels` has 1000 labels"), "{error}");
    let error = load(BUILT_IN, &Device::default()).unwrap().with_settings(&settings).unwrap_err().to_string();
    assert!(error.contains("10 classes") && error.contains("1000 labels"), "{error}");
}

#[test]
fn weights_that_were_not_fetched_say_how() {
    let cache = Cache::new(TempDir::new().unwrap().path().join("none"));
    assert_eq!(cache.find("vgg16").unwrap(), None);
    let error = cache.require("vgg16").unwrap_err().to_string();
    assert!(error.contains("burnsight models fetch vgg16") && error.contains("553 MB"), "{error}");
    let error = cache.require("vgg17").unwrap_err().to_string();
    assert!(error.contains("vgg17") && error.contains("vgg19_bn") && error.contains(BUILT_IN), "{error}");
}

#[test]
fn the_table_has_nine_models() {
    let models = models().unwrap();
    assert_eq!(models.len(), 9);
    assert_eq!((models[0].name.as_str(), models[0].download), (BUILT_IN, None));
    let vgg16 = models.iter().find(|model| model.name == "vgg16").unwrap();
    assert_eq!((vgg16.classes, vgg16.size, vgg16.accuracy), (1000, [224, 224], 0.71592));
}
