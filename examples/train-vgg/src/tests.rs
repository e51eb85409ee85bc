#![allow(clippy::unwrap_used)]

use std::fs;

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use burnsight::{Classifier, Seed, network::WeightFile, read};
use clap::{CommandFactory, FromArgMatches};
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::{export::weights, settings::Settings};

const CLASSES: [&str; 3] = ["disc", "frame", "n03445777"];

/// A light shape of random place, size and colour on a dark noisy ground: a disc, a frame or stripes.
fn draw(class: usize, random: &mut StdRng) -> RgbImage {
    let radius = random.random_range(9.0..13.0f32);
    let center = [(); 2].map(|()| random.random_range(radius..40.0 - radius));
    let light: [u8; 3] = std::array::from_fn(|_| random.random_range(140..255));
    RgbImage::from_fn(40, 40, |x, y| {
        let [dx, dy] = [x as f32 - center[0], y as f32 - center[1]];
        let far = dx.abs().max(dy.abs());
        let painted = match class {
            0 => dx.hypot(dy) < radius,
            1 => far < radius && far > radius - 4.0,
            _ => far < radius && (x / 3 + y / 3) % 2 == 0,
        };
        if painted { Rgb(light) } else { Rgb([(); 3].map(|()| random.random_range(0..90))) }
    })
}

/// `train` pictures per class to learn from, 10 to be tested on.
fn folder(train: usize) -> TempDir {
    let random = &mut StdRng::seed_from_u64(0);
    let folder = TempDir::new().unwrap();
    for (part, count) in [("train", train), ("val", 10)] {
        for (class, name) in CLASSES.iter().enumerate() {
            let folder = folder.path().join(part).join(name);
            fs::create_dir_all(&folder).unwrap();
            (0..count).for_each(|i| draw(class, random).save(folder.join(format!("{i:03}.png"))).unwrap());
        }
    }
    folder
}

/// A tiny network unless the flags say otherwise.
fn arguments(flags: &str) -> Arguments {
    let base = "train-vgg DATA --out OUT --size 32 --width 0.125 --batch 12 --learning-rate 0.005";
    let command = Arguments::command().args_override_self(true);
    let matches = command.try_get_matches_from(base.split(' ').chain(flags.split_whitespace())).unwrap();
    Arguments::from_arg_matches(&matches).unwrap()
}

fn settings(flags: &str) -> Settings {
    let arguments = arguments(flags);
    arguments.check().unwrap();
    arguments.settings
}

/// Trains to the end.
fn run<'data>(data: &'data Data, settings: &Settings) -> Run<'data> {
    let mut run = Run::new(data, settings.clone(), &Device::default()).unwrap();
    while !run.finished() {
        run.epoch().unwrap();
    }
    run
}

#[test]
fn it_learns_and_random_labels_do_not_help() {
    let folder = folder(40);
    let honest = settings("--epochs 8 --no-augmentation");
    let data = Data::open(folder.path(), &honest).unwrap();
    let last = run(&data, &honest).curve.pop().unwrap();
    assert!(last.train_accuracy > 0.9 && last.val_accuracy > 0.9, "{last:?}");

    let shuffled = Settings { random_labels: true, ..honest.clone() };
    let twin_data = Data::open(folder.path(), &shuffled).unwrap();
    let twin = run(&twin_data, &shuffled).curve.pop().unwrap();
    // Chance is 1/3, and of 30 pictures 18 are right by chance in one case of 400.
    assert!(twin.val_accuracy < 0.6, "{twin:?}");
    assert!(twin.train_loss > last.train_loss + 0.2, "{twin:?}");
    // The same labels every time.
    assert_eq!(twin_data.fingerprint(), Data::open(folder.path(), &shuffled).unwrap().fingerprint());
    assert_ne!(twin_data.fingerprint(), data.fingerprint());
}

