//! Patterns fitted by the tool, and used.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/images");
const BALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/images/golf-ball.png");
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/zoo/tests/weights/float16.safetensors");

fn burnsight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_burnsight")).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeed(arguments: &[&str]) -> String {
    let output = burnsight(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// Demands an error with these words, and no panic.
fn refused(arguments: &[&str], expected: &[&str]) {
    let output = burnsight(arguments);
    let text = text(&output);
    assert!(matches!(output.status.code(), Some(1 | 2)) && !text.contains("panicked"), "{arguments:?}: {text}");
    for part in expected {
        assert!(text.contains(part), "{arguments:?}: no {part:?} in {text}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Fitted beside a weight file, found there, and written into the sidecar.
#[test]
fn patterns_are_fitted_beside_the_weights_and_found_there() {
    let folder = TempDir::new().unwrap();
    let weights = folder.path().join("small.safetensors");
    fs::copy(WEIGHTS, &weights).unwrap();
    let broken = folder.path().join("broken.png");
    fs::write(&broken, "no picture").unwrap();
    let model = ["--weights", path(&weights), "--size", "64"];
    let explain = ["explain", BALL, "--method", "pattern-net,pattern-attribution", "--out", path(folder.path())];
    refused(&[&explain[..], &model].concat(), &["burnsight models fit-patterns", "--patterns"]);

    let fit = ["models", "fit-patterns", IMAGES, path(&broken), "--batch", "2", "--seed", "3", "--data", "examples"];
    let said = succeed(&[&fit[..], &model].concat());
    let file = folder.path().join("small.patterns.safetensors");
    for part in ["broken.png", "1 skipped", "features.0", "DEAD", path(&file)] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    let first = fs::read(&file).unwrap();
    succeed(&[&fit[..], &model, &["--out", path(&file)]].concat());
    assert!(first == fs::read(&file).unwrap(), "the same call, the same bytes");

    succeed(&[&explain[..], &model].concat());
    for method in ["pattern-net", "pattern-attribution"] {
        let sidecar = fs::read(folder.path().join(format!("golf-ball/{method}.json"))).unwrap();
        let sidecar: serde_json::Value = serde_json::from_slice(&sidecar).unwrap();
        let origin = &sidecar["made_by"]["parameters"]["patterns"];
        let pictures = origin["pictures"].as_u64().unwrap();
        assert!(pictures >= 2 && said.contains(&format!("{pictures} pictures, 1 skipped")), "{origin}");
        assert_eq!(origin["weights_sha256"], sidecar["model"]["weights_sha256"]);
        assert!(origin["data"].as_str().unwrap().starts_with("examples"), "{origin}");
    }
    // They are of these weights and no others.
    let of_built_in =
        ["explain", BALL, "--method", "pattern-net", "--patterns", path(&file), "--out", path(folder.path())];
    refused(&of_built_in, &["small.patterns.safetensors", "SHA-256", "fit patterns to this model"]);
}

#[test]
fn what_cannot_be_fitted_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("new.safetensors");
    let fit = ["models", "fit-patterns", "--size", "64", "--out", path(&out)];
    let broken = folder.path().join("broken.png");
    fs::write(&broken, "no picture").unwrap();
    refused(&[&fit[..], &[BALL, path(&broken)]].concat(), &["skipped", "broken.png", "`pictures` is 1", "at least 2"]);
    refused(&[&fit[..], &[IMAGES, "--pictures", "1"]].concat(), &["`pictures` is 1"]);
    refused(&[&fit[..], &[IMAGES, "--batch", "0"]].concat(), &["`batch` is 0"]);
    refused(&[&fit[..], &[IMAGES, "--model", "vgg17"]].concat(), &["vgg17"]);
    refused(&[&fit[..], &["no/such/folder"]].concat(), &["no/such/folder"]);
    refused(&fit, &["<PATH>"]);
    let blocked = folder.path().join("broken.png/patterns.safetensors");
    refused(&["models", "fit-patterns", IMAGES, "--out", path(&blocked)], &["--out"]);
    assert!(!out.exists());
}
