//! `burnsight evaluate` as a user runs it.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use burnsight_scenes::GolfBall;
use tempfile::TempDir;

fn burnsight(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_burnsight")).args(arguments).output().unwrap()
}

fn example(name: &str) -> String {
    format!("{}/../../examples/images/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs `evaluate` into a folder and demands success; returns what it printed, and its notes.
fn evaluate(out: &Path, arguments: &[&str]) -> (String, String) {
    let output = burnsight(&[&["evaluate"], arguments, &["--out", out.to_str().unwrap()]].concat());
    let (text, notes) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{text}{notes}");
    (text, notes)
}

fn refused(arguments: &[&str]) -> String {
    let out = TempDir::new().unwrap();
    let output = burnsight(&[&["evaluate"], arguments, &["--out", out.path().to_str().unwrap()]].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(text.contains("error: ") && !text.contains("panicked"), "{text}");
    text
}

fn report(out: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(out.join("evaluation.json")).unwrap()).unwrap()
}

#[test]
fn evaluates_goes_on_and_adds_up() {
    let out = TempDir::new().unwrap();
    let pictures = [example("golf-ball.png"), example("parachute.png"), example("temple.jpg")];
    let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
    let common = ["--method", "vanilla-gradient", "grad-cam", "--metric", "deletion", "sparseness"];
    let (text, _) = evaluate(out.path(), &[&pictures[..2], &common].concat());
    assert!(text.contains("2 pictures") && text.contains("deletion") && text.contains("LOWER IS BETTER"), "{text}");
    let first = report(out.path());

    // Another picture: what was measured is not measured again, and comes out the same.
    let (_, notes) = evaluate(out.path(), &[&pictures[..], &common].concat());
    assert!(notes.contains("going on with 8 measurements"), "{notes}");
    let report = report(out.path());
    assert_eq!(report["counts"]["evaluated"], 3);
    for (metric, reading) in report["metrics"].as_array().unwrap().iter().zip(["deletion", "sparseness"]) {
        assert_eq!(metric["readings"][0]["name"], reading);
        for method in metric["readings"][0]["methods"].as_array().unwrap() {
            let values: Vec<f64> = method["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            assert!(values.len() == 3 && values.iter().all(|value| (0.0..=1.0).contains(value)), "{values:?}");
            let mean = method["summary"]["mean"].as_f64().unwrap();
            assert!((mean - values.iter().sum::<f64>() / 3.0).abs() < 1e-12);
            let [low, high] = [0, 1].map(|end| method["summary"]["interval"][end].as_f64().unwrap());
            assert!(low <= mean && mean <= high);
        }
    }
    let values = |report: &serde_json::Value| {
        let values = &report["metrics"][0]["readings"][0]["methods"][1]["values"];
        [values[0].as_f64().unwrap(), values[1].as_f64().unwrap()]
    };
    assert_eq!(values(&first), values(&report));

    let csv = fs::read_to_string(out.path().join("evaluation.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 * 2 * 3);
    assert!(csv.lines().any(|line| line.starts_with("deletion,deletion,lower is better,grad-cam,temple.jpg,0.")));
    let page = fs::read_to_string(out.path().join("evaluation.html")).unwrap();
    // The name of the SVG format looks like an address; there is no other.
    let fetched = page.replace("http://www.w3.org/2000/svg", "");
    assert!(
        page.contains("<svg") && page.contains("grad-cam") && !fetched.contains("http") && !page.contains("<script")
    );
    image::open(out.path().join("evaluation.png")).unwrap();
}

#[test]
fn guided_backprop_ignores_the_weights_that_the_gradient_depends_on() {
    let out = TempDir::new().unwrap();
    let methods = ["--method", "vanilla-gradient", "guided-backprop"];
    let ball = example("golf-ball.png");
    evaluate(out.path(), &[&[ball.as_str()], &methods[..], &["--metric", "cascading-randomization"]].concat());
    let report = report(out.path());
    let readings = report["metrics"][0]["readings"].as_array().unwrap();
    for reading in readings.iter().filter(|reading| !reading["name"].as_str().unwrap().ends_with("Spearman")) {
        let likeness = |method: usize| reading["methods"][method]["values"][0].as_f64().unwrap();
        assert!(likeness(0) < likeness(1), "{}: {} {}", reading["name"], likeness(0), likeness(1));
    }
    image::open(out.path().join("sanity.png")).unwrap();
}

#[test]
fn localization_counts_what_is_classified_right() {
    let folder = TempDir::new().unwrap();
    let (pictures, masks) = (folder.path().join("pictures"), folder.path().join("masks"));
    for class in ["golf ball", "church"] {
        fs::create_dir_all(pictures.join(class)).unwrap();
        fs::create_dir_all(masks.join(class)).unwrap();
        let scene = GolfBall { center: [0.35, 0.55], radius: 0.3, ..GolfBall::default() }.draw(240, 180).unwrap();
        scene.picture.save(pictures.join(class).join("ball.png")).unwrap();
        scene.mask.save(masks.join(class).join("ball.png")).unwrap();
    }
    let out = TempDir::new().unwrap();
    let [pictures, masks] = [&pictures, &masks].map(|path| path.to_str().unwrap());
    let arguments = [
        pictures,
        "--class-folders",
        "--masks",
        masks,
        "--method",
        "grad-cam",
        "--metric",
        "pointing-game",
        "mass-accuracy",
    ];
    let (text, _) = evaluate(out.path(), &arguments);
    assert!(text.contains("1 of 2 classified right, 2 with a mask, of which 1 count for localization"), "{text}");
    let report = report(out.path());
    let values = |metric: usize| report["metrics"][metric]["readings"][0]["methods"][0]["values"].clone();
    // Sorted: church, which is wrong, then golf ball.
    assert!(values(0)[0].is_null() && [0.0, 1.0].contains(&values(0)[1].as_f64().unwrap()));
    let mass = values(1)[1].as_f64().unwrap();
    assert!(mass > 0.2 && mass < 1.0, "{mass}");

    let wrong = folder.path().join("wrong");
    fs::create_dir_all(&wrong).unwrap();
    image::GrayImage::new(10, 10).save(wrong.join("ball.png")).unwrap();
    let text = refused(&[
        &format!("{pictures}/church/ball.png"),
        "--masks",
        wrong.to_str().unwrap(),
        "--metric",
        "mass-accuracy",
    ]);
    assert!(text.contains("10×10") && text.contains("240×180"), "{text}");
}

#[test]
fn what_is_missing_or_misspelled_is_named() {
    let ball = example("golf-ball.png");
    let text = refused(&[&ball, "--metric", "deletoin"]);
    assert!(text.contains("`metric` is deletoin") && text.contains("did you mean deletion?"), "{text}");
    assert!(refused(&[&ball, "--metric", "pointing-game"]).contains("give --masks DIR or --scenes"));
    assert!(refused(&[&ball, "--metric", "data-randomization"]).contains("give --twin FILE"));
    assert!(refused(&[]).contains("no picture given"));
    assert!(refused(&[&ball, "--pictures", "0"]).contains("`pictures` is 0"));
    let text = refused(&[&example(""), "--class-folders"]);
    assert!(text.contains("class-folders"), "{text}");
    let table = String::from_utf8(burnsight(&["metrics"]).stdout).unwrap();
    assert!(table.contains("deletion") && table.contains("pointing-game"), "{table}");
}
