//! Where in the picture a hidden layer's numbers belong, followed through layers that move them.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor};
use burnsight_network::{Activation, Layer, Network, NetworkBuilder, NodeId, Select};
use burnsight_testkit::{
    nets::{self, Draw},
    values,
};

const SHAPE: [usize; 4] = [2, 3, 4, 6];

fn pictures() -> Tensor<4> {
    let [n, c, h, w] = SHAPE;
    nets::pictures([n, c, h, w], &Device::default(), DType::F32)
}

fn select(axis: usize, indices: impl IntoIterator<Item = usize>) -> Layer {
    Layer::Select(Select { axis, indices: indices.into_iter().collect() })
}

/// A network of the layers and a head, and the layer before the head.
fn network(build: impl FnOnce(&mut NetworkBuilder) -> NodeId) -> (Network, NodeId) {
    let mut net = NetworkBuilder::new();
    let layer = build(&mut net);
    net.add("head", Layer::Flatten, &[layer]).unwrap();
    (net.build().unwrap(), layer)
}

/// The layers only move the picture's values: followed back, they are the picture again.
fn moved(build: impl FnOnce(&mut NetworkBuilder) -> NodeId) -> Tensor<4> {
    let (network, layer) = network(build);
    let trace = network.record(pictures()).unwrap();
    trace.places(layer).unwrap().to_map(trace.activation(layer).clone())
}

fn lost(build: impl FnOnce(&mut NetworkBuilder) -> NodeId) {
    let (network, layer) = network(build);
    let trace = network.record(pictures()).unwrap();
    let error = trace.places(layer).unwrap_err().to_string();
    assert!(error.contains("has no places"), "{error}");
}

fn chain(net: &mut NetworkBuilder, layers: impl IntoIterator<Item = Layer>) -> NodeId {
    let layers: Vec<Layer> = layers.into_iter().collect();
    let mut last = net.input();
    for (index, layer) in layers.into_iter().enumerate() {
        last = net.then(format!("layer {index}"), layer).unwrap();
    }
    last
}

#[test]
fn channels_last_and_tokens_are_the_picture() {
    let last = Layer::Transpose { axes: vec![0, 2, 3, 1] };
    let tokens = Layer::Reshape { shape: vec![24, 3] };
    let grid = Layer::Reshape { shape: vec![4, 6, 3] };
    let channels_and_tokens = Layer::Reshape { shape: vec![3, 24] };
    let picture = values(pictures());
    for layers in [
        vec![last.clone()],
        vec![last.clone(), tokens.clone()],
        vec![last, tokens.clone(), grid],
        vec![channels_and_tokens.clone()],
        vec![channels_and_tokens, Layer::Transpose { axes: vec![0, 2, 1] }],
    ] {
        assert_eq!(values(moved(|net| chain(net, layers))), picture);
    }
}

/// As in a vision transformer: two tokens in front that belong to no place, one of which is dropped again.
#[test]
fn tokens_without_a_place_are_left_out() {
    let map = moved(|net| {
        let last = chain(net, [Layer::Transpose { axes: vec![0, 2, 3, 1] }, Layer::Reshape { shape: vec![24, 3] }]);
        let mut draw = Draw::new(1, &Device::default(), DType::F32);
        let token = Layer::Constant(Activation::Tokens(draw.tensor([1, 2, 3], 0.0, 1.0)));
        let token = net.add("token", token, &[]).unwrap();
        let joined = net.add("joined", Layer::Concatenation { axis: 1 }, &[token, last]).unwrap();
        net.add("dropped", select(1, 1..26), &[joined]).unwrap()
    });
    assert_eq!(values(map), values(pictures()));
}

#[test]
fn every_second_row_still_spans_the_picture() {
    let map = moved(|net| chain(net, [select(2, [0, 2]), select(3, [1, 3, 5])]));
    assert_eq!(map.dims(), [2, 3, 2, 3]);
}

#[test]
fn what_shifts_or_mixes_places_loses_them() {
    lost(|net| chain(net, [select(2, 1..4)]));
    lost(|net| chain(net, [Layer::Reshape { shape: vec![3, 6, 4] }]));
    lost(|net| chain(net, [Layer::Reshape { shape: vec![3, 2, 2, 6] }]));
    lost(|net| chain(net, [Layer::Mean { axes: vec![2] }]));
    // The rows rolled by one, as shifted windows are.
    lost(|net| {
        let input = net.input();
        let first = net.add("first", select(2, [0]), &[input]).unwrap();
        let rest = net.add("rest", select(2, 1..4), &[input]).unwrap();
        net.add("rolled", Layer::Concatenation { axis: 2 }, &[rest, first]).unwrap()
    });
    // Only the class token: no places are left.
    lost(|net| chain(net, [Layer::Reshape { shape: vec![3, 24] }, select(2, [0])]));
}
