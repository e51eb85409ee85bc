#![allow(clippy::unwrap_used)]
use burn::tensor::{DType, Device};
use burnsight_core::{Differentiable, Error};
use burnsight_network::{
    Activation, AdaptiveAveragePool, BatchNorm, Convolution, Function, Layer, LayerNorm, Linear, MaxPool,
    NetworkBuilder,
};
use burnsight_testkit::{Residual, conformance, nets, relative_l2, trace_conformance, values};

use super::*;

fn lrp(composite: Composite) -> Lrp {
    LrpConfig { composite, ..LrpConfig::default() }.init().unwrap()
}

fn without_biases(composite: Composite) -> Lrp {
    LrpConfig { composite, biases: false }.init().unwrap()
}

fn explain(method: &Lrp, network: &Network, images: &Tensor<4>, class: usize) -> Vec<f64> {
    values(method.attribute(network, images.clone(), &Target::Class(class)).unwrap().map)
}

fn close(ours: &[f64], expected: &[f64]) {
    let near = ours.len() == expected.len() && ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-5);
    assert!(near, "{ours:?} instead of {expected:?}");
}

/// One linear layer on x = (2, −1, 1) without anything else.
///
/// ```text
/// class 0: w = ( 1, 2, −1), b = 2: contributions ( 2, −2, −1), z =  1     class 1: w = (−1, 1, 0), b = 0: (−2, −1, 0), z = −3
/// ```
#[test]
fn every_rule_by_hand() {
    let device = Device::default();
    let weight = Tensor::<2>::from_data([[1.0, 2.0, -1.0], [-1.0, 1.0, 0.0]], &device);
    let layer = Linear::new(weight, Some(Tensor::from_data([2.0, 0.0], &device)));
    let network = nets::chain([("flatten", Layer::Flatten), ("logits", Layer::Linear(layer))]);
    let picture = Tensor::from_data([[[[2.0, -1.0, 1.0]]]], &device);
    let bounds = PixelBounds { low: vec![-2.0], high: vec![2.0] };
    let alpha_beta = Rule::AlphaBeta { alpha: 2.0, beta: 1.0 };
    for (rule, with_bias, without) in [
        // Divided by z = 1, or by −1 without the bias.
        (Rule::Zero, [2.0, -2.0, -1.0], [-2.0, 2.0, 1.0]),
        // By 1 + 1, or −1 − 1.
        (Rule::Epsilon(1.0), [1.0, -1.0, -0.5], [-1.0, 1.0, 0.5]),
        // z is positive: 2·(1 + 1), −1·2 (a negative input, whose weight is positive: not raised), 1·(−1), and 2·(1 + 1) of
        // the bias: 4 − 2 − 1 + 4 = 5, or 1 without the bias.
        (Rule::Gamma(1.0), [0.8, -0.4, -0.2], [4.0, -2.0, -1.0]),
        // Twice 2 / (2 + 2), or 2 / 2; less (−2, −1) / −3.
        (alpha_beta.clone(), [1.0, -2.0 / 3.0, -1.0 / 3.0], [2.0, -2.0 / 3.0, -1.0 / 3.0]),
        (Rule::ZPlus, [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        (Rule::ZMinus, [0.0, 2.0 / 3.0, 1.0 / 3.0], [0.0, 2.0 / 3.0, 1.0 / 3.0]),
        // x w − l w⁺ − h w⁻ = (2 + 2, −2 + 4, −1 + 2)
        (Rule::ZBox(bounds), [4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0], [4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]),
        (Rule::WSquare, [1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0], [1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0]),
        (Rule::Flat, [1.0 / 3.0; 3], [1.0 / 3.0; 3]),
    ] {
        close(&explain(&lrp(Composite::uniform(rule.clone())), &network, &picture, 0), &with_bias);
        close(&explain(&without_biases(Composite::uniform(rule)), &network, &picture, 0), &without);
    }
    // z is negative: 2·(−1 − 1) and −1·(1 + 1), together −6, share −3.
    close(&explain(&lrp(Composite::uniform(Rule::Gamma(1.0))), &network, &picture, 1), &[-2.0, -1.0, 0.0]);
    // Nothing speaks for: α has nothing to share, β shares −3 and is subtracted.
    close(&explain(&lrp(Composite::uniform(alpha_beta)), &network, &picture, 1), &[2.0, 1.0, 0.0]);
}

/// ReLU(ReLU(x₁ − 1) − ReLU(x₂)) at (3, 1), from Ancona et al. 2018: ε-LRP is (3, −1). The bias −1 keeps the −1 by which it
/// is more than the score 1.
#[test]
fn ancona_example() {
    let device = Device::default();
    let first = Linear::new(
        Tensor::from_data([[1.0, 0.0], [0.0, 1.0]], &device),
        Some(Tensor::from_data([-1.0, 0.0], &device)),
    );
    let second = Linear::new(Tensor::from_data([[1.0, -1.0]], &device), None);
    let network = nets::chain([
        ("flatten", Layer::Flatten),
        ("first", Layer::Linear(first)),
        ("inner", Layer::Relu),
        ("second", Layer::Linear(second)),
        ("outer", Layer::Relu),
    ]);
    let picture = Tensor::from_data([[[[3.0, 1.0]]]], &device);
    let method = lrp(Composite::uniform(Rule::Epsilon(1e-6)));
    let attribution = method.attribute(&network, picture.clone(), &Target::Class(0)).unwrap();
    close(&values(attribution.map), &[3.0, -1.0]);
    let completeness = attribution.completeness.unwrap()[0];
    assert!((completeness.gap() - 1.0).abs() < 1e-4 && completeness.warning().is_some());
    let books = method.conservation(&network.record(picture).unwrap(), &Target::Class(0)).unwrap();
    let names: Vec<&str> = books.iter().map(|line| line.layer.as_str()).collect();
    assert_eq!(names, ["outer", "second", "inner", "first", "flatten"]);
    let kept: Vec<f64> = books.iter().map(|line| f64::from(line.arrived[0] - line.handed_back[0])).collect();
    close(&kept, &[0.0, 0.0, 0.0, -1.0, 0.0]);
}

/// A network without biases, in double precision, and pictures of both signs.
fn without_any_bias() -> (Network, Tensor<4>) {
    let device = Device::default();
    let mut draw = nets::Draw::new(11, &device, DType::F64);
    let mut convolution = |shape| {
        let layer = draw.convolution(shape).with_padding([1, 1]);
        Layer::Convolution(Convolution { bias: None, ..layer })
    };
    let (a, b) = (convolution([6, 3, 3, 3]), convolution([8, 6, 3, 3]));
    let mut linear = |shape| Layer::Linear(Linear { bias: None, ..draw.linear(shape) });
    let (hidden, logits) = (linear([16, 32]), linear([4, 16]));
    let network = nets::chain([
        ("a", a),
        ("a_relu", Layer::Relu),
        ("pool", Layer::MaxPool(MaxPool::new(2))),
        ("b", b),
        ("b_relu", Layer::Relu),
        ("mean", Layer::AdaptiveAveragePool(AdaptiveAveragePool::new([2, 2]))),
        ("flatten", Layer::Flatten),
        ("hidden", hidden),
        ("hidden_relu", Layer::Relu),
        ("logits", logits),
    ]);
    (network, nets::pictures([2, 3, 8, 6], &device, DType::F64))
}

#[test]
fn zero_without_biases_is_gradient_times_input() {
    let (network, images) = without_any_bias();
    for class in 0..4 {
        let gradient = network.gradient(images.clone(), &Target::Class(class)).unwrap().gradient;
        let ours = explain(&lrp(Composite::uniform(Rule::Zero)), &network, &images, class);
        let distance = relative_l2(&ours, &values(gradient * images.clone()));
        // The average pool is stabilised.
        assert!(distance < 1e-4, "{distance}");
    }
}

#[test]
fn limits() {
    let (network, images) = without_any_bias();
    let map = |rule| explain(&lrp(Composite::uniform(rule)), &network, &images, 1);
    let zero = map(Rule::Zero);
    assert!(relative_l2(&map(Rule::Epsilon(1e-9)), &zero) < 1e-4);
    assert!(relative_l2(&map(Rule::Epsilon(0.0)), &zero) == 0.0);
    assert!(relative_l2(&map(Rule::Gamma(1e-9)), &zero) < 1e-3);
    assert!(relative_l2(&map(Rule::Gamma(0.25)), &zero) > 0.1);
    let z_plus = map(Rule::ZPlus);
    assert!(relative_l2(&map(Rule::AlphaBeta { alpha: 1.0, beta: 0.0 }), &z_plus) == 0.0);
    // Of a positive score: γ of a negative one prefers what makes it negative.
    let top = |rule| {
        let attribution = lrp(Composite::uniform(rule)).attribute(&network, images.clone(), &Target::Top).unwrap();
        assert!(attribution.scores.iter().all(|score| *score > 0.0));
        values(attribution.map)
    };
    assert!(relative_l2(&top(Rule::Gamma(1e9)), &top(Rule::ZPlus)) < 1e-4);
}

#[test]
fn rules_conserve_without_biases() {
    let (network, images) = without_any_bias();
    let alpha_beta = |alpha: f64| Rule::AlphaBeta { alpha, beta: alpha - 1.0 };
    let bounds = PixelBounds { low: vec![-6.0; 3], high: vec![6.0; 3] };
    let first = |rule| Composite::uniform(Rule::ZPlus).with(Layers::First, rule);
    for composite in [
        Composite::uniform(alpha_beta(1.0)),
        Composite::uniform(alpha_beta(2.0)),
        Composite::uniform(Rule::Gamma(0.25)),
        Composite::uniform(Rule::ZPlus),
        // In upper layers these two would also give to units that are off, which have nothing to share in turn.
        first(Rule::WSquare),
        first(Rule::Flat),
        first(Rule::ZBox(bounds)),
    ] {
        let attribution = lrp(composite.clone()).attribute(&network, images.clone(), &Target::Top).unwrap();
        for (completeness, score) in attribution.completeness.unwrap().iter().zip(&attribution.scores) {
            assert_eq!(completeness.difference, *score);
            assert!(completeness.relative_gap() < 1e-3, "{composite:?}: {completeness:?}");
        }
    }
}

/// With biases the map lacks exactly what the books say they kept; without them a skip connection conserves.
#[test]
fn books_balance_over_skip_connections() {
    let device = Device::default();
    let (_, network) = Residual::with_network([6, 5], &device);
    let images = nets::pictures([2, 3, 6, 5], &device, DType::F32);
    let target = Target::Class(1);
    for composite in [Composite::epsilon_alpha2_beta1(), Composite::epsilon_plus()] {
        let method = lrp(composite.clone());
        let attribution = method.attribute(&network, images.clone(), &target).unwrap();
        let books = method.conservation(&network.record(images.clone()).unwrap(), &target).unwrap();
        for (picture, completeness) in attribution.completeness.unwrap().iter().enumerate() {
            let kept: f32 = books.iter().map(|line| line.arrived[picture] - line.handed_back[picture]).sum();
            let gap = completeness.gap();
            assert!((kept + gap).abs() < 1e-4 * completeness.difference.abs().max(1.0), "{kept} and {gap}");
            assert!(gap.abs() > 1e-3, "the biases of this network are not 0");
        }
        let lines = |name: &str| books.iter().find(|line| line.layer == name).unwrap();
        let sum = lines("sum");
        assert_eq!(sum.kind, "sum");
        assert!(sum.arrived.iter().zip(&sum.handed_back).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs().max(1.0)));
    }
    let method = without_biases(Composite::uniform(Rule::ZPlus));
    let attribution = method.attribute(&network, images, &target).unwrap();
    assert!(attribution.completeness.unwrap().iter().all(|kept| kept.relative_gap() < 1e-3));
}

/// The batch norm of small_vgg disappears in the convolution before it.
#[test]
fn batch_norms_are_folded_first() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([1, 3, 8, 7], &device, DType::F32);
    let method = lrp(Composite::epsilon_plus());
    let folded = explain(&method, &network.fold_batch_norms(), &images, 2);
    assert_eq!(explain(&method, &network, &images, 2), folded);
    let shared = method.attribute_trace(&network.record(images).unwrap(), &Target::Class(2)).unwrap();
    assert_eq!(values(shared.map), folded);
}

