#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, TensorData};
use burnsight_core::{Differentiable, Error, Seed};
use burnsight_network::{Convolution, Layer, Linear, NetworkBuilder};
use burnsight_testkit::{conformance, nets, relative_l2, trace_conformance, values};

use super::*;

const SHA: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

fn fit(network: &Network, batches: impl IntoIterator<Item = Tensor<4>>) -> Patterns {
    let mut estimator = PatternEstimator::new(network).unwrap();
    batches.into_iter().for_each(|images| estimator.add(images).unwrap());
    estimator.patterns().unwrap()
}

/// Patterns of a small network from noise.
fn noise(network: &Network) -> Patterns {
    let device = Device::default();
    fit(network, [Seed(5).normal(0, [6, 3, 8, 9], &device).cast(DType::F32)])
}

fn layer(patterns: &Patterns, name: &str) -> Vec<f64> {
    values(patterns.layers[name].clone())
}

/// Pictures `[n, 1, 1, 2]` of what `of` makes of two independent normal numbers.
fn two_pixels(count: usize, of: impl Fn(f64, f64) -> [f64; 2]) -> Tensor<4> {
    let device = Device::default();
    let drawn = values(Seed(11).normal(0, [count, 2], &device));
    let pixels: Vec<f64> = drawn.chunks(2).flat_map(|pair| of(pair[0], pair[1])).collect();
    Tensor::from_data(TensorData::new(pixels, [count, 1, 1, 2]), (&device, DType::F32))
}

/// The toy of the paper: x = s a + ε d with a = (1, 0) and d = (1, 1), and w = (1, −1), so that wᵀx = s. The weights, and
/// with them the gradient, point elsewhere than the signal.
#[test]
fn the_linear_estimator_finds_the_signal_beside_a_distractor() {
    let device = Device::default();
    let network = nets::linear(Tensor::from_data([[1.0, -1.0]], &device));
    let patterns = fit(&network, [two_pixels(4000, |s, e| [s + e, e])]);
    // cov[x, y] / σ² of 4000 pairs: the error is of the order 1 / √4000 = 0.016.
    let [first, second] = layer(&patterns, "logits").try_into().unwrap();
    assert!((first - 1.0).abs() < 0.05 && second.abs() < 0.05, "({first}, {second})");
    assert!((first - second - 1.0).abs() < 1e-5, "wᵀa is 1 exactly");
    assert_eq!(patterns.origin.pictures, 4000);
}

