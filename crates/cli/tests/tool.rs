//! The tool as a user runs it.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use burnsight::zoo::{DEFAULT_MAX_PIXELS, Picture};
use image::{ImageFormat, RgbImage};
use tempfile::TempDir;

fn burnsight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_burnsight")).args(arguments).output().unwrap()
}

fn example(name: &str) -> String {
    format!("{}/../../examples/images/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs `explain` into a fresh folder and demands success.
fn explain(arguments: &[&str]) -> (TempDir, String) {
    let out = TempDir::new().unwrap();
    let folder = out.path().to_str().unwrap();
    let output = burnsight(&[&["explain"], arguments, &["--out", folder]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    (out, text)
}

/// Runs the tool, demands a failure without a panic and returns what it said.
fn refused(arguments: &[&str]) -> String {
    let output = burnsight(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert_ne!(output.status.code(), Some(101), "{arguments:?} panicked: {text}");
    assert!(text.contains("error: ") && !text.contains("panicked"), "{text}");
    text
}

/// The file at `path` as pixels, or why not.
fn pixels(path: &Path) -> RgbImage {
    Picture::open(path, DEFAULT_MAX_PIXELS).unwrap().rgb
}

/// Values and shape of a float32 .npy file.
fn npy(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let file = npyz::NpyFile::new(fs::File::open(path).unwrap()).unwrap();
    (file.shape().to_vec(), file.into_vec().unwrap())
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn explain_writes_everything_it_promises() {
    let ball = example("golf-ball.png");
    let (out, text) = explain(&[&ball, "--method", "all", "--samples", "2", "--steps", "2", "--raw"]);
    assert!(text.contains("golf-ball.png (480×360): golf ball 9") && text.contains("comparison.png"), "{text}");
    let at = |name: &str| out.path().join("golf-ball").join(name);
    let (shape, input) = npy(&at("input.npy"));
    assert_eq!(shape, [3, 160, 160]);
    let table = String::from_utf8(burnsight(&["methods"]).stdout).unwrap();
    let names: Vec<&str> =
        table.lines().skip(1).map_while(|line| line.split(' ').next().filter(|name| !name.is_empty())).collect();
    assert_eq!(names.len(), 17);
    for name in names {
        assert_eq!(pixels(&at(&format!("{name}.png"))).dimensions(), (480, 360), "{name}");
        let (shape, map) = npy(&at(&format!("{name}.npy")));
        let channels = if name == "grad-cam" { 1 } else { 3 };
        assert_eq!(shape, [channels, 160, 160], "{name}");
        assert!(map.iter().any(|value| *value != 0.0), "{name} is zero everywhere");
        let sidecar = json(&at(&format!("{name}.json")));
        assert_eq!(sidecar["made_by"]["method"], name);
        assert_eq!(sidecar["question"]["class"]["label"], "golf ball");
        let sum: f64 = map.iter().map(|value| f64::from(*value)).sum();
        assert!((sidecar["map"]["sum"].as_f64().unwrap() - sum).abs() < 1e-9, "{name}");
    }
    // The raw input is what the map belongs to: input × gradient is their product.
    let (gradient, product) = (npy(&at("vanilla-gradient.npy")).1, npy(&at("input-x-gradient.npy")).1);
    assert!(input.iter().zip(gradient).map(|(x, g)| x * g).eq(product));
    assert!(pixels(&out.path().join("comparison.png")).width() > 17 * 224);
}

/// The map of one method, and its sidecar.
fn map_of(method: &str, arguments: &[&str]) -> (Vec<f32>, serde_json::Value) {
    let picture = example("parachute.png");
    let (out, _) = explain(&[&[picture.as_str(), "--method", method, "--raw"], arguments].concat());
    let file = out.path().join("parachute").join(method);
    (npy(&file.with_extension("npy")).1, json(&file.with_extension("json")))
}

#[test]
fn baselines_of_every_kind() {
    let (ball, folder) = (example("golf-ball.png"), example(""));
    let baselines: [&[&str]; 7] = [
        &[],
        &["--baseline", "black"],
        &["--baseline", "white"],
        &["--baseline", "noise"],
        &["--baseline", "blur:3"],
        &["--baseline", &ball],
        &["--baseline", &folder],
    ];
    let maps: Vec<Vec<f32>> = baselines.map(|baseline| map_of("deeplift", baseline).0).to_vec();
    for (index, map) in maps.iter().enumerate() {
        assert!(maps[..index].iter().all(|other| other != map), "{:?} is like another", baselines[index]);
    }
    assert_eq!(maps[0], map_of("deeplift", &["--baseline", "zero"]).0);
    let (_, sidecar) = map_of("deeplift", &["--baseline", &folder]);
    assert_eq!(sidecar["made_by"]["parameters"]["baseline"]["pictures"], 4);
    let kept = &sidecar["map"]["completeness"];
    let (sum, difference) = (kept["sum"].as_f64().unwrap(), kept["difference"].as_f64().unwrap());
    assert!((sum - difference).abs() < 1e-2 * difference.abs(), "{sum} of {difference}");
    // Black in the model's units: (0 − mean) / std of each channel.
    let (_, sidecar) = map_of("integrated-gradients", &["--baseline", "black", "--steps", "2"]);
    let red = sidecar["made_by"]["parameters"]["baseline"]["color"][0].as_f64().unwrap();
    assert!((red + 0.485 / 0.229).abs() < 1e-5, "{red}");
}

#[test]
fn rules_steps_and_gaps() {
    assert_ne!(map_of("lrp", &[]).0, map_of("lrp", &["--rule", "epsilon-gamma-box"]).0);
    assert_ne!(map_of("deeplift", &[]).0, map_of("deeplift", &["--rule", "reveal-cancel"]).0);
    assert_ne!(map_of("deep-taylor", &[]).0, map_of("deep-taylor", &["--rule", "unbounded"]).0);
    let contrastive = map_of("excitation-backprop", &["--rule", "contrastive"]).0;
    assert!(contrastive.iter().any(|value| *value < 0.0));
    let coarse = map_of("excitation-backprop", &["--layer", "features.10"]).0;
    assert_eq!(coarse.len(), 160 * 160);

    let (_, sidecar) = map_of("lrp", &[]);
    let books = sidecar["conservation"].as_array().unwrap();
    assert_eq!(books[0]["layer"], "classifier.0");
    let score = sidecar["score"].as_f64().unwrap();
    assert!((books[0]["arrived"][0].as_f64().unwrap() - score).abs() < 1e-4 * score);
    assert!(map_of("deeplift", &[]).1["conservation"].is_null());

    let (coarse, _) = map_of("integrated-gradients", &["--steps", "2", "--rule", "midpoint"]);
    let (_, refined) = map_of("integrated-gradients", &["--steps", "2", "--largest-gap", "0.2"]);
    assert!(coarse.iter().any(|value| *value != 0.0));
    let taken = refined["made_by"]["parameters"]["steps-taken"][0].as_u64().unwrap();
    assert!(taken > 2, "{taken} steps");
}

#[test]
fn same_seed_same_bytes_and_another_seed_others() {
    let map = |seed: &str| {
        let (out, _) =
            explain(&[&example("parachute.png"), "--method", "smoothgrad", "--samples", "3", "--seed", seed]);
        let read = |name: &str| fs::read(out.path().join("parachute").join(name)).unwrap();
        (read("smoothgrad.png"), read("smoothgrad.json"))
    };
    assert_eq!(map("1"), map("1"));
    assert_ne!(map("1"), map("2"));
}

#[test]
fn targets_by_index_label_and_contrast() {
    let gradient = |arguments: &[&str]| {
        let picture = example("rocket.jpg");
        let (out, text) = explain(&[&[picture.as_str(), "--method", "vanilla-gradient", "--raw"], arguments].concat());
        let folder = out.path().join("rocket");
        (npy(&folder.join("vanilla-gradient.npy")).1, json(&folder.join("vanilla-gradient.json")), text)
    };
    let (church, _, _) = gradient(&[]); // what the model takes the rocket for
    let (by_index, ..) = gradient(&["--target", "4"]);
    let (parachute, _, text) = gradient(&["--target", "Parachute"]);
    let (contrast, sidecar, _) = gradient(&["--against", "parachute"]);
    assert_eq!(church, by_index);
    assert!(text.contains("explained: parachute"), "{text}");
    assert_eq!(sidecar["question"]["against"]["label"], "parachute");
    let difference = church.iter().zip(&parachute).map(|(a, b)| a - b);
    let error: f32 = difference.zip(&contrast).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error < 1e-6, "gradients are linear in the score, yet {error}");
}

#[test]
fn layers_by_name() {
    let cam = |layer: &[&str]| {
        let picture = example("temple.jpg");
        let (out, _) = explain(&[&[picture.as_str(), "--method", "grad-cam", "--raw"], layer].concat());
        npy(&out.path().join("temple/grad-cam.npy")).1
    };
    assert_eq!(cam(&[]), cam(&["--layer", "features.19"]));
    assert_ne!(cam(&[]), cam(&["--layer", "features.9"]));
}

#[test]
fn pictures_of_any_shape_and_kind() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let coloured = RgbImage::from_fn(90, 60, |x, y| image::Rgb([x as u8 * 2, y as u8 * 3, 99]));
    let dynamic = image::DynamicImage::from(coloured.clone());
    RgbImage::new(1, 1).save(path("one-pixel.png")).unwrap();
    RgbImage::from_pixel(20_000, 1, image::Rgb([9, 8, 7])).save(path("line.png")).unwrap();
    dynamic.to_luma8().save(path("grey.png")).unwrap();
    dynamic.to_rgb16().save(path("sixteen-bit.png")).unwrap();
    dynamic.to_rgba8().save(path("alpha.png")).unwrap();
    coloured.save(path("tall.webp")).unwrap();
    fs::copy(path("tall.webp"), path("tall.gif")).unwrap(); // content decides, not the name
    let made_elsewhere = |name: &str| format!("{}/../../models/zoo/tests/pictures/{name}", env!("CARGO_MANIFEST_DIR"));
    for name in ["cmyk_adobe.jpg", "exif_6.jpg"] {
        fs::copy(made_elsewhere(name), path(name)).unwrap();
    }
    let mut animated = fs::File::create(path("animated.gif")).unwrap();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut animated);
    encoder.encode_frames([0, 1].map(|_| image::Frame::new(dynamic.to_rgba8()))).unwrap();
    drop(encoder);

    let (out, text) = explain(&[folder.path().to_str().unwrap(), "--method", "vanilla-gradient"]);
    for (name, size) in
        [("one-pixel", (1, 1)), ("line", (20_000, 1)), ("grey", (90, 60)), ("exif_6", (24, 16)), ("tall-2", (90, 60))]
    {
        assert_eq!(pixels(&out.path().join(name).join("vanilla-gradient.png")).dimensions(), size, "{name}");
    }
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 10 + 1, "ten pictures and a comparison: {text}");
    for note in ["CMYK", "frame", "the model sees only the middle"] {
        assert!(text.contains(note), "no note on {note}: {text}");
    }
}

#[test]
fn bad_pictures_are_named_and_cost_no_others() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let whole = fs::read(example("rocket.jpg")).unwrap();
    write("empty.png", b"");
    write("text.png", b"These are not the pixels you are looking for.");
    write("cut.jpg", &whole[..whole.len() / 2]);
    RgbImage::new(300, 300).save_with_format(folder.path().join("large.png"), ImageFormat::Png).unwrap();
    fs::copy(example("parachute.png"), folder.path().join("whole.png")).unwrap();
    let out = TempDir::new().unwrap();
    let (input, output) = (folder.path().to_str().unwrap(), out.path().to_str().unwrap());
    let arguments = ["explain", input, "--out", output, "--method", "vanilla-gradient"];
    let text = refused(&[&arguments[..], &["--max-pixels", "200000"]].concat());
    for name in ["empty.png", "text.png", "cut.jpg"] {
        assert!(text.contains(name), "{name} is not named in {text}");
    }
    assert!(text.contains("3 of 5 pictures"), "{text}");
    assert!(out.path().join("whole/vanilla-gradient.png").exists() && out.path().join("comparison.png").exists());
    let text = refused(&[&arguments[..], &["--max-pixels", "80000"]].concat());
    assert!(text.contains("large.png") && text.contains("90000") && text.contains("--max-pixels"), "{text}");
}

#[test]
fn bad_arguments_quote_the_value_and_list_the_choices() {
    let ball = example("golf-ball.png");
    let file = tempfile::NamedTempFile::new().unwrap();
    let blocked = file.path().join("out");
    let out = TempDir::new().unwrap();
    let imagenet = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/zoo/labels/imagenet.txt");
    let cases: &[(&[&str], &[&str])] = &[
        (&["--target", "10"], &["10", "0 to 9"]),
        (&["--target", "golfball hole"], &["golfball hole", "golf ball"]),
        (&["--target", "parashute"], &["parashute", "parachute"]),
        (&["--against", "golf ball"], &["class 8", "against"]),
        (&["--method", "gradcam"], &["gradcam", "grad-cam", "vanilla-gradient"]),
        (&["--layer", "layer4"], &["layer4", "features.0", "flatten"]),
        (&["--layer", "flatten", "--method", "grad-cam"], &["flatten", "no places"]),
        (&["--device", "tpu"], &["tpu", "flex", "cuda"]),
        (&["--device", "cuda"], &["cuda", "--features cuda"]),
        (&["--device", "flex:3"], &["flex:3"]),
        (&["--model", "resnet"], &["resnet", "vgg11-imagenette"]),
        (&["--model", "net.ONNX"], &["net.ONNX", "ONNX"]),
        (&["--weights", "no/such.pth"], &["no/such.pth"]),
        (&["--weights", "x.pth", "--model", "vgg16"], &["--weights", "--model"]),
        (&["--labels", "no/such.txt"], &["no/such.txt", "`labels`"]),
        (&["--labels", imagenet], &["10 classes", "1000 labels"]),
        (&["--size", "224x"], &["224x", "320x240"]),
        (&["--size", "0"], &["`size` is 0"]),
        (&["--size", "20"], &["20×20", "max pool"]),
        (&["--size", "224", "--resize", "100"], &["`size` is 224", "100"]),
        (&["--mean", "0.5"], &["0.5", "three numbers"]),
        (&["--std", "0,1,1"], &["`std`", "positive"]),
        (&["--samples", "0"], &["`samples` is 0"]),
        (&["--method", "integrated-gradients", "--steps", "0"], &["`steps` is 0"]),
        (&["--method", "integrated-gradients", "--largest-gap", "0"], &["`largest_gap` is 0"]),
        (&["--method", "deeplift", "--baseline", "blak"], &["`baseline` is blak", "black"]),
        (&["--method", "deeplift", "--baseline", "black", "--baseline", "white"], &["black", "cannot be mixed"]),
        (&["--method", "deeplift", "--baseline", "blur:-2"], &["-2", "positive number"]),
        (&["--method", "deeplift", "--baseline", "blur:much"], &["blur:much", "blur:8"]),
        (&["--method", "lrp", "--rule", "epsilon-minus"], &["epsilon-minus", "epsilon-plus", "reveal-cancel"]),
        (&["--method", "lrp", "--rule", "rescale"], &["rescale", "--method deeplift"]),
        (&["--method", "lrp", "--rule", "zero", "epsilon"], &["`rule` is epsilon", "lrp already goes by zero"]),
        (&["--samples", "many"], &["many", "--samples"]),
        (&["--batch", "0"], &["`batch` is 0"]),
        (&["--out", blocked.to_str().unwrap()], &["--out"]),
    ];
    for (arguments, expected) in cases {
        let folder = ["--out", out.path().to_str().unwrap()];
        let folder = if arguments.contains(&"--out") { &[][..] } else { &folder[..] };
        let text = refused(&[&["explain", &ball], folder, arguments].concat());
        for part in *expected {
            assert!(text.contains(part), "{arguments:?}: no {part:?} in {text}");
        }
    }
    assert!(refused(&["explain"]).contains("no picture given"));
    assert!(refused(&["explain", "no/such/place.png"]).contains("no/such/place.png"));
    assert!(refused(&["explain", out.path().to_str().unwrap()]).contains("png"));
}

#[test]
fn a_picture_behind_method_is_a_picture() {
    explain(&["--method", "grad-cam", &example("golf-ball.png")]);
}

#[test]
fn tables_list_what_is_there() {
    let table = |name: &str| String::from_utf8(burnsight(&[name]).stdout).unwrap();
    assert!(table("methods").contains("guided-grad-cam") && table("methods").contains("Selvaraju"));
    assert!(table("models").contains("vgg11-imagenette") && table("models").contains("160×160"));
    assert!(table("devices").contains("--features cuda") && table("devices").contains("ready"));
}

#[test]
fn explain_says_whether_a_map_depends_on_the_weights() {
    let ball = example("golf-ball.png");
    let methods = ["--method", "vanilla-gradient", "guided-backprop", "smoothgrad", "integrated-gradients"];
    let (out, text) = explain(&[&[ball.as_str()], &methods[..], &["--samples", "4", "--steps", "8"]].concat());
    let line = |method: &str| text.lines().find(|line| line.trim_start().starts_with(method)).unwrap().to_string();
    assert!(line("vanilla-gradient").contains(" depends on the weights"), "{text}");
    assert!(line("guided-backprop").contains("HARDLY DEPENDS ON THE WEIGHTS"), "{text}");
    assert!(line("smoothgrad").contains("standard error"), "{text}");
    assert!(line("integrated-gradients").contains("adds up to within"), "{text}");
    let sidecar = json(&out.path().join("golf-ball").join("guided-backprop.json"));
    let likeness = sidecar["verdict"]["likeness"].as_f64().unwrap();
    assert!((0.5..=1.0).contains(&likeness) && line("guided-backprop").contains(&format!("{likeness:.2}")));
    let (out, text) = explain(&[&ball, "--method", "grad-cam", "--no-verdict"]);
    assert!(!text.contains("weights"), "{text}");
    assert!(json(&out.path().join("golf-ball").join("grad-cam.json"))["verdict"].is_null());
}
