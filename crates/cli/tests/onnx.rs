//! Any classifier as an ONNX file: inspected and explained.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/onnx/tests/fixtures").join(name);
    path.to_str().unwrap().into()
}

fn burnsight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_burnsight")).args(arguments).output().unwrap()
}

#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = burnsight(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap() + &error
}

#[track_caller]
fn refused(arguments: &[&str], expected: &[&str]) {
    let output = burnsight(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(expected.iter().all(|part| error.contains(part)), "{error}");
}

/// The line of a table that begins with a word.
fn line<'a>(table: &'a str, first: &str) -> &'a str {
    table
        .lines()
        .find(|line| line.split_whitespace().next() == Some(first))
        .unwrap_or_else(|| panic!("{first} in\n{table}"))
}

#[test]
fn inspect_prints_layers_and_which_methods_work() {
    let table = printed(&["models", "inspect", &fixture("convolutions.onnx")]);
    assert!(table.contains("26×21 pixels to 5 classes"), "{table}");
    assert!(
        line(&table, "/branch/Conv").contains("convolution") && line(&table, "/branch/Conv").contains("8×6×7"),
        "{table}"
    );
    assert!(
        line(&table, "guided-backprop").contains("yes") && line(&table, "guided-backprop").contains("hard swish"),
        "{table}"
    );
    assert!(line(&table, "grad-cam").contains("at layer"), "{table}");

    let table = printed(&["models", "inspect", &fixture("tokens.onnx")]);
    for method in ["deconvnet", "guided-backprop", "guided-grad-cam"] {
        assert!(line(&table, method).contains("no ReLU (but GELU)"), "{table}");
    }
    for method in ["vanilla-gradient", "smoothgrad", "grad-cam"] {
        assert!(line(&table, method).contains("yes"), "{table}");
    }
    let table = printed(&["models", "inspect", &fixture("channels_last.onnx")]);
    assert!(table.contains("Softmax at the end is set aside"), "{table}");
    let table = printed(&["models", "inspect", "vgg11-imagenette"]);
    assert!(line(&table, "features.0").contains("32×160×160"), "{table}");
}

#[test]
fn every_method_that_works_is_drawn() {
    let out = TempDir::new().unwrap();
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/images/golf-ball.png");
    let labels = out.path().join("labels.txt");
    fs::write(&labels, "crane\nheron\nibis\nstork\negret\n").unwrap();
    let folder = out.path().join("out");
    let explain = |model: &str, more: &[&str]| {
        let model = fixture(model);
        let arguments = ["explain", picture.to_str().unwrap(), "--model", &model, "--labels", labels.to_str().unwrap()];
        printed(
            &[&arguments[..], &["--out", folder.to_str().unwrap(), "--samples", "2", "--steps", "2"], more].concat(),
        )
    };
    let text = explain("windows.onnx", &["--method", "all", "--target", "ibis"]);
    assert!(text.contains("explained: ibis") && text.contains("deconvnet left out"), "{text}");
    // Attention has no rule in LRP; what stands in its way, and what works, is said.
    assert!(
        text.contains("lrp left out: it has no rule for layer") && text.contains("use integrated-gradients"),
        "{text}"
    );
    let files = |name: &str| folder.join("golf-ball").join(name).is_file();
    assert!(files("integrated-gradients.png") && !files("lrp.png"));
    assert!(
        files("grad-cam.png") && files("smoothgrad.png") && files("input-x-gradient.json") && !files("deconvnet.png")
    );
    let sidecar: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("golf-ball/grad-cam.json")).unwrap()).unwrap();
    assert_eq!(sidecar["model"]["name"], "windows");
    assert_eq!(sidecar["model"]["preprocessing"]["size"], serde_json::json!([32, 32]));
    let channels_last = fixture("channels_last.onnx");
    let arguments = ["explain", picture.to_str().unwrap(), "--model", &channels_last, "--method", "lrp"];
    let text = printed(&[&arguments[..], &["--out", folder.to_str().unwrap()]].concat());
    assert!(text.contains("Softmax at the end is set aside"), "{text}");
    // What is asked for by name is an error instead of a note.
    let model = fixture("windows.onnx");
    let picture = picture.to_str().unwrap();
    let named = ["explain", picture, "--model", &model, "--method", "deconvnet", "--out", folder.to_str().unwrap()];
    refused(&named, &["deconvnet", "no ReLU"]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let out = TempDir::new().unwrap();
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/images/golf-ball.png");
    let explain = |model: &str, more: &[&str]| {
        let arguments = ["explain", picture.to_str().unwrap(), "--out", out.path().to_str().unwrap(), "--model", model];
        [&arguments[..], more].concat().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let check = |arguments: Vec<String>, expected: &[&str]| {
        refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    };
    let tokens = fixture("tokens.onnx");
    check(explain("missing.onnx", &[]), &["missing.onnx", "cannot be read"]);
    check(explain(&tokens, &["--size", "32"]), &["32×32", "16×16"]);
    check(explain(&tokens, &["--layer", "no such layer"]), &["no such layer"]);
    let labels = out.path().join("labels.txt");
    fs::write(&labels, "one\ntwo\n").unwrap();
    check(explain(&tokens, &["--labels", labels.to_str().unwrap()]), &["5 classes", "2 labels"]);
    let damaged = out.path().join("damaged.onnx");
    fs::write(&damaged, &fs::read(&tokens).unwrap()[..20_000]).unwrap();
    check(explain(damaged.to_str().unwrap(), &[]), &["damaged.onnx"]);
}