/// A convolution of two pixels with weights (1, −1), ReLU, and a logit.
fn behind_relu(bias: f32) -> [(&'static str, Layer); 4] {
    let device = Device::default();
    let weight = Tensor::from_data([[[[1.0, -1.0]]]], &device);
    [
        ("hidden", Layer::Convolution(Convolution::new(weight, Some(Tensor::from_data([bias], &device))))),
        ("relu", Layer::Relu),
        ("flatten", Layer::Flatten),
        ("logit", Layer::Linear(Linear::new(Tensor::ones([1, 1], &device), None))),
    ]
}

/// x = s (1, 0) + ε d for s > 0 and s (−2, −3) + ε d otherwise: wᵀx = s on both sides.
fn bent(s: f64, e: f64) -> [f64; 2] {
    if s > 0.0 { [s + e, e] } else { [-2.0 * s + e, -3.0 * s + e] }
}

/// Where the ReLU is closed, the input may do anything that leaves it closed.
#[test]
fn the_two_component_estimator_does_not_look_behind_a_closed_relu() {
    let network = nets::chain(behind_relu(0.0));
    let [first, second] = layer(&fit(&network, [two_pixels(8000, bent)]), "hidden").try_into().unwrap();
    assert!((first - 1.0).abs() < 0.05 && second.abs() < 0.05, "({first}, {second})");
    assert!((first - second - 1.0).abs() < 1e-5, "wᵀa is 1 without bias");
}

/// Read by a sum too, the same layer is more than what its ReLU lets through: the linear estimator mixes both sides,
/// a = ½ ((1, 0) + (−2, −3)).
#[test]
fn layers_that_others_read_too_get_the_linear_estimator() {
    let [hidden, relu, flatten, logit] = behind_relu(0.0);
    let mut network = NetworkBuilder::new();
    let hidden = network.then(hidden.0, hidden.1).unwrap();
    let relu = network.then(relu.0, relu.1).unwrap();
    network.add("sum", Layer::Sum, &[hidden, relu]).unwrap();
    network.then(flatten.0, flatten.1).unwrap();
    network.then(logit.0, logit.1).unwrap();
    let patterns = fit(&network.build().unwrap(), [two_pixels(8000, bent)]);
    let [first, second] = layer(&patterns, "hidden").try_into().unwrap();
    assert!((first + 0.5).abs() < 0.05 && (second + 1.5).abs() < 0.05, "({first}, {second})");
}

/// A bias opens the ReLU earlier and takes its share. x = s (1, 0) + ε d and y = s + 1, so ȳ = 1, and with s > −1
///
/// ```text
/// E₊[x₁ y] − E₊[x₁] E[y] = E₊[s²]         = (Φ(1) − φ(1)) / Φ(1)                  = 0.7124     (x₂: 0)
/// E₊[y²]   − E₊[y] E[y]  = E₊[s² + s]     = 0.7124 + φ(1) / Φ(1) = 0.7124 + 0.2876 = 1
/// ```
/// Without the bias in the denominator it would be 0.7124 and the pattern (1, 0).
#[test]
fn the_bias_counts_as_the_weight_of_a_constant_input() {
    let network = nets::chain(behind_relu(1.0));
    let patterns = fit(&network, [two_pixels(8000, |s, e| [s + e, e])]);
    let [first, second] = layer(&patterns, "hidden").try_into().unwrap();
    assert!((first - 0.7124).abs() < 0.03 && second.abs() < 0.05, "({first}, {second})");
}

/// Every expectation from its definition, place by place: a grouped, strided, dilated and padded convolution before a ReLU.
#[test]
fn sums_over_places_are_those_of_the_definition() {
    let device = Device::default();
    let mut draw = nets::Draw::new(3, &device, DType::F64);
    let (stride, padding, dilation, groups) = ([2, 1], [1, 2], [1, 2], 2);
    let convolution = draw.convolution([6, 2, 3, 2]).with_stride(stride).with_padding(padding);
    let convolution = convolution.with_dilation(dilation).with_groups(groups);
    let network = nets::chain([
        ("hidden", Layer::Convolution(convolution.clone())),
        ("relu", Layer::Relu),
        ("flatten", Layer::Flatten),
        ("logits", Layer::Linear(draw.linear([2, 6 * 4 * 9]))),
    ]);
    let images = nets::pictures([5, 4, 8, 7], &device, DType::F64);
    let fitted = layer(&fit(&network, [images.clone()]), "hidden");
    let (pixels, weight) = (values(images), values(convolution.weight));
    let bias = values(convolution.bias.unwrap());
    let pixel = |n: usize, c: usize, i: isize, j: isize| match ((0..8).contains(&i), (0..7).contains(&j)) {
        (true, true) => pixels[((n * 4 + c) * 8 + i as usize) * 7 + j as usize],
        _ => 0.0,
    };
    let (mut expected, mut dot) = (Vec::new(), Vec::new());
    for output in 0..6 {
        let w = &weight[output * 12..][..12];
        let mut seen: Vec<(Vec<f64>, f64)> = Vec::new();
        for (n, row, column) in
            (0..5).flat_map(|n| (0..4).flat_map(move |row| (0..9).map(move |column| (n, row, column))))
        {
            let x: Vec<f64> = (0..12)
                .map(|k| {
                    let (channel, i, j) = (output / 3 * 2 + k / 6, k / 2 % 3, k % 2);
                    let place = |at: usize, stride: usize, step: usize, padding: usize| {
                        (at * stride + step) as isize - padding as isize
                    };
                    pixel(
                        n,
                        channel,
                        place(row, stride[0], i * dilation[0], padding[0]),
                        place(column, stride[1], j * dilation[1], padding[1]),
                    )
                })
                .collect();
            let y = bias[output] + x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
            seen.push((x, y));
        }
        assert_eq!(seen.len(), 5 * 4 * 9);
        let mean = seen.iter().map(|(_, y)| y).sum::<f64>() / seen.len() as f64;
        let open: Vec<_> = seen.iter().filter(|(_, y)| *y > 0.0).collect();
        let denominator: f64 = open.iter().map(|(_, y)| y * (y - mean)).sum();
        let a: Vec<f64> =
            (0..12).map(|k| open.iter().map(|(x, y)| x[k] * (y - mean)).sum::<f64>() / denominator).collect();
        // The pattern of the input that is always 1, times its weight, is the rest.
        let constant = open.iter().map(|(_, y)| y - mean).sum::<f64>() / denominator;
        dot.push(a.iter().zip(w).map(|(a, w)| a * w).sum::<f64>() + bias[output] * constant);
        expected.extend(a);
    }
    assert!(dot.iter().all(|dot| (dot - 1.0).abs() < 1e-9), "{dot:?}");
    let error = relative_l2(&fitted, &expected);
    assert!(error < 1e-9, "{error:e}");
}

/// Batches, also of other sizes, add up to the same.
#[test]
fn batches_add_up() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([7, 3, 10, 12], &device, DType::F32);
    let part = |from: usize, to: usize| images.clone().slice_dim(0, from..to);
    let whole = fit(&network, [images.clone()]);
    let parts = fit(&network, [part(0, 1), part(1, 5), part(5, 7)]);
    assert_eq!(parts.origin, whole.origin);
    let change = parts.relative_change(&whole).unwrap();
    // Sums of a batch are in single precision.
    assert!(change.len() == 5 && change.values().all(|change| *change < 1e-4), "{change:?}");
    let fewer = fit(&network, [part(0, 5)]).relative_change(&whole).unwrap()["features.0"];
    assert!(fewer > 1e-3, "other pictures, other patterns: {fewer:e}");
}