/// A unit of the norm is the unit of the layer it was folded into; that layer's own output is gone.
#[test]
fn units_around_a_folded_norm() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([1, 3, 8, 7], &device, DType::F32);
    let unit = |layer: &str| Target::Unit { layer: layer.into(), index: vec![2, 3, 4] };
    let of_norm = Lrp::default().attribute(&network, images.clone(), &unit("features.3")).unwrap();
    let norm = network.record(images.clone()).unwrap().activation(network.find("features.3").unwrap()).clone();
    let value = values(norm.flatten())[2 * 56 + 3 * 7 + 4];
    assert!((f64::from(of_norm.scores[0]) - value).abs() < 1e-5 && value != 0.0, "{:?}, {value}", of_norm.scores);
    let refused = Lrp::default().attribute(&network, images, &unit("features.2")).unwrap_err();
    assert!(matches!(refused, Error::Target { .. }) && refused.to_string().contains("unit of features.3"), "{refused}");
}

/// Rules by kind, by depth, for the first layers and by name; the last choice that fits decides.
#[test]
fn composites_choose() {
    let (network, _) = without_any_bias();
    let chosen = |composite: Composite| -> Vec<Rule> { composite.rules(&network).unwrap().into_values().collect() };
    let bounds = PixelBounds { low: vec![-2.0; 3], high: vec![2.0; 3] };
    let box_rule = Rule::ZBox(bounds.clone());
    let epsilon = Rule::Epsilon(1e-6);
    assert_eq!(
        chosen(Composite::epsilon_gamma_box(0.5, bounds.clone())),
        [box_rule, Rule::Gamma(0.5), epsilon.clone(), epsilon.clone()]
    );
    assert_eq!(
        chosen(Composite::epsilon_plus().with_flat_first()),
        [Rule::Flat, Rule::ZPlus, epsilon.clone(), epsilon]
    );
    let by_depth = Composite::uniform(Rule::Zero)
        .with(Layers::Depth { from: 0.0, to: 0.5 }, Rule::Gamma(0.25))
        .with(Layers::Linear, Rule::Flat)
        .with(Layers::Named("hidden".into()), Rule::WSquare);
    assert_eq!(chosen(by_depth), [Rule::Gamma(0.25), Rule::Gamma(0.25), Rule::WSquare, Rule::Flat]);
    for name in Composite::NAMES {
        assert_eq!(chosen(Composite::named(name, Some(&bounds)).unwrap()).len(), 4, "{name}");
    }
}

