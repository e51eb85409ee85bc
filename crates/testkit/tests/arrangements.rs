//! Layers that transformers and their like are made of: backward against central differences, forward by hand.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor};
use burnsight_core::{Classifier, Differentiable, Target};
use burnsight_network::{
    Activation, Function, Layer, LayerNorm, Linear, Network, NetworkBuilder, NodeId, Pad, Resample, Select,
};
use burnsight_testkit::{
    nets::{self, Draw},
    numeric_gradient, relative_l2, values,
};

const DTYPE: DType = DType::F64;

fn draw() -> Draw {
    Draw::new(5, &Device::default(), DTYPE)
}

/// Compares the gradient of a weighting of all outputs, on two pictures `[3, 4, 2]`, with central differences.
fn check(what: &str, network: &Network) {
    let images = nets::pictures([2, 3, 4, 2], &Device::default(), DTYPE);
    let [_, outputs] = network.logits(images.clone()).unwrap().dims();
    assert_eq!(network.shapes([3, 4, 2]).unwrap()[network.output_index()], [outputs], "{what}: another shape");
    let weights = values(draw().tensor([outputs], 0.0, 1.0)).into_iter().map(|weight| weight as f32).collect();
    let target = Target::Weighted(weights);
    let exact = values(network.gradient(images.clone(), &target).unwrap().gradient);
    let numeric = numeric_gradient(network, &images, &target, 1e-6);
    assert!(numeric.iter().any(|slope| *slope != 0.0), "{what}: nothing to compare");
    let error = relative_l2(&exact, &numeric);
    assert!(error <= 1e-6, "{what}: relative error {error:e}");
}

trait OutputIndex {
    fn output_index(&self) -> usize;
}

impl OutputIndex for Network {
    fn output_index(&self) -> usize {
        self.nodes().position(|(id, _)| id == self.output()).unwrap()
    }
}

/// A curve behind the layer, so that a gradient that merely has the right size is found out.
fn check_layer(what: &str, layer: Layer) {
    let curve = Layer::Function(Function::Tanh);
    check(what, &nets::chain([(what, layer), ("curve", curve), ("flatten", Layer::Flatten)]));
}

fn check_vector(layer: Layer, input: &[f64], expected: &[f64]) {
    let device = Device::default();
    let network = nets::chain([("layer", layer), ("flatten", Layer::Flatten)]);
    let images = Tensor::<1>::from_data(input, (&device, DTYPE)).reshape([1, 1, 2, input.len() / 2]);
    assert_eq!(values(network.logits(images).unwrap()), expected);
}

#[test]
fn layers_that_move_values() {
    check_layer("transpose", Layer::Transpose { axes: vec![0, 3, 1, 2] });
    check_layer("reshape", Layer::Reshape { shape: vec![2, 3, 4] });
    check_layer("reshape to five", Layer::Reshape { shape: vec![3, 2, 2, 1, 2] });
    check_layer("reshape to one", Layer::Reshape { shape: vec![24] });
    check_layer("select a run", Layer::Select(Select { axis: 2, indices: vec![1, 2] }));
    check_layer("select with repeats", Layer::Select(Select { axis: 1, indices: vec![2, 0, 2, 2] }));
    check_layer("pad", Layer::Pad(Pad { axis: 3, before: 2, after: 1, value: 0.5 }));
    check_layer("mean", Layer::Mean { axes: vec![1, 3] });
    let resample = Resample { rows: draw().tensor([5, 4], 0.0, 1.0), columns: draw().tensor([3, 2], 0.0, 1.0) };
    check_layer("resample", Layer::Resample(resample));
    check_layer("softmax along rows", Layer::Softmax { axis: 2 });
}

#[test]
fn moved_by_hand() {
    let input = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    check_vector(Layer::Transpose { axes: vec![0, 1, 3, 2] }, &input, &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    check_vector(Layer::Select(Select { axis: 3, indices: vec![2, 0] }), &input, &[3.0, 1.0, 6.0, 4.0]);
    check_vector(
        Layer::Pad(Pad { axis: 2, before: 0, after: 1, value: 9.0 }),
        &input,
        &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0, 9.0, 9.0],
    );
    check_vector(Layer::Mean { axes: vec![2] }, &input, &[2.5, 3.5, 4.5]);
}

