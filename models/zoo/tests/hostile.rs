//! Files that are broken or mean harm: an error each, within seconds, in bounded memory, and nothing in them is run.
//! `weights/generate.py` wrote what is not written here.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use burn::tensor::Device;
use burnsight_core::{Error, Result};
use burnsight_zoo::{Card, Model, load_file};
use tempfile::TempDir;

/// What the whole process may take: the tests of a file share it, and the largest file is 66 kB.
const MOST_MEMORY: usize = 512 << 20;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights").join(name)
}

fn open(path: &Path) -> Result<Model> {
    let started = Instant::now();
    let result = load_file(path, &Card::default(), &Device::default());
    assert!(started.elapsed() < Duration::from_secs(10), "{} took {:?}", path.display(), started.elapsed());
    assert!(!Path::new("code-was-run").exists(), "{} ran its code", path.display());
    // Only Linux tells.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    let peak: usize = peak.unwrap_or(0) * 1024;
    assert!(peak < MOST_MEMORY, "{peak} bytes of memory after {}", path.display());
    result
}

/// A folder in which one file after the other is written and opened.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn open(&self, bytes: &[u8]) -> Result<Model> {
        let path = self.0.path().join("file");
        fs::write(&path, bytes).unwrap();
        open(&path)
    }

    /// Demands an error on the model, with these words.
    fn refuse(&self, what: &str, bytes: &[u8], expected: &str) {
        let error = self.open(bytes).expect_err(what);
        assert!(matches!(error, Error::Model { .. }) && error.to_string().contains(expected), "{what}: {error}");
    }
}

/// The bits of every weight.
fn weights(model: &Model) -> String {
    let sum = |layer: &burnsight_network::Layer| match layer {
        burnsight_network::Layer::Convolution(layer) => layer.weight.clone().into_data().to_string(),
        burnsight_network::Layer::Linear(layer) => layer.weight.clone().into_data().to_string(),
        _ => String::new(),
    };
    model.network.nodes().map(|(_, node)| sum(node.layer())).collect()
}

#[test]
fn code_is_refused_and_not_run() {
    for (file, expected) in [
        ("code.pth", "system"),
        ("code_legacy.pth", "system"),
        ("only_code.pth", "system"),
        ("code.pkl", "neither a safetensors file"),
    ] {
        let error = open(&fixture(file)).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(file), "{error}");
    }
}

#[test]
fn shapes_and_archives_larger_than_their_file() {
    for file in ["shape_2_40.pth", "shape_2_40_legacy.pth", "shape_2_28.pth", "shape_2_28_legacy.pth"] {
        let error = open(&fixture(file)).unwrap_err().to_string();
        assert!(error.contains("bytes"), "{file}: {error}");
    }
    for file in ["bomb_data.pth", "bomb_numbers.pth"] {
        let error = open(&fixture(file)).unwrap_err().to_string();
        assert!(error.contains("bytes") || error.contains("unpacks"), "{file}: {error}");
    }
}

#[test]
fn truncated_files() {
    let bench = Bench::new();
    for name in ["f32.safetensors", "zip.pth", "legacy.pth"] {
        let whole = fs::read(fixture(name)).unwrap();
        bench.open(&whole).unwrap();
        for length in (0..whole.len()).step_by(501).chain([1, 8, 9, whole.len() - 1]) {
            bench.refuse(&format!("{name}, {length} bytes"), &whole[..length], "");
        }
    }
}

#[test]
fn flipped_bits() {
    let bench = Bench::new();
    for (name, checked) in [("f32.safetensors", false), ("zip.pth", true), ("legacy.pth", false)] {
        let whole = fs::read(fixture(name)).unwrap();
        let sum = open(&fixture(name)).unwrap().sha256;
        let expected = weights(&open(&fixture(name)).unwrap());
        let mut refused = 0;
        // Every 1,000th byte, and the descriptions more closely.
        for position in (0..whole.len()).step_by(1000).chain((0..whole.len().min(3000)).step_by(11)) {
            let mut damaged = whole.clone();
            damaged[position] ^= 1 << (position % 8);
            match bench.open(&damaged) {
                Err(_) => refused += 1,
                // An archive has a sum for every part; what is between the parts does not matter.
                Ok(model) => assert!(!checked || weights(&model) == expected, "{name}, byte {position}"),
            }
        }
        assert!(refused > 10, "{name}: {refused}");

        fs::write(bench.0.path().join("file.json"), format!("{{\"sha256\": \"{sum}\"}}")).unwrap();
        bench.open(&whole).unwrap();
        for position in (0..whole.len()).step_by(1000) {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            bench.refuse(&format!("{name}, byte {position}"), &damaged, "SHA-256");
        }
        fs::remove_file(bench.0.path().join("file.json")).unwrap();
    }
}