/// Two readers of the picture are both first; what reads a mixture is not.
#[test]
fn first_layers_of_branches() {
    let device = Device::default();
    let mut draw = nets::Draw::new(4, &device, DType::F32);
    let mut net = NetworkBuilder::new();
    let input = net.input();
    let mut convolution = |shape| Layer::Convolution(draw.convolution(shape));
    let (left, right, above) = (convolution([2, 3, 1, 1]), convolution([2, 3, 1, 1]), convolution([2, 7, 1, 1]));
    let left = net.add("left", left, &[input]).unwrap();
    let right = net.add("right", right, &[input]).unwrap();
    net.add("join", Layer::Concatenation { axis: 1 }, &[left, right, input]).unwrap();
    net.then("above", above).unwrap();
    net.then("mean", Layer::Mean { axes: vec![2, 3] }).unwrap();
    net.then("flatten", Layer::Flatten).unwrap();
    let network = net.build().unwrap();
    let rules = Composite::uniform(Rule::Zero).with_flat_first().rules(&network).unwrap();
    assert_eq!(rules.into_values().collect::<Vec<_>>(), [Rule::Flat, Rule::Flat, Rule::Zero]);
}

/// A function that keeps signs passes relevance on; a gate by a constant too.
#[test]
fn functions_and_constant_gates_pass() {
    let device = Device::default();
    let picture = Tensor::from_data([[[[2.0, -1.0]]]], &device);
    let weight = || Layer::Linear(Linear::new(Tensor::from_data([[3.0, 1.0], [0.0, 1.0]], &device), None));
    let plain = nets::chain([("flatten", Layer::Flatten), ("logits", weight())]);
    let with_function = |function| {
        let mut net = NetworkBuilder::new();
        net.then("flatten", Layer::Flatten).unwrap();
        let function = net.then("function", Layer::Function(function)).unwrap();
        let gate = Activation::Vector(Tensor::from_data([[0.5, 2.0]], &device));
        let gate = net.add("gate", Layer::Constant(gate), &[]).unwrap();
        net.add("gated", Layer::Product, &[function, gate]).unwrap();
        net.then("logits", weight()).unwrap();
        net.build().unwrap()
    };
    let method = lrp(Composite::uniform(Rule::Zero));
    // Without anything between, x w = (6, −1). Leaky ReLU (½ below 0) makes the input (2, −½), the gate (1, −1).
    close(&explain(&method, &plain, &picture, 0), &[6.0, -1.0]);
    close(&explain(&method, &with_function(Function::LeakyRelu(0.5)), &picture, 0), &[3.0, -1.0]);
    let refused = method.attribute(&with_function(Function::Sigmoid), picture, &Target::Class(0)).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("function (sigmoid)") && text.contains("lrp") && text.contains("integrated-gradients"),
        "{text}"
    );
}

