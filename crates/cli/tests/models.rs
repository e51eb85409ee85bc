//! Models from files and from servers, as a user of the tool sees them.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tempfile::TempDir;

fn fixture(name: &str) -> String {
    format!("{}/../../models/zoo/tests/weights/{name}", env!("CARGO_MANIFEST_DIR"))
}

const BALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/images/golf-ball.png");

/// The tool with a cache of its own and no settings from outside.
fn burnsight(cache: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burnsight"));
    command.args(arguments).env("BURNSIGHT_CACHE", cache).env("NO_PROXY", "127.0.0.1");
    command.env_remove("BURNSIGHT_MIRROR").env_remove("BURNSIGHT_OFFLINE");
    command.envs(environment.iter().copied()).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Demands an error with these words, and no panic.
fn assert_refused(output: &Output, expected: &[&str]) {
    let text = text(output);
    assert!(output.status.code() == Some(1) && !text.contains("panicked"), "{text}");
    for part in expected {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

fn explain(arguments: &[&str]) -> (TempDir, String, serde_json::Value) {
    let out = TempDir::new().unwrap();
    let common = ["explain", BALL, "--method", "vanilla-gradient", "--out", out.path().to_str().unwrap()];
    let output = burnsight(out.path(), &[&common, arguments].concat(), &[]);
    assert!(output.status.success(), "{}", text(&output));
    let sidecar = fs::read(out.path().join("golf-ball/vanilla-gradient.json")).unwrap();
    (out, text(&output), serde_json::from_slice(&sidecar).unwrap())
}

/// Answers every request with 404; counts them and the first line of the last.
fn empty_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mirror/", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let mut stream = stream.unwrap();
            let request = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            assert!(request.take_while(|line| !line.is_empty()).next().unwrap().contains("/mirror/vgg16-397923af.pth"));
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    (url, requests)
}

#[test]
fn a_weight_file_is_explained_and_recorded() {
    let (_out, text, sidecar) = explain(&["--weights", &fixture("legacy.pth")]);
    assert!(text.contains("note on legacy: its 4 classes") && text.contains("prepared as for ImageNet"), "{text}");
    let model = &sidecar["model"];
    assert_eq!(model["name"], "legacy");
    assert_eq!(model["preprocessing"]["size"], serde_json::json!([224, 224]));
    assert_eq!(model["notes"].as_array().unwrap().len(), 2);
    let sum = burnsight_sum(&fixture("legacy.pth"));
    assert_eq!(model["weights_sha256"], sum.as_str());
}

fn burnsight_sum(path: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn flags_say_what_the_file_does_not() {
    let folder = TempDir::new().unwrap();
    let labels = folder.path().join("labels.txt");
    fs::write(&labels, "crane\r\nheron\r\nibis\r\nstork\r\n").unwrap();
    let weights = fixture("float16.safetensors");
    let flags = ["--weights", &weights, "--labels", labels.to_str().unwrap(), "--target", "ibis", "--size", "80x64"];
    let more = ["--resize", "96", "--mean", "0.5,0.25,0", "--std", "1, 2, 3"];
    let (_out, text, sidecar) = explain(&[&flags[..], &more].concat());
    assert!(text.contains("explained: ibis") && !text.contains("note on"), "{text}");
    let preprocessing =
        serde_json::json!({"resize": 96, "size": [64, 80], "mean": [0.5, 0.25, 0.0], "std": [1.0, 2.0, 3.0]});
    assert_eq!(sidecar["model"]["preprocessing"], preprocessing);
    assert_eq!(sidecar["map"]["shape"], serde_json::json!([3, 64, 80]));
    assert_eq!(sidecar["question"]["class"]["label"], "ibis");
}

#[test]
fn flags_change_the_built_in_model_too() {
    let (_out, text, sidecar) = explain(&["--size", "128"]);
    assert!(text.contains("golf ball") && !text.contains("note on"), "{text}");
    assert_eq!(sidecar["model"]["preprocessing"]["resize"], 128);
    assert_eq!(sidecar["map"]["shape"], serde_json::json!([3, 128, 128]));
}

#[test]
fn weights_that_are_not_there_or_not_whole() {
    let cache = TempDir::new().unwrap();
    let explain = ["explain", BALL, "--model", "vgg16", "--out", cache.path().to_str().unwrap()];
    let missing = ["burnsight models fetch vgg16", "553 MB", cache.path().to_str().unwrap()];
    assert_refused(&burnsight(cache.path(), &explain, &[]), &missing);
    let weights = cache.path().join("vgg16-397923af.pth");
    fs::copy(fixture("zip.pth"), &weights).unwrap();
    assert_refused(&burnsight(cache.path(), &explain, &[]), &["SHA-256", "397923af", "burnsight models fetch vgg16"]);
}

#[test]
fn servers_are_named_and_nothing_is_left_behind() {
    let (url, requests) = empty_server();
    let cache = TempDir::new().unwrap();
    let fetch = ["models", "fetch", "vgg16"];
    let file = format!("{url}vgg16-397923af.pth");
    let flag = burnsight(cache.path(), &[&fetch[..], &["--mirror", &url]].concat(), &[]);
    assert_refused(&flag, &["404", &file]);
    assert_refused(&burnsight(cache.path(), &fetch, &[("BURNSIGHT_MIRROR", &url)]), &["404", &file]);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
    let left: Vec<PathBuf> = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(
        left.iter().all(|path| path.extension().unwrap() == "part" && path.metadata().unwrap().len() == 0),
        "{left:?}"
    );
}

#[test]
fn offline_opens_no_connection() {
    let (url, requests) = empty_server();
    let cache = TempDir::new().unwrap();
    let fetch = ["models", "fetch", "vgg16", "--mirror", &url];
    let missing = ["offline", "burnsight models fetch vgg16", "553 MB"];
    assert_refused(&burnsight(cache.path(), &[&fetch[..], &["--offline"]].concat(), &[]), &missing);
    assert_refused(&burnsight(cache.path(), &fetch, &[("BURNSIGHT_OFFLINE", "1")]), &missing);
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    assert_refused(&burnsight(cache.path(), &fetch, &[("BURNSIGHT_OFFLINE", "0")]), &["404"]);
    assert_refused(&burnsight(cache.path(), &["models", "fetch", "vgg12"], &[]), &["vgg12", "vgg11", "vgg19_bn"]);
}

#[test]
fn the_list_says_what_was_fetched() {
    let cache = TempDir::new().unwrap();
    let list = text(&burnsight(cache.path(), &["models", "list"], &[]));
    assert_eq!(list, text(&burnsight(cache.path(), &["models"], &[])));
    let line = |list: &str| list.lines().find(|line| line.starts_with("vgg16 ")).unwrap().to_string();
    assert!(line(&list).contains("553 MB to fetch") && line(&list).contains("71.6 %"), "{list}");
    fs::write(cache.path().join("vgg16-397923af.pth"), "").unwrap();
    assert!(line(&text(&burnsight(cache.path(), &["models"], &[]))).contains("fetched"));
}