/// Outputs that never fire have no pattern, those of linear estimators have wᵀa = 1, and batch norms are folded before.
#[test]
fn dead_outputs_have_no_pattern_and_logits_keep_their_score() {
    let device = Device::default();
    let mut nodes: Vec<(String, Layer)> = Vec::new();
    for (_, node) in nets::small_vgg(&device, DType::F32).nodes().skip(1) {
        let mut layer = node.layer().clone();
        if let Layer::Convolution(convolution) = &mut layer
            && node.name() == "features.0"
        {
            convolution.bias = Some(Tensor::from_data([0.1, -1000.0, 0.1, 0.1], &device));
        }
        nodes.push((node.name().to_string(), layer));
    }
    let network = nets::chain(nodes.iter().map(|(name, layer)| (name.as_str(), layer.clone())));
    let patterns = noise(&network);
    let dead = patterns.dead().unwrap();
    assert_eq!((dead["features.0"], dead["classifier.3"], dead.len()), (1, 0, 5));
    assert!(layer(&patterns, "features.0")[27..54].iter().all(|value| *value == 0.0));
    let Layer::Linear(logits) = network.node(network.output()).layer() else { panic!("the logits are linear") };
    for (a, w) in layer(&patterns, "classifier.3").chunks(8).zip(values(logits.weight.clone()).chunks(8)) {
        let dot: f64 = a.iter().zip(w).map(|(a, w)| a * w).sum();
        assert!((dot - 1.0).abs() < 1e-5, "{dot}");
    }
    let folded = noise(&network.fold_batch_norms());
    assert!(patterns.relative_change(&folded).unwrap().values().all(|change| *change < 1e-6));
}

/// Two hidden units, of which the second is off, and one logit of 2·3 + 1 = 7.
///
/// ```text
/// picture (1, 2)      w₁ = (1, 1)   y₁ =  3      a₁ = (¼, ¾)       logit  w = (2, 5)   b = 1
///                     w₂ = (1, −1)  y₂ = −1      a₂ = (10, 20)            a = (¼, 0.1)
///
/// start 7      behind the logit 7 a = (1.75, 0.7)      behind the ReLU (1.75, 0)      picture 1.75 a₁ = (0.4375, 1.3125)
/// ```
#[test]
fn hand_computed() {
    let device = Device::default();
    let weight = Tensor::from_data([[[[1.0, 1.0]]], [[[1.0, -1.0]]]], &device);
    let logit = Linear::new(Tensor::from_data([[2.0, 5.0]], &device), Some(Tensor::from_data([1.0], &device)));
    let network = nets::chain([
        ("hidden", Layer::Convolution(Convolution::new(weight, None))),
        ("relu", Layer::Relu),
        ("flatten", Layer::Flatten),
        ("logit", Layer::Linear(logit)),
    ]);
    let layers = BTreeMap::from([
        ("hidden".to_string(), Tensor::from_data([[0.25, 0.75], [10.0, 20.0]], &device)),
        ("logit".to_string(), Tensor::from_data([[0.25, 0.1]], &device)),
    ]);
    let method = PatternNet::new(Patterns { layers, origin: Origin { pictures: 9, ..Origin::default() } });
    let picture = Tensor::from_data([[[[1.0, 2.0]]]], &device);
    let attribution = method.attribute(&network, picture, &Target::Class(0)).unwrap();
    assert_eq!(attribution.scores, [7.0]);
    assert_eq!(values(attribution.map), [0.4375, 1.3125]);
    assert!(attribution.completeness.is_none(), "nothing is promised");
    assert_eq!(attribution.provenance.parameters["patterns"]["pictures"], 9, "the sidecar says which patterns");
}