#[test]
fn layers_without_a_rule_are_named() {
    let device = Device::default();
    let images = nets::pictures([1, 3, 8, 9], &device, DType::F32);
    let refused = |method: &Lrp, network: &Network| {
        let error = method.attribute(network, images.clone(), &Target::Top).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        error.to_string()
    };
    let text = refused(&Lrp::default(), &nets::branches(&device, DType::F32));
    assert!(text.contains("layer softmax (softmax)") && text.contains("use integrated-gradients"), "{text}");

    let ones = || Tensor::<1>::ones([9], &device);
    let norm = LayerNorm { weight: ones(), bias: ones(), epsilon: 1e-5 };
    let norm = nets::chain([("norm", Layer::LayerNorm(norm)), ("flatten", Layer::Flatten)]);
    assert!(refused(&Lrp::default(), &norm).contains("layer norm (layer norm)"));

    let mut net = NetworkBuilder::new();
    let input = net.input();
    net.add("square", Layer::Product, &[input, input]).unwrap();
    net.then("flatten", Layer::Flatten).unwrap();
    assert!(refused(&Lrp::default(), &net.build().unwrap()).contains("layer square (product)"));

    // A batch norm before the first convolution cannot be folded: its output is no pixel.
    let mut draw = nets::Draw::new(3, &device, DType::F32);
    let norm: BatchNorm = draw.batch_norm(3);
    let behind_norm = nets::chain([
        ("norm", Layer::BatchNorm(norm)),
        ("convolution", Layer::Convolution(draw.convolution([2, 3, 3, 3]))),
        ("flatten", Layer::Flatten),
    ]);
    let bounds = PixelBounds { low: vec![-2.0; 3], high: vec![2.0; 3] };
    let text = refused(&lrp(Composite::epsilon_gamma_box(0.25, bounds)), &behind_norm);
    assert!(text.contains("convolution reads norm") && text.contains("w-square"), "{text}");

    assert!(Lrp::default().attribute(&behind_norm, images.clone(), &Target::Top).is_ok());
}