#[test]
fn headers_that_lie() {
    let bench = Bench::new();
    let file = |size: u64, header: &str, data: usize| -> Vec<u8> {
        [&size.to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
    };
    let honest = |header: &str, data| file(header.len() as u64, header, data);
    let tensor = |shape: &str, from: u64, to: u64| {
        format!(r#"{{"features.0.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    for (what, bytes) in [
        ("a header of 2⁶³ bytes", file(1 << 63, "{}", 100)),
        ("a header longer than the file", file(103, "{}", 100)),
        ("2⁴⁰ numbers", honest(&tensor("[1099511627776]", 0, 1 << 42), 16)),
        ("2⁸⁰ numbers", honest(&tensor("[1099511627776,1099511627776]", 0, 16), 16)),
        ("2⁶⁴ bytes", honest(&tensor("[4611686018427387904]", 0, 16), 16)),
        ("2⁷⁰ on a side", honest(&tensor("[1180591620717411303424]", 0, 16), 16)),
        ("less than nothing", honest(&tensor("[-1]", 0, 16), 16)),
        ("a gap", honest(&tensor("[2]", 8, 16), 16)),
        ("the wrong way round", honest(&tensor("[2]", 8, 0), 8)),
        ("no JSON", honest("{nothing}", 16)),
        ("deep JSON", honest(&format!("{{\"a\":{}", "[".repeat(100_000)), 16)),
    ] {
        bench.refuse(what, &bytes, "not a whole safetensors file");
    }
    bench.refuse("a header of 5 MB", &honest(&format!("{{}}{}", " ".repeat(5 << 20)), 0), "more than");
    bench.refuse("no tensors", &honest("{}", 0), "not a VGG");
    bench.refuse("an empty tensor", &honest(&tensor("[0,3,3,3]", 0, 0), 0), "not a VGG");
}

#[test]
fn pickles_without_end() {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let system = b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.\x80\x02";
    let legacy = |objects: &[u8]| [&magic[..], system, objects].concat();
    let bench = Bench::new();
    bench.refuse("many objects", &legacy(&b"]".repeat(20 << 20)), "more than");
    bench.refuse("deep", &[legacy(&b"]".repeat(1 << 20)), b"a".repeat(1 << 20), b"..".to_vec()].concat(), "");
    bench.refuse("a long string", &legacy(b"X\xff\xff\xff\xff"), "save");
    bench.refuse("a longer one", &legacy(b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f"), "save");
    bench.refuse("no instruction", &legacy(b"\xff"), "0xff");
    // Every line doubles a list: 2⁶⁰ in the end.
    let doubled = [b"]q\x00".to_vec(), b"(h\x00h\x00lq\x00".repeat(60), b"..".to_vec()].concat();
    bench.refuse("doubled", &legacy(&doubled), "");
}

#[test]
fn other_files() {
    let bench = Bench::new();
    for (what, bytes) in [
        ("nothing", &b""[..]),
        ("text", b"These are not the weights you are looking for."),
        ("a page", b"<!DOCTYPE html><html>not found</html>"),
        ("a pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 553433881\n"),
        ("a pickle", b"\x80\x02}q\x00."),
    ] {
        bench.refuse(what, bytes, "neither a safetensors file nor");
    }
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    bench.refuse("an archive of 2016", &tar, "0.1.10");
    bench.refuse("an empty archive", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "save");
    for path in [bench.0.path(), &bench.0.path().join("none.pth")] {
        let error = open(path).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn cards() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file.pth");
    fs::copy(fixture("zip.pth"), &path).unwrap();
    let deep = format!("{}1{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    for (card, expected) in [
        (&b""[..], "file.json"),
        (b"{\"labels\": [\"a\"", "file.json"),
        (b"\xff\xfe{\0}\0", "file.json"),
        (b"[]", "file.json"),
        (deep.as_bytes(), "file.json"),
        (&vec![b' '; (16 << 20) + 1], "file.json"),
        (b"{\"labels\": 4}", "file.json"),
        (b"{\"labels\": [1, 2, 3, 4]}", "file.json"),
        (b"{\"labels\": [\"a\", \"b\"]}", "2 labels"),
        (b"{\"input\": {\"size\": -1}}", "input.size"),
        (b"{\"input\": {\"size\": \"224\"}}", "input.size"),
        (b"{\"input\": {\"size\": 0}}", "`size` is 0"),
        (b"{\"input\": {\"size\": 1000000000000}}", "`size` is"),
        (b"{\"input\": {\"size\": [18446744073709551615, 1]}}", "`size` is"),
        (b"{\"input\": {\"size\": 300, \"resize\": 200}}", "size"),
        (b"{\"input\": {\"std\": [1, 0, 1]}}", "std"),
        (b"{\"input\": {\"std\": [1, 1]}}", "file.json"),
        (b"{\"input\": {\"mean\": [1e999, 0, 0]}}", "file.json"),
        (b"{\"input\": {\"mean\": [1e300, 0, 0]}}", "mean"),
        (b"{\"input\": {\"mean\": [NaN, 0, 0]}}", "file.json"),
        (b"{\"sha256\": \"no sum\"}", "no sum"),
    ] {
        fs::write(folder.path().join("file.json"), card).unwrap();
        let error = open(&path).map(|model| model.name).unwrap_err().to_string();
        let card = String::from_utf8_lossy(&card[..card.len().min(60)]);
        assert!(error.contains(expected), "{card}: {error}");
    }
    // Depth where nobody looks is passed over, not descended into.
    fs::write(folder.path().join("file.json"), format!("{{\"more\": {deep}}}")).unwrap();
    open(&path).unwrap();
    fs::remove_file(folder.path().join("file.json")).unwrap();
    fs::create_dir(folder.path().join("file.json")).unwrap();
    assert!(open(&path).is_err());
}