#[test]
fn layers_on_tokens() {
    let features = draw().linear([5, 2]);
    let weight = draw().tensor([5], 1.0, 0.3);
    let norm = LayerNorm { weight, bias: draw().tensor([5], 0.0, 1.0), epsilon: 1e-3 };
    check_layer("linear on the last axis of a map", Layer::Linear(features.clone()));
    let tokens = [
        ("tokens", Layer::Reshape { shape: vec![12, 2] }),
        ("linear", Layer::Linear(Linear { bias: None, ..features })),
        ("norm", Layer::LayerNorm(norm)),
        ("flatten", Layer::Flatten),
    ];
    check("linear and layer norm on tokens", &nets::chain(tokens));
}

/// Attention over four rows of a map, a class token, an axis that is repeated, and a product with itself.
#[test]
fn attention() {
    let mut draw = draw();
    let mut net = NetworkBuilder::new();
    let input = net.input();
    let mut add = |name: &str, layer, inputs: &[NodeId]| net.add(name, layer, inputs).unwrap();
    let query = add("query", Layer::Linear(draw.linear([2, 2])), &[input]);
    let key = add("key", Layer::Linear(draw.linear([2, 2])), &[input]);
    let key = add("key.transpose", Layer::Transpose { axes: vec![0, 1, 3, 2] }, &[key]);
    let scores = add("scores", Layer::MatrixProduct, &[query, key]);
    let bias = add("bias", Layer::Constant(Activation::Map(draw.tensor([1, 1, 4, 4], 0.0, 1.0))), &[]);
    let biased = add("biased", Layer::Sum, &[scores, bias]);
    let weights = add("weights", Layer::Softmax { axis: 3 }, &[biased]);
    let values = add("values", Layer::MatrixProduct, &[weights, input]);
    let gate = add("gate", Layer::Mean { axes: vec![2, 3] }, &[values]);
    let gated = add("gated", Layer::Product, &[values, gate]);
    let squared = add("squared", Layer::Product, &[gated, gated]);
    let token = add("token", Layer::Constant(Activation::Map(draw.tensor([1, 3, 1, 2], 0.0, 1.0))), &[]);
    let joined = add("joined", Layer::Concatenation { axis: 2 }, &[token, squared, gated]);
    add("flatten", Layer::Flatten, &[joined]);
    check("attention", &net.build().unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |layer: Layer, expected: &str| {
        let network = nets::chain([("layer", layer), ("flatten", Layer::Flatten)]);
        let error = network.shapes([3, 4, 2]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(Layer::Transpose { axes: vec![1, 0, 2, 3] }, "no order");
    refused(Layer::Transpose { axes: vec![0, 2, 1] }, "no order");
    refused(Layer::Reshape { shape: vec![5, 5] }, "[5, 5]");
    refused(Layer::Reshape { shape: vec![usize::MAX, usize::MAX] }, "cannot take");
    refused(Layer::Reshape { shape: vec![3, 1, 1, 1, 2, 2, 2] }, "axes can be held");
    refused(Layer::Select(Select { axis: 1, indices: vec![3] }), "place 3 of 3");
    refused(Layer::Select(Select { axis: 4, indices: vec![0] }), "no axis 4");
    refused(Layer::Select(Select { axis: 0, indices: vec![0] }), "no axis 0");
    refused(Layer::Pad(Pad { axis: 1, before: usize::MAX, after: 1, value: 0.0 }), "too wide");
    refused(Layer::Mean { axes: vec![9] }, "no axis 9");
    refused(Layer::Linear(draw().linear([5, 3])), "3 features");
    let resample = Resample { rows: draw().tensor([5, 3], 0.0, 1.0), columns: draw().tensor([3, 2], 0.0, 1.0) };
    refused(Layer::Resample(resample), "resizes");
    let mut net = NetworkBuilder::new();
    let input = net.input();
    net.add("product", Layer::MatrixProduct, &[input, input]).unwrap();
    net.then("flatten", Layer::Flatten).unwrap();
    assert!(net.build().unwrap().shapes([3, 4, 2]).unwrap_err().to_string().contains("no matrices"));
    let constant = Layer::Constant(Activation::Vector(draw().tensor([1, 3], 0.0, 1.0)));
    let mut net = NetworkBuilder::new();
    net.add("constant", constant, &[]).unwrap();
    assert!(net.build().unwrap_err().to_string().contains("does not depend"));
}