#[test]
fn settings_out_of_range_are_quoted() {
    let refused = |rule: Rule| {
        let config = LrpConfig { composite: Composite::uniform(rule), ..LrpConfig::default() };
        config.init().unwrap_err().to_string()
    };
    assert!(refused(Rule::Epsilon(-1.0)).contains("`epsilon` is -1"));
    assert!(refused(Rule::Gamma(f64::NAN)).contains("`gamma` is NaN"));
    for (alpha, beta) in [(2.0, 0.5), (0.5, -0.5), (f64::NAN, 1.0)] {
        assert!(refused(Rule::AlphaBeta { alpha, beta }).contains(&format!("{alpha}, {beta}")));
    }
    let bounds = |low: f32, high: f32| PixelBounds { low: vec![low], high: vec![high] };
    assert!(refused(Rule::ZBox(bounds(1.0, 1.0))).contains("low < high"));
    assert!(refused(Rule::ZBox(bounds(f32::NEG_INFINITY, 1.0))).contains("finite"));

    assert!(Composite::named("epsilon-plus-one", None).unwrap_err().to_string().contains("epsilon-plus, "));
    assert!(Composite::named("epsilon-gamma-box", None).unwrap_err().to_string().contains("bounds"));
    let (network, images) = without_any_bias();
    let attribute =
        |composite| lrp(composite).attribute(&network, images.clone(), &Target::Top).unwrap_err().to_string();
    let named = |name: &str| Composite::epsilon_plus().with(Layers::Named(name.into()), Rule::Flat);
    assert!(attribute(named("c")).contains("no such layer"));
    assert!(attribute(named("pool")).contains("max pool has no weights"));
    let one_channel = Composite::epsilon_gamma_box(0.25, bounds(-1.0, 1.0));
    assert!(attribute(one_channel).contains("one bound for each channel"));
}

#[test]
fn conforms() {
    let device = Device::default();
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    let bounds = PixelBounds { low: vec![-4.0; 3], high: vec![4.0; 3] };
    let (_, residual) = Residual::with_network([11, 9], &device);
    for network in [nets::small_vgg(&device, DType::F32), residual] {
        for name in ["epsilon-plus", "epsilon-gamma-box", "preset-b-flat"] {
            let method = lrp(Composite::named(name, Some(&bounds)).unwrap());
            conformance(&method, &network, images.clone());
            trace_conformance(&method, &network, images.clone());
        }
    }
}