/// With the weights as patterns, nothing is left of the method but where it starts.
#[test]
fn with_weights_as_patterns_it_is_the_gradient_times_the_score() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32).fold_batch_norms();
    let layers = patterns::affine_layers(&network).map(|(name, layer)| (name.to_string(), layer.weight())).collect();
    let method = PatternNet::new(Patterns { layers, origin: Origin::default() });
    let images = nets::pictures([1, 3, 9, 8], &device, DType::F32);
    let map = values(method.attribute(&network, images.clone(), &Target::Class(2)).unwrap().map);
    let gradient = network.gradient(images, &Target::Class(2)).unwrap();
    let score = f64::from(gradient.scores[0]);
    let expected: Vec<f64> = values(gradient.gradient).into_iter().map(|value| value * score).collect();
    assert!(score.abs() > 1e-3 && relative_l2(&map, &expected) < 1e-5);
}

#[test]
fn a_signal_beyond_single_precision_is_no_map() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let mut patterns = noise(&network);
    patterns.layers.values_mut().for_each(|pattern| *pattern = pattern.clone() * 1e12);
    let images = nets::pictures([1, 3, 9, 8], &device, DType::F32);
    let error = PatternNet::new(patterns).attribute(&network, images, &Target::Top).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("pattern-attribution"), "{error}");
}

#[test]
fn files_keep_the_patterns_and_where_they_come_from() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let mut patterns = noise(&network);
    patterns.origin.weights_sha256 = SHA.into();
    patterns.origin.data = "noise, \"six\" pictures".into();
    let bytes = patterns.to_safetensors(&network).unwrap();
    assert_eq!(
        bytes,
        patterns.to_safetensors(&network.fold_batch_norms()).unwrap(),
        "the same patterns, the same bytes"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.patterns.safetensors");
    std::fs::write(&path, &bytes).unwrap();
    let read = Patterns::open(&path, &network, SHA).unwrap();
    assert_eq!(read.origin, patterns.origin);
    // Half precision has 11 binary digits.
    let change = read.relative_change(&patterns).unwrap();
    assert!(change.len() == 5 && change.values().all(|change| *change < 5e-4), "{change:?}");
    assert_eq!(read.dead().unwrap(), patterns.dead().unwrap());
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("features.6.pattern").unwrap().shape(), [6, 6, 3, 3], "shaped as the weight");

    std::fs::write(&path, vec![0; 6_000_000]).unwrap();
    let error = Patterns::open(&path, &network, SHA).unwrap_err().to_string();
    assert!(error.contains("more than the patterns"), "{error}");
    for missing in [folder.path().join("none"), folder.path().to_path_buf()] {
        assert!(matches!(Patterns::open(&missing, &network, SHA), Err(Error::Model { .. })));
    }
}

