//! Files that are damaged, absurd or meant to do harm: an error each, quickly, and never more memory than sensible.
#![allow(clippy::unwrap_used)]

use std::{path::Path, time::Instant};

use burn::tensor::Device;
use burnsight_core::{Error, Result};
use burnsight_onnx::OnnxModel;
use onnx_ir::{AttributeProto, Message, ModelProto, NodeProto, TensorProto, ValueInfoProto};

/// Far above what any case needs in a debug build; a walk over 2⁴⁰ values would take days.
const SECONDS: u64 = 20;

fn parse(bytes: Vec<u8>) -> Result<OnnxModel> {
    burnsight_onnx::parse("hostile.onnx", bytes, None, &Device::default())
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

#[track_caller]
fn refused(result: Result<OnnxModel>, expected: &str) {
    let error = result.expect_err(expected);
    assert!(matches!(error, Error::Model { .. }), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("hostile.onnx") && error.contains(expected), "{error}");
}

fn node(kind: &str, name: &str, inputs: &[&str], output: &str, ints: &[(&str, &[i64])]) -> NodeProto {
    let mut node = NodeProto::new();
    node.op_type = kind.into();
    node.name = name.into();
    node.input = inputs.iter().map(ToString::to_string).collect();
    node.output = vec![output.into()];
    for (name, values) in ints {
        let mut attribute = AttributeProto::new();
        attribute.name = (*name).into();
        attribute.ints = values.to_vec();
        attribute.i = values[0];
        node.attribute.push(attribute);
    }
    node
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let mut tensor = TensorProto::new();
    tensor.name = name.into();
    tensor.dims = dims.to_vec();
    tensor.data_type = 1;
    tensor.float_data = values.to_vec();
    tensor
}

fn ints(name: &str, values: &[i64]) -> TensorProto {
    let mut tensor = floats(name, &[values.len() as i64], &[]);
    tensor.data_type = 7;
    tensor.int64_data = values.to_vec();
    tensor
}

/// The input `picture` [1, 3, 8, 8] and the output `logits` of the file `tokens.onnx`, but other operations.
fn model(nodes: Vec<NodeProto>, tensors: Vec<TensorProto>) -> ModelProto {
    let mut model = ModelProto::parse_from_bytes(&fixture("tokens.onnx")).unwrap();
    let graph = model.graph.mut_or_insert_default();
    let mut input = graph.input.remove(0);
    input.name = "picture".into();
    graph.input = vec![input];
    graph.output = vec![ValueInfoProto { name: "logits".into(), ..ValueInfoProto::new() }];
    graph.node = nodes;
    graph.initializer = tensors;
    model
}

fn bytes(model: &ModelProto) -> Vec<u8> {
    model.write_to_bytes().unwrap()
}

fn flatten(from: &str) -> NodeProto {
    node("Flatten", "flatten", &[from], "logits", &[])
}

/// One operation on the picture, then the logits.
fn one(operation: NodeProto, tensors: Vec<TensorProto>) -> Result<OnnxModel> {
    parse(bytes(&model(vec![operation, flatten("y")], tensors)))
}

#[test]
fn damaged_files() {
    let whole = fixture("tokens.onnx");
    assert!(parse(whole.clone()).is_ok());
    for nothing in [vec![], b"not an ONNX file".to_vec(), vec![0; 1000], vec![0xff; 1000]] {
        assert!(parse(nothing).is_err());
    }
    for length in (0..whole.len()).step_by(997) {
        assert!(parse(whole[..length].to_vec()).is_err(), "cut after {length} bytes");
    }
    // A bit that flips in a weight cannot be found out; in all else it must not do harm.
    for place in (0..whole.len()).step_by(1000).chain(0..600) {
        for bit in [0, 3, 7] {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << bit;
            let _ = parse(flipped);
        }
    }
}

#[test]
fn graphs_that_are_none() {
    refused(parse(bytes(&model(vec![], vec![]))), "without any operation");
    let cyclic = vec![node("Relu", "a", &["z"], "y", &[]), node("Relu", "b", &["y"], "z", &[]), flatten("z")];
    refused(parse(bytes(&model(cyclic, vec![]))), "cyclic");
    let itself = vec![node("Add", "a", &["y", "picture"], "y", &[]), flatten("y")];
    refused(parse(bytes(&model(itself, vec![]))), "cyclic");
    refused(parse(bytes(&model(vec![flatten("nowhere")], vec![]))), "nowhere");
    refused(parse(bytes(&model(vec![node("Relu", "a", &["picture"], "y", &[])], vec![]))), "logits");
    let constant = vec![node("Relu", "a", &["c"], "logits", &[])];
    refused(parse(bytes(&model(constant, vec![floats("c", &[1, 2], &[1.0, 2.0])]))), "does not depend on the picture");
    let map = vec![node("Relu", "a", &["picture"], "logits", &[])];
    refused(parse(bytes(&model(map, vec![]))), "[n, classes]");
    refused(one(node("Loop", "a", &["picture"], "y", &[]), vec![]), "Loop");
    refused(one(node("Conv", "a", &["picture", "picture"], "y", &[]), vec![]), "depends on the picture");
    refused(one(node("Conv", "a", &["picture"], "y", &[]), vec![]), "missing");
    refused(one(node("Conv", "a", &[], "y", &[]), vec![]), "missing");

    let mut foreign = model(vec![node("Magic", "a", &["picture"], "y", &[]), flatten("y")], vec![]);
    foreign.graph.mut_or_insert_default().node[0].domain = "com.example".into();
    refused(parse(bytes(&foreign)), "com.example::Magic");
    let mut without_version = model(vec![flatten("picture")], vec![]);
    assert!(parse(bytes(&without_version)).is_ok());
    without_version.opset_import.clear();
    refused(parse(bytes(&without_version)), "version");
    let mut two = model(vec![flatten("picture")], vec![]);
    let graph = two.graph.mut_or_insert_default();
    graph.input.push(ValueInfoProto { name: "mask".into(), ..graph.input[0].clone() });
    refused(parse(bytes(&two)), "mask");
    let mut no_output = model(vec![flatten("picture")], vec![]);
    no_output.graph.mut_or_insert_default().output.clear();
    assert!(parse(bytes(&no_output)).is_err());
}

/// Not hostile, only old: onnxruntime does not read such files any more.
#[test]
fn before_version_7_an_attribute_says_where_the_second_input_lies() {
    let add = node("Add", "a", &["picture", "c"], "y", &[("broadcast", &[1]), ("axis", &[1])]);
    let mut old = model(vec![add, flatten("y")], vec![floats("c", &[3], &[1.0, 2.0, 3.0])]);
    old.opset_import[0].version = 6;
    let network = parse(bytes(&old)).unwrap().network;
    let pictures = burn::tensor::Tensor::<4>::zeros([2, 3, 16, 16], &Device::default());
    let values = burnsight_core::read(burnsight_core::Classifier::logits(&network, pictures).unwrap()).unwrap();
    assert_eq!((values[0], values[256], values[2 * 256], values[3 * 256]), (1.0, 2.0, 3.0, 1.0));
    old.opset_import[0].version = 7;
    assert!(parse(bytes(&old)).is_err(), "three values do not lie along the last of 16 × 16");
}

#[test]
fn absurd_sizes() {
    let started = Instant::now();
    let huge = 1i64 << 40;
    let conv = |weight: TensorProto, settings: &[(&str, &[i64])]| {
        one(node("Conv", "a", &["picture", "w"], "y", settings), vec![weight])
    };
    refused(conv(floats("w", &[huge, huge, 3, 3], &[]), &[]), "larger than any file");
    refused(conv(floats("w", &[-1, 3, 3, 3], &[]), &[]), "negative");
    refused(conv(floats("w", &[2, 3, 1, 1], &[1.0; 5]), &[]), "5 values");
    refused(conv(floats("w", &[2, 3, 1, 1], &[f32::NAN; 6]), &[]), "NaN");
    let weight = || floats("w", &[2, 3, 1, 1], &[1.0; 6]);
    assert!(conv(weight(), &[]).is_ok());
    for (setting, values) in [
        ("strides", &[0, 1][..]),
        ("strides", &[huge, 1]),
        ("dilations", &[-1, 1]),
        ("pads", &[huge, huge, huge, huge]),
        ("pads", &[0, huge, 0, 0]),
        ("pads", &[1, 1]),
        ("group", &[-3]),
        ("group", &[i64::MAX]),
    ] {
        assert!(conv(weight(), &[(setting, values)]).is_err(), "{setting} {values:?}");
    }
    let with = |kind: &str, values: &[i64]| one(node(kind, "a", &["picture", "v"], "y", &[]), vec![ints("v", values)]);
    for (kind, values) in [
        ("Reshape", &[huge, huge][..]),
        ("Reshape", &[-1, -1]),
        ("Reshape", &[-2, 3]),
        ("Reshape", &[0, 0, 0, 0, 0, 0, 0]),
        ("Expand", &[huge, huge, 8, 8]),
        ("Expand", &[1, 3, huge, 8]),
        ("Tile", &[1, huge, 1, 1]),
        ("Tile", &[1, 1 << 19, 1 << 19, 1]),
        ("Pad", &[0, 0, huge, 0, 0, 0, 0, 0]),
        ("Pad", &[0, 0, i64::MIN, 0, 0, 0, i64::MAX, 0]),
        ("Squeeze", &[2]),
        ("Unsqueeze", &[i64::MIN]),
        ("Gather", &[huge]),
        ("ReduceMean", &[0]),
    ] {
        assert!(with(kind, values).is_err(), "{kind} {values:?}");
    }
    for (kind, values) in
        [("ConstantOfShape", &[huge, huge][..]), ("ConstantOfShape", &[-1]), ("ConstantOfShape", &[1 << 13, 1 << 13])]
    {
        let graph =
            vec![node(kind, "a", &["v"], "c", &[]), node("Add", "b", &["picture", "c"], "y", &[]), flatten("y")];
        refused(parse(bytes(&model(graph, vec![ints("v", values)]))), "operation \"a\"");
    }
    // Constants that a layer would compute: an outer product of 2²⁰ by 2²⁰.
    let long = || vec![1.0f32; 1 << 20];
    let outer = vec![
        node("MatMul", "a", &["column", "row"], "c", &[]),
        node("Mul", "b", &["picture", "c"], "y", &[]),
        flatten("y"),
    ];
    let tensors = vec![floats("column", &[1, 1 << 20, 1], &long()), floats("row", &[1, 1, 1 << 20], &long())];
    refused(parse(bytes(&model(outer, tensors))), "too large");
    // Each doubles what was before.
    let mut doubling = vec![node("Concat", "d0", &["c", "c"], "c0", &[("axis", &[0])])];
    for index in 1..60 {
        let (before, name) = (format!("c{}", index - 1), format!("c{index}"));
        doubling.push(node("Concat", &format!("d{index}"), &[&before, &before], &name, &[("axis", &[0])]));
    }
    doubling.extend([node("Add", "last", &["picture", "c59"], "y", &[]), flatten("y")]);
    refused(parse(bytes(&model(doubling, vec![floats("c", &[1], &[1.0])]))), "too large");
    assert!(started.elapsed().as_secs() < SECONDS);
}

#[test]
fn depth_and_number() {
    let started = Instant::now();
    let chain = |length: usize| {
        let mut nodes = vec![node("Relu", "r0", &["picture"], "y0", &[])];
        for index in 1..length {
            nodes.push(node("Relu", "", &[&format!("y{}", index - 1)], &format!("y{index}"), &[]));
        }
        nodes.push(flatten(&format!("y{}", length - 1)));
        parse(bytes(&model(nodes, vec![])))
    };
    assert_eq!(chain(2_000).unwrap().network.nodes().len(), 2_002);
    refused(chain(10_000), "more than the 8192");
    // Two bytes of file make an operation of hundreds of bytes in memory.
    let mut many = bytes(&model(vec![flatten("picture")], vec![]));
    let graph: Vec<u8> = [0x0a, 0x00].repeat(3_000_000);
    many.extend([0x3a]);
    let mut length = graph.len();
    while length >= 0x80 {
        many.push((length as u8 & 0x7f) | 0x80);
        length >>= 7;
    }
    many.push(length as u8);
    many.extend(graph);
    refused(parse(many), "fields");
    // Graphs within attributes of nodes within graphs.
    let mut deep = model(vec![flatten("picture")], vec![]).graph.unwrap();
    for _ in 0..500 {
        let mut attribute = AttributeProto::new();
        attribute.name = "body".into();
        attribute.g = Some(deep).into();
        let mut holder = node("If", "deep", &["picture"], "logits", &[]);
        holder.attribute = vec![attribute];
        let mut outer = onnx_ir::GraphProto::new();
        outer.node = vec![holder];
        deep = outer;
    }
    let mut nested = model(vec![], vec![]);
    nested.graph = Some(deep).into();
    refused(parse(bytes(&nested)), "whole ONNX file");
    assert!(started.elapsed().as_secs() < SECONDS);
}

#[test]
fn weights_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("model");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("secret"), [0; 24]).unwrap();
    std::fs::write(inside.join("weights"), [0; 24]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
    let open = |entries: &[(&str, &str)]| {
        let mut weight = floats("w", &[2, 3, 1, 1], &[]);
        // Field 14, `data_location`, is 1: external.
        weight.merge_from_bytes(&[14 << 3, 1]).unwrap();
        for (key, value) in entries {
            weight.external_data.push(Default::default());
            let entry = weight.external_data.last_mut().unwrap();
            entry.key = (*key).into();
            entry.value = (*value).into();
        }
        let file = inside.join("hostile.onnx");
        let nodes = vec![node("Conv", "a", &["picture", "w"], "y", &[]), flatten("y")];
        std::fs::write(&file, bytes(&model(nodes, vec![weight]))).unwrap();
        burnsight_onnx::open(&file, None, &Device::default())
    };
    assert!(open(&[("location", "weights")]).is_ok());
    assert!(open(&[("location", "./weights"), ("offset", "0"), ("length", "24")]).is_ok());
    let secret = folder.path().join("secret");
    refused(open(&[("location", "../secret")]), "outside the model's folder");
    refused(open(&[("location", "x/../../secret")]), "outside the model's folder");
    refused(open(&[("location", secret.to_str().unwrap())]), "outside the model's folder");
    #[cfg(unix)]
    refused(open(&[("location", "link")]), "outside the model's folder");
    refused(open(&[("location", "missing")]), "missing");
    refused(open(&[("location", "weights"), ("offset", "4")]), "needs 24");
    refused(open(&[("location", "weights"), ("offset", "18446744073709551615")]), "needs 24");
    refused(open(&[("location", "weights"), ("length", "25")]), "needs 24");
    refused(open(&[("location", "weights"), ("length", "all")]), "no number");
    refused(open(&[]), "does not say");
}