/// The uninterrupted run has the same curve but for the time, and in the end the same weights.
#[test]
fn a_resumed_run_is_the_whole_run() {
    let (folder, device) = (folder(12), Device::default());
    let settings = settings("--epochs 3");
    let data = Data::open(folder.path(), &settings).unwrap();
    let whole = run(&data, &settings);

    let path = folder.path().join("checkpoint");
    let mut first = Run::new(&data, settings.clone(), &device).unwrap();
    first.epoch().unwrap();
    first.save(&path).unwrap();
    drop(first);
    let mut second = Run::resume(&data, settings.clone(), &device, &path).unwrap();
    second.epoch().unwrap();
    second.save(&path).unwrap();
    let mut third = Run::resume(&data, settings.clone(), &device, &path).unwrap();
    third.epoch().unwrap();

    let curve = |run: &Run| run.curve.iter().map(|row| Row { seconds: 0.0, ..row.clone() }).collect::<Vec<_>>();
    assert_eq!(curve(&third), curve(&whole));
    let exported = |run: &Run| weights(run).unwrap();
    assert_eq!(exported(&third), exported(&whole));
    assert_ne!(whole.curve[1].train_loss, whole.curve[2].train_loss);

    let refusal = |settings: &Settings, data: &Data| {
        Run::resume(data, settings.clone(), &device, &path).err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    let other = Settings { batch: 6, ..settings.clone() };
    assert!(refusal(&other, &data).contains("`--batch` is 6 now and was 12"), "{}", refusal(&other, &data));
    fs::remove_file(folder.path().join("train/disc/003.png")).unwrap();
    let fewer = Data::open(folder.path(), &settings).unwrap();
    assert!(refusal(&settings, &fewer).contains("other pictures"), "{}", refusal(&settings, &fewer));
    let whole_file = fs::read(&path).unwrap();
    let mut flipped = whole_file.clone();
    flipped[whole_file.len() / 2] ^= 1;
    for bytes in [&flipped, &whole_file[..whole_file.len() / 2], b"", b"{}"] {
        fs::write(&path, bytes).unwrap();
        assert!(refusal(&settings, &data).contains("checkpoint is damaged"), "{}", refusal(&settings, &data));
    }
    fs::remove_file(&path).unwrap();
    assert!(refusal(&settings, &data).contains("begin without `--resume`"));
}

/// The zoo's network computes from the file what the module computes in evaluation mode.
#[test]
fn the_exported_network_is_the_trained_one() {
    let (folder, device) = (folder(12), Device::default());
    let settings = settings("--epochs 1");
    let data = Data::open(folder.path(), &settings).unwrap();
    let run = run(&data, &settings);
    let out = folder.path();
    let ([file, card], accuracy) = export::export(&run, out, "tiny", "train-vgg …").unwrap();

    let bytes = fs::read(file).unwrap();
    let network = run.architecture().build(WeightFile::safetensors("tiny", &bytes, &device).unwrap()).unwrap();
    let pictures: Tensor<4> = Seed(1).normal(0, [2, 3, 48, 40], &device);
    let exported = read(network.logits(pictures.clone()).unwrap()).unwrap();
    let trained = read(run.average.valid().forward(pictures.clone(), None)).unwrap();
    let latest = read(run.model.valid().forward(pictures, None)).unwrap();
    let distance = |other: &[f32]| exported.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(distance(&trained) < 1e-5, "{exported:?} {trained:?}");
    assert!(distance(&latest) > 1e-3, "the average and not the latest weights are exported");

    let card: Value = serde_json::from_slice(&fs::read(card).unwrap()).unwrap();
    let shipped: Value =
        serde_json::from_str(include_str!("../../../models/zoo/weights/vgg11-imagenette.json")).unwrap();
    let missing = |shipped: &Value, ours: &Value| -> Vec<String> {
        shipped.as_object().unwrap().keys().filter(|field| ours.get(field.as_str()).is_none()).cloned().collect()
    };
    assert_eq!(missing(&shipped, &card), ["accuracy_per_class_160"], "which is named after the size");
    assert_eq!(missing(&shipped["training"], &card["training"]), [""; 0]);
    assert_eq!(missing(&shipped["input"], &card["input"]), [""; 0]);
    assert_eq!(card["sha256"], data::hexadecimal(&bytes));
    assert_eq!(card["labels"], serde_json::json!(["disc", "frame", "golf ball"]));
    assert_eq!(card["channels"], serde_json::json!([8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, 64, "M"]));
    let values: usize = safetensors::SafeTensors::deserialize(&bytes)
        .unwrap()
        .tensors()
        .iter()
        .map(|(_, view)| view.data().len() / 4)
        .sum();
    assert_eq!(card["parameters"], values);
    assert_eq!(card["accuracy_val"]["32"], (accuracy * 1e4).round() / 1e4);
    assert!((accuracy - run.curve[0].val_accuracy).abs() < 1e-9);
    assert_eq!(card["input"]["mean"], shipped["input"]["mean"]);
}

#[test]
fn bad_data_and_settings_are_refused() {
    let folder = folder(4);
    let refusal = |flags: &str| {
        let data = Data::open(folder.path(), &settings(flags));
        let error = data.and_then(|data| Run::new(&data, settings(flags), &Device::default()).map(|_| ())).err();
        error.map(|error| format!("{error:#}")).unwrap_or_default()
    };
    let says = |text: &str, words: &[&str]| assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert_eq!(refusal(""), "");
    says(&refusal("--batch 13"), &["`--batch` is 13", "12 training pictures"]);
    says(&refusal("--limit 2"), &["6 training pictures"]);

    let at = |path: &str| folder.path().join(path);
    fs::write(at("val/frame/003.png"), b"no picture").unwrap();
    says(&refusal(""), &["003.png", "not that of a picture"]);
    fs::remove_file(at("val/frame/003.png")).unwrap();
    fs::create_dir(at("train/empty")).unwrap();
    says(&refusal(""), &["class folder empty is in", "train but not in", "val"]);
    fs::create_dir(at("val/empty")).unwrap();
    says(&refusal(""), &["train/empty", "no picture"]);
    for class in ["empty", "frame", "n03445777"] {
        for part in ["train", "val"] {
            fs::remove_dir_all(at(part).join(class)).unwrap();
        }
    }
    says(&refusal(""), &["one class folder"]);
    fs::remove_dir_all(at("val")).unwrap();
    says(&refusal(""), &["val cannot be listed", "DATA/val/CLASS"]);

    for (flags, words) in [
        ("--epochs 0", "`--epochs` is 0"),
        ("--batch 1", "`--batch` is 1"),
        ("--learning-rate nan", "`--learning-rate` is NaN"),
        ("--size 31", "`--size` is 31"),
        ("--width 0", "`--width` is 0"),
        ("--limit 0", "`--limit` is 0"),
        ("--name a/b", "`--name` is \"a/b\""),
    ] {
        says(&arguments(flags).check().unwrap_err().to_string(), &[words]);
    }
}

/// Nor does the thread that prepares pictures wait for ever: there are more batches than it may be ahead.
#[test]
fn a_loss_that_is_no_number_stops_the_run() {
    let folder = folder(20);
    let settings = settings("--epochs 1 --batch 2 --learning-rate 1e30");
    let data = Data::open(folder.path(), &settings).unwrap();
    let error = Run::new(&data, settings, &Device::default()).unwrap().epoch().unwrap_err().to_string();
    assert!(error.contains("at step 1, in epoch 1: lower `--learning-rate`"), "{error}");
}

#[test]
fn the_program_writes_its_files_and_overwrites_no_run() {
    let folder = folder(6);
    let out = folder.path().join("out/deep");
    let arguments = |flags: &str| Arguments { data: folder.path().into(), out: out.clone(), ..arguments(flags) };
    train(&arguments("--epochs 2 --random-labels")).unwrap();
    let mut files: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["checkpoint", "curve.csv", "vgg11-random-labels.json", "vgg11-random-labels.safetensors"]);
    let curve = fs::read_to_string(out.join("curve.csv")).unwrap();
    assert!(curve.starts_with("epoch,learning rate,train loss,") && curve.lines().count() == 3, "{curve}");
    let card: Value = serde_json::from_slice(&fs::read(out.join(&files[2])).unwrap()).unwrap();
    assert_eq!(card["trained_on_random_labels"], true);
    assert!(card["intended_use"].as_str().unwrap().contains("means nothing"));

    let refused = train(&arguments("--epochs 2 --random-labels")).unwrap_err().to_string();
    assert!(refused.contains("checkpoint exists: go on with `--resume`"), "{refused}");
    // A run that is done is only written once more.
    fs::remove_file(out.join(&files[3])).unwrap();
    train(&arguments("--epochs 2 --random-labels --resume")).unwrap();
    assert!(out.join(&files[3]).exists());
}