#[test]
fn files_of_something_else_are_refused_whole() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let mut patterns = noise(&network);
    patterns.origin.weights_sha256 = SHA.into();
    let bytes = patterns.to_safetensors(&network).unwrap();
    let refused = |bytes: &[u8], network: &Network, sha256: &str, words: &str| {
        let error = Patterns::from_safetensors("small", bytes, network, sha256).unwrap_err().to_string();
        assert!(error.contains("small") && error.contains(words), "no {words:?} in {error}");
    };
    refused(&bytes, &network, &SHA.replace('5', "6"), "fit patterns to this model");
    refused(&bytes[..bytes.len() - 1], &network, SHA, "not a whole safetensors file");
    refused(b"", &network, SHA, "not a whole safetensors file");
    // Not a number in half precision, as the last value.
    let mut damaged = bytes.clone();
    damaged[bytes.len() - 2..].copy_from_slice(&0x7e00u16.to_le_bytes());
    refused(&damaged, &network, SHA, "contains NaN");

    let mut draw = nets::Draw::new(9, &device, DType::F32);
    let mut chain =
        |shape| nets::chain([("features.0", Layer::Convolution(draw.convolution(shape))), ("flat", Layer::Flatten)]);
    refused(&bytes, &chain([4, 3, 3, 3]), SHA, "is not part of the network");
    refused(&bytes, &chain([4, 3, 3, 2]), SHA, "tensor features.0.pattern has shape [4, 3, 3, 3]");
    let first = chain([4, 3, 3, 3]);
    let mut few = fit(&first, [nets::pictures([3, 3, 3, 3], &device, DType::F32)]);
    few.origin.weights_sha256 = SHA.into();
    refused(&few.to_safetensors(&first).unwrap(), &network, SHA, ".pattern is missing");

    let weights = safetensors::serialize(
        [("features.0.pattern", &[0u8; 0][..])].map(|(key, bytes)| {
            (key, safetensors::tensor::TensorView::new(safetensors::Dtype::F16, vec![0], bytes).unwrap())
        }),
        None,
    )
    .unwrap();
    refused(&weights, &network, SHA, "does not say where its patterns come from");
    let large = patterns.layers["features.0"].ones_like() * 1e6;
    patterns.layers.insert("features.0".into(), large);
    let error = patterns.to_safetensors(&network).unwrap_err().to_string();
    assert!(error.contains("features.0") && error.contains("half precision"), "{error}");
}

#[test]
fn patterns_that_do_not_fit_the_network_are_refused() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let fitted = noise(&network);
    let refused = |change: &dyn Fn(&mut Patterns), words: &str| {
        let mut patterns = fitted.clone();
        change(&mut patterns);
        let images = nets::pictures([2, 3, 8, 9], &device, DType::F32);
        let error = PatternNet::new(patterns).attribute(&network, images, &Target::Top).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("fit patterns to this model"), "no {words:?} in {error}");
    };
    refused(&|patterns| drop(patterns.layers.remove("features.6")), "layer features.6 has none");
    let other = Tensor::ones([4, 28], &device);
    let misshapen = |patterns: &mut Patterns| drop(patterns.layers.insert("features.0".into(), other.clone()));
    refused(&misshapen, "layer features.0 has shape [4, 28], the layer needs [4, 27]");
    let one_more = |patterns: &mut Patterns| drop(patterns.layers.insert("features.9".into(), other.clone()));
    refused(&one_more, "one of layer features.9");
}

#[test]
fn networks_without_a_rule_are_refused_before_any_picture() {
    let device = Device::default();
    let branches = nets::branches(&device, DType::F32);
    let error = PatternEstimator::new(&branches).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("sum_norm (batch norm)") && text.contains("integrated-gradients"), "{text}");
    let method = PatternNet::new(Patterns::default());
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    assert_eq!(method.attribute(&branches, images, &Target::Top).unwrap_err().to_string(), text);
    let weightless = nets::chain([("pool", Layer::Mean { axes: vec![2, 3] }), ("flatten", Layer::Flatten)]);
    let error = PatternEstimator::new(&weightless).unwrap_err().to_string();
    assert!(error.contains("no patterns") && error.contains("vanilla-gradient"), "{error}");
}

#[test]
fn pictures_that_cannot_be_summed_change_nothing() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let mut estimator = PatternEstimator::new(&network).unwrap();
    estimator.add(nets::pictures([1, 3, 8, 9], &device, DType::F32)).unwrap();
    let error = estimator.patterns().unwrap_err().to_string();
    assert!(error.contains("`pictures` is 1"), "{error}");
    let error = estimator.add(Tensor::ones([2, 3, 8, 9], &device) * f32::NAN).unwrap_err().to_string();
    assert!(error.contains("features.0") && error.contains("NaN"), "{error}");
    assert!(matches!(estimator.add(Tensor::ones([2, 4, 8, 9], &device)), Err(Error::Image { .. })));
    assert_eq!(estimator.pictures(), 1);
    estimator.add(nets::pictures([3, 3, 8, 9], &device, DType::F32)).unwrap();
    assert!(
        estimator
            .patterns()
            .unwrap()
            .layers
            .values()
            .all(|pattern| values(pattern.clone()).iter().all(|value| value.is_finite()))
    );
}

#[test]
fn conforms() {
    let device = Device::default();
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    let network = nets::small_vgg(&device, DType::F32);
    let method = PatternNet::new(noise(&network));
    conformance(&method, &network, images.clone());
    trace_conformance(&method, &network, images);
}
