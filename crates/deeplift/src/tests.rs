#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Device, TensorData, activation::softmax};
use burnsight_core::{Differentiable, Seed};
use burnsight_network::{
    AveragePool, BatchNorm, Convolution, Function, Layer, Linear, MaxPool, NetworkBuilder, Pad, Resample, Select,
};
use burnsight_testkit::{Residual, conformance, nets, relative_l2, trace_conformance, values};

use super::*;

const RULES: [DeepLiftRule; 2] = [DeepLiftRule::Rescale, DeepLiftRule::RevealCancel];

fn method(rule: DeepLiftRule, baseline: Baseline) -> DeepLift {
    DeepLiftConfig { rule, baseline }.init().unwrap()
}

/// The map of class 0 for one picture `[c, h, w]` and one baseline of its size.
fn map(rule: DeepLiftRule, network: &Network, shape: [usize; 3], picture: &[f64], baseline: &[f64]) -> Vec<f64> {
    let tensor = |values: &[f64]| {
        let [channels, height, width] = shape;
        let values = TensorData::new(values.to_vec(), [1, channels, height, width]);
        Tensor::<4>::from_data(values, (&Device::default(), DType::F64))
    };
    let method = method(rule, Baseline::Pictures(tensor(baseline)));
    values(method.attribute(network, tensor(picture), &Target::Class(0)).unwrap().map)
}

/// A linear layer in double precision.
fn linear<const O: usize, const I: usize>(weight: [[f64; I]; O], bias: Option<[f64; O]>) -> Layer {
    let place = (&Device::default(), DType::F64);
    Layer::Linear(Linear::new(Tensor::from_data(weight, place), bias.map(|bias| Tensor::from_data(bias, place))))
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert!(relative_l2(found, expected) < 1e-12, "{found:?}, expected {expected:?}");
}

/// y = 1 − ReLU(1 − x₁ − x₂) at (1, 1), from (0, 0): the ReLU's input goes from 1 to −1 and its output from 1 to 0, so it
/// passes on ½, where the gradient is 0. All contributions to it are negative, so nothing cancels.
#[test]
fn saturated_units_pass_on_their_share() {
    let network = nets::saturation(&Device::default(), DType::F64);
    let picture = Tensor::ones([1, 1, 1, 2], (&Device::default(), DType::F64));
    assert_eq!(values(network.gradient(picture, &Target::Class(0)).unwrap().gradient), [0.0, 0.0]);
    for rule in RULES {
        assert_close(&map(rule, &network, [1, 1, 2], &[1.0, 1.0], &[0.0, 0.0]), &[0.5, 0.5]);
    }
}

/// ReLU(ReLU(x₁ − 1) − ReLU(x₂)) at (3, 1), from (0, 0).
///
/// ```text
/// ReLU(x₁ − 1)   from −1 to 2, answers 0 to 2: multiplier ⅔, and its change of 2 is a positive part of the outer input
/// ReLU(x₂)       from 0 to 1: multiplier 1, and its change of 1 a negative part
/// outer ReLU     from 0 to 1
///     Rescale        multiplier 1:                   3 · ⅔ and −1
///     RevealCancel   δy⁺ = ½ (2 − 0) + ½ (1 − 0) = 1.5     m⁺ = 1.5 / 2     3 · ⅔ · ¾ = 1.5
///                    δy⁻ = ½ (0 − 0) + ½ (1 − 2) = −0.5    m⁻ = −0.5 / −1   1 · −1 · ½ = −0.5
/// ```
#[test]
fn hand_computed() {
    let network = nets::chain([
        ("flatten", Layer::Flatten),
        ("first", linear([[1.0, 0.0], [0.0, 1.0]], Some([-1.0, 0.0]))),
        ("first_relu", Layer::Relu),
        ("second", linear([[1.0, -1.0]], None)),
        ("second_relu", Layer::Relu),
    ]);
    for (rule, expected) in RULES.into_iter().zip([[2.0, -1.0], [1.5, -0.5]]) {
        assert_close(&map(rule, &network, [1, 1, 2], &[3.0, 1.0], &[0.0, 0.0]), &expected);
    }
}

/// min(x₁, x₂) = x₁ − ReLU(x₁ − x₂), the paper's example: from (0, 0) a rule without parts gives the
/// whole to the smaller one, RevealCancel gives each one half.
#[test]
fn reveal_cancel_shares_a_minimum() {
    let mut net = NetworkBuilder::new();
    let flatten = net.then("flatten", Layer::Flatten).unwrap();
    let difference = net.add("difference", linear([[1.0, -1.0]], None), &[flatten]).unwrap();
    let relu = net.add("relu", Layer::Relu, &[difference]).unwrap();
    let both = net.add("both", Layer::Concatenation { axis: 1 }, &[flatten, relu]).unwrap();
    net.add("minimum", linear([[1.0, 0.0, -1.0]], None), &[both]).unwrap();
    let network = net.build().unwrap();
    for (picture, rescale, smaller) in [([5.0, 3.0], [0.0, 3.0], 3.0), ([2.0, 7.0], [2.0, 0.0], 2.0)] {
        let of = |rule| map(rule, &network, [1, 1, 2], &picture, &[0.0, 0.0]);
        assert_close(&of(DeepLiftRule::Rescale), &rescale);
        assert_close(&of(DeepLiftRule::RevealCancel), &[0.5 * smaller, 0.5 * smaller]);
    }
}

/// A pool whose output is taken twice.
///
/// ```text
///                picture   baseline   from  to   winners         share of the winner's change
/// rise           5 1 0 2   1 3 0 0     3    5    first, second   (5 − 3) / (5 − 1) = ½     4 · ½ · 2 to the first
/// fall           1 3 0 0   5 1 0 2     5    3    second, first   (3 − 5) / (1 − 5) = ½    −4 · ½ · 2 to the first
/// rise           5 1 0 2   3 1 4 2     4    5    first, third    (5 − 4) / (5 − 3) = ½     2 · ½ · 2 to the first
/// one winner     5 1 0 2   2 1 0 2     2    5    first           1                         3 · 2 to the first
/// unmoved        5 1 0 2   5 0 0 0     5    5    first           nothing
/// another place  5 1 0 2   1 5 0 0     5    5    first, second   nothing, although both places changed
/// ```
#[test]
fn max_pool_by_hand() {
    let layers = || [("pool", Layer::MaxPool(MaxPool::new(2))), ("flatten", Layer::Flatten)];
    let [pool, flatten] = layers();
    let network = nets::chain([pool, flatten, ("twice", linear([[2.0]], None))]);
    for (picture, baseline, expected) in [
        ([5.0, 1.0, 0.0, 2.0], [1.0, 3.0, 0.0, 0.0], [4.0, 0.0, 0.0, 0.0]),
        ([1.0, 3.0, 0.0, 0.0], [5.0, 1.0, 0.0, 2.0], [-4.0, 0.0, 0.0, 0.0]),
        ([5.0, 1.0, 0.0, 2.0], [3.0, 1.0, 4.0, 2.0], [2.0, 0.0, 0.0, 0.0]),
        ([5.0, 1.0, 0.0, 2.0], [2.0, 1.0, 0.0, 2.0], [6.0, 0.0, 0.0, 0.0]),
        ([5.0, 1.0, 0.0, 2.0], [5.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]),
        ([5.0, 1.0, 0.0, 2.0], [1.0, 5.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]),
    ] {
        for rule in RULES {
            assert_close(&map(rule, &network, [1, 2, 2], &picture, &baseline), &expected);
        }
    }
}

/// Windows of two that share a place, from (1, 2, 3) to (0, 4, 1). The first maximum goes from 2 to 4, all by the place in
/// the middle; the second from 3 to 4, of which the middle's change of 2 has the share ½: in all 2 · (1 + ½).
#[test]
fn max_pool_with_overlapping_windows_by_hand() {
    let pool = MaxPool { kernel: [1, 2], stride: [1, 1], ..MaxPool::new(2) };
    let network =
        nets::chain([("pool", Layer::MaxPool(pool)), ("flatten", Layer::Flatten), ("sum", linear([[1.0, 1.0]], None))]);
    for rule in RULES {
        assert_close(&map(rule, &network, [1, 1, 3], &[0.0, 4.0, 1.0], &[1.0, 2.0, 3.0]), &[0.0, 3.0, 0.0]);
    }
}

/// First channel minus second: 3 − 1 = 2 at the left, 0 at the right, from nothing. The pool follows the left, and
/// RevealCancel sees through it that 3 were added and 1 taken away:
/// ```text
/// δy⁺ = ½ (3 − 0) + ½ (2 − 0) = 2.5        δy⁻ = ½ (0 − 0) + ½ (2 − 3) = −0.5
/// ```
/// With the ReLU before the pool nothing changes for this picture. Where all units of the window stay off, 2 − 2, no place has
/// won, and none gets 1 and −1 for what cancelled in it.
#[test]
fn parts_go_through_max_pools() {
    let place = (&Device::default(), DType::F64);
    let difference = Tensor::<4>::from_data([[[[1.0]], [[-1.0]]]], place);
    let difference = || ("difference", Layer::Convolution(Convolution::new(difference.clone(), None)));
    let pool = || ("pool", Layer::MaxPool(MaxPool { kernel: [1, 2], stride: [1, 2], ..MaxPool::new(2) }));
    let relu = || ("relu", Layer::Relu);
    let rest = || [("flatten", Layer::Flatten), ("logit", linear([[1.0]], None))];
    let pool_first = nets::chain([difference(), pool(), relu()].into_iter().chain(rest()));
    let relu_first = nets::chain([difference(), relu(), pool()].into_iter().chain(rest()));
    for network in [&pool_first, &relu_first] {
        let of = |rule, picture: [f64; 4]| map(rule, network, [2, 1, 2], &picture, &[0.0; 4]);
        assert_close(&of(DeepLiftRule::Rescale, [3.0, 0.0, 1.0, 0.0]), &[3.0, 0.0, -1.0, 0.0]);
        assert_close(&of(DeepLiftRule::RevealCancel, [3.0, 0.0, 1.0, 0.0]), &[2.5, 0.0, -0.5, 0.0]);
        assert_close(&of(DeepLiftRule::RevealCancel, [2.0, 0.0, 2.0, 0.0]), &[0.0; 4]);
    }
}

/// A unit u = ReLU(x₁ − x₂) that is off at (0, 0) and at (2, 2): its parts are δy⁺ = ½ (2 − 0) + ½ (0 − 0) and δy⁻ = −1,
/// multipliers ½ and ½, and the layer behind it gives it the mean of what it gives to either sign.
///
/// ```text
/// ReLU(1 + u − x₁)          from 1 to 0     δx⁻ = −2   δy⁻ = −1    m⁻ = ½
///                                           δx⁺ =  0               m⁺ = ½, the mean of the slopes 1 and 0
///     u gets ½, x₁ gets −2 · ½              x₁: ½ · ½ · 2 − 1 = −½            x₂: −½ · ½ · 2 = −½
/// ReLU(1 + u − x₁ + 3 x₂)   from 1 to 5     δx⁺ =  6   δy⁺ = ½ (7 − 1) + ½ (5 − 0) =  5.5   m⁺ = 11/12
///                                           δx⁻ = −2   δy⁻ = ½ (0 − 1) + ½ (5 − 7) = −1.5   m⁻ = ¾
///     u gets ½ (11/12 + ¾) = 5/6            x₁: 5/6 · ½ · 2 − 2 · ¾ = −2/3    x₂: −5/6 + 6 · 11/12 = 14/3
/// ```
#[test]
fn units_that_did_not_change_get_the_mean_of_both_multipliers() {
    for (weights, expected) in [([-1.0, 0.0, 1.0], [-0.5, -0.5]), ([-1.0, 3.0, 1.0], [-2.0 / 3.0, 14.0 / 3.0])] {
        let mut net = NetworkBuilder::new();
        let flatten = net.then("flatten", Layer::Flatten).unwrap();
        net.add("difference", linear([[1.0, -1.0]], None), &[flatten]).unwrap();
        let unit = net.then("unit", Layer::Relu).unwrap();
        net.add("both", Layer::Concatenation { axis: 1 }, &[flatten, unit]).unwrap();
        net.then("last", linear([weights], Some([1.0]))).unwrap();
        net.then("last_relu", Layer::Relu).unwrap();
        let network = net.build().unwrap();
        assert_close(&map(DeepLiftRule::RevealCancel, &network, [1, 1, 2], &[2.0, 2.0], &[0.0, 0.0]), &expected);
    }
}

/// Functions of single pixels share nothing out: each pixel gets w · (tanh x − tanh x₀), whichever sign its change has.
#[test]
fn pixels_behind_no_weights_get_their_own_change() {
    let network = nets::chain([
        ("tanh", Layer::Function(Function::Tanh)),
        ("flatten", Layer::Flatten),
        ("logit", linear([[1.0, -2.0, 3.0]], None)),
    ]);
    let change = |x: f64, x0: f64| x.tanh() - x0.tanh();
    let expected = [change(0.5, 1.0), -2.0 * change(2.0, -1.0), 0.0];
    for rule in RULES {
        assert_close(&map(rule, &network, [1, 1, 3], &[0.5, 2.0, 0.3], &[1.0, -1.0, 0.3]), &expected);
    }
}

/// With one positive and one negative contribution, RevealCancel's parts are the Shapley values of two players, and those of
/// a sum of units are the sums. The oracle asks the network for nothing but its logits.
#[test]
fn two_opposed_pixels_get_their_shapley_values() {
    for function in [Layer::Relu, Layer::Function(Function::Tanh), Layer::Function(Function::Gelu)] {
        let network = nets::chain([
            ("flatten", Layer::Flatten),
            ("hidden", linear([[1.5, -2.0], [-0.7, 0.4], [0.3, -3.0]], Some([0.2, -0.4, 1.0]))),
            ("function", function),
            ("logit", linear([[1.0, -2.0, 0.7]], Some([0.3]))),
        ]);
        let score = |a: f64, b: f64| {
            let picture = Tensor::<4>::from_data([[[[a, b]]]], (&Device::default(), DType::F64));
            values(network.logits(picture).unwrap())[0]
        };
        let (picture, baseline) = ([1.3, 0.9], [-0.2, 0.5]);
        let ([a, b], [a0, b0]) = (picture, baseline);
        let first = 0.5 * (score(a, b0) - score(a0, b0)) + 0.5 * (score(a, b) - score(a0, b));
        let second = 0.5 * (score(a0, b) - score(a0, b0)) + 0.5 * (score(a, b) - score(a, b0));
        assert_close(&map(DeepLiftRule::RevealCancel, &network, [1, 1, 2], &picture, &baseline), &[first, second]);
        let rescale = map(DeepLiftRule::Rescale, &network, [1, 1, 2], &picture, &baseline);
        assert!(relative_l2(&rescale, &[first, second]) > 1e-2);
    }
}

/// Functions with slopes of their own, layers that only move values, and everything linear that has no weights of its own.
fn everything(dtype: DType) -> Network {
    let device = Device::default();
    let mut draw = nets::Draw::new(21, &device, dtype);
    let mut net = NetworkBuilder::new();
    let input = net.input();
    let mut add = |name, layer, inputs: &[_]| net.add(name, layer, inputs).unwrap();
    let stem = add("stem", Layer::Convolution(draw.convolution([4, 3, 3, 3])), &[input]);
    let tanh = add("tanh", Layer::Function(Function::Tanh), &[stem]);
    let pad = add("pad", Layer::Pad(Pad { axis: 2, before: 1, after: 1, value: 0.5 }), &[tanh]);
    let mirrored = BatchNorm { weight: draw.tensor([4], 0.0, 1.0), ..draw.batch_norm(4) };
    let norm = add("norm", Layer::BatchNorm(mirrored), &[pad]);
    let gelu = add("gelu", Layer::Function(Function::Gelu), &[norm]);
    let gate = add("gate", Layer::Constant(Activation::Map(draw.tensor([1, 4, 1, 1], 0.0, 1.0))), &[]);
    let gated = add("gated", Layer::Product, &[gelu, gate]);
    let shift = add("shift", Layer::Constant(Activation::Map(draw.tensor([1, 4, 1, 1], 0.0, 1.0))), &[]);
    let sum = add("sum", Layer::Sum, &[gated, pad, shift]);
    let clip = add("clip", Layer::Function(Function::Clip { lowest: 0.0, highest: 1.0 }), &[sum]);
    let pool = add("pool", Layer::MaxPool(MaxPool { stride: [1, 1], ..MaxPool::new(3) }), &[clip]);
    let average = add("average", Layer::AveragePool(AveragePool::new(2)), &[pool]);
    let rows = Tensor::from_data([[0.75, 0.25], [0.25, 0.75], [0.0, 1.0]], (&device, dtype));
    let columns = Tensor::from_data([[1.0, 0.0], [0.5, 0.5]], (&device, dtype));
    let resample = add("resample", Layer::Resample(Resample { rows, columns }), &[average]);
    let silu = add("silu", Layer::Function(Function::Silu), &[resample]);
    let tokens = add("tokens", Layer::Reshape { shape: vec![4, 6] }, &[silu]);
    let turned = add("turned", Layer::Transpose { axes: vec![0, 2, 1] }, &[tokens]);
    let class = add("class", Layer::Constant(Activation::Tokens(draw.tensor([1, 1, 4], 0.0, 1.0))), &[]);
    let joined = add("joined", Layer::Concatenation { axis: 1 }, &[class, turned]);
    let mixer = add("mixer", Layer::Constant(Activation::Tokens(draw.tensor([1, 5, 7], 0.0, 0.5))), &[]);
    let mixed = add("mixed", Layer::MatrixProduct, &[mixer, joined]);
    let softplus = add("softplus", Layer::Function(Function::Softplus { steepness: 1.0 }), &[mixed]);
    let hidden = add("hidden", Layer::Linear(draw.linear([6, 4])), &[softplus]);
    let negate = add("negate", Layer::Function(Function::Negate), &[hidden]);
    let sigmoid = add("sigmoid", Layer::Function(Function::Sigmoid), &[negate]);
    let select = add("select", Layer::Select(Select { axis: 1, indices: vec![0, 2, 4, 2] }), &[sigmoid]);
    let mean = add("mean", Layer::Mean { axes: vec![1] }, &[select]);
    let flatten = add("flatten", Layer::Flatten, &[mean]);
    let dropout = add("dropout", Layer::Dropout, &[flatten]);
    let relu = add("relu", Layer::Relu, &[dropout]);
    add("logits", Layer::Linear(draw.linear([3, 6])), &[relu]);
    net.build().unwrap()
}

/// The promise: every multiplier is a share of a difference, so the map adds up to f(x) − f(x₀), whatever the baseline.
#[test]
fn map_adds_up_to_the_score_difference() {
    let device = Device::default();
    let check = |network: &Network, dtype: DType, size: [usize; 2], slack: f64| {
        let [height, width] = size;
        let images = nets::pictures([3, 3, height, width], &device, dtype);
        for baseline in [
            Baseline::Zero,
            Baseline::Noise { low: -1.0, high: 1.0, seed: Seed(3) },
            Baseline::Blurred { sigma: 1.0 },
            Baseline::Pictures(Seed(5).normal(0, [1, 3, height, width], &device).cast(dtype)),
        ] {
            let start = baseline.of(&images).unwrap();
            let score = |images| values(network.logits(images).unwrap().slice_dim(1, 1..2));
            let differences: Vec<f64> = score(images.clone()).iter().zip(score(start)).map(|(x, x0)| x - x0).collect();
            for rule in RULES {
                let attribution = method(rule, baseline.clone()).attribute(network, images.clone(), &Target::Class(1));
                let attribution = attribution.unwrap();
                let sums = values(attribution.map.sum_dim(3).sum_dim(2).sum_dim(1));
                for (picture, (sum, difference)) in sums.iter().zip(&differences).enumerate() {
                    assert!(difference.abs() > 1e-4, "nothing to explain");
                    let gap = (sum - difference).abs();
                    assert!(gap < slack, "{rule:?}, {baseline:?}: {sum}, but {difference}, {gap:e}");
                    let reported = attribution.completeness.as_ref().unwrap()[picture];
                    assert!((f64::from(reported.sum) - sum).abs() < 1e-5);
                    assert!((f64::from(reported.difference) - difference).abs() < 1e-5);
                }
            }
        }
    };
    for (dtype, slack) in [(DType::F32, 1e-5), (DType::F64, 1e-12)] {
        check(&nets::small_vgg(&device, dtype), dtype, [11, 9], slack);
        check(&Residual::with_network([9, 10], &device).1.cast(dtype), dtype, [9, 10], slack);
        check(&everything(dtype), dtype, [6, 8], slack);
    }
}

/// f is linear: the multipliers are its weights.
#[test]
fn linear_networks_give_gradient_times_difference() {
    let device = Device::default();
    let mut draw = nets::Draw::new(9, &device, DType::F64);
    let network = nets::chain([
        ("convolution", Layer::Convolution(draw.convolution([4, 2, 2, 2]))),
        ("norm", Layer::BatchNorm(draw.batch_norm(4))),
        ("average", Layer::AveragePool(AveragePool::new(2))),
        ("flatten", Layer::Flatten),
        ("hidden", Layer::Linear(draw.linear([5, 16]))),
        ("logits", Layer::Linear(draw.linear([3, 5]))),
    ]);
    let images = nets::pictures([2, 2, 5, 6], &device, DType::F64);
    let baseline = Baseline::Noise { low: 0.0, high: 2.0, seed: Seed(1) };
    let gradient = network.gradient(images.clone(), &Target::Top).unwrap().gradient;
    let expected = values(gradient * (images.clone() - baseline.of(&images).unwrap()));
    for rule in RULES {
        let attribution = method(rule, baseline.clone()).attribute(&network, images.clone(), &Target::Top).unwrap();
        assert_close(&values(attribution.map), &expected);
    }
}

/// Where no unit changes its state between baseline and picture, a network of ReLUs and max pools is linear between them.
#[test]
fn pictures_near_their_baseline_give_gradient_times_difference() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F64);
    let images = nets::pictures([1, 3, 8, 7], &device, DType::F64);
    let start = images.clone() + nets::pictures([2, 3, 8, 7], &device, DType::F64).slice_dim(0, 1..2) * 1e-6;
    let gradient = network.gradient(images.clone(), &Target::Top).unwrap().gradient;
    let expected = values(gradient * (images.clone() - start.clone()));
    for rule in RULES {
        let method = method(rule, Baseline::Pictures(start.clone()));
        let found = values(method.attribute(&network, images.clone(), &Target::Top).unwrap().map);
        assert!(relative_l2(&found, &expected) < 1e-6, "{rule:?}: {}", relative_l2(&found, &expected));
    }
}

/// Positive weights, pictures above their baseline: there is no negative part.
#[test]
fn rules_agree_where_nothing_cancels() {
    let device = Device::default();
    let mut draw = nets::Draw::new(14, &device, DType::F64);
    let mut convolution = draw.convolution([4, 3, 3, 3]);
    convolution.weight = convolution.weight.abs();
    let [mut hidden, mut logits] = [draw.linear([6, 4 * 3 * 2]), draw.linear([2, 6])];
    hidden.weight = hidden.weight.abs();
    logits.weight = logits.weight.abs();
    let network = nets::chain([
        ("convolution", Layer::Convolution(convolution)),
        ("relu", Layer::Relu),
        ("pool", Layer::MaxPool(MaxPool::new(2))),
        ("flatten", Layer::Flatten),
        ("hidden", Layer::Linear(hidden)),
        ("tanh", Layer::Function(Function::Tanh)),
        ("logits", Layer::Linear(logits)),
    ]);
    let images = nets::pictures([2, 3, 8, 6], &device, DType::F64) * 0.1;
    let start = Baseline::Color(vec![-0.5; 3]);
    let [rescale, reveal_cancel] = RULES.map(|rule| {
        let method = method(rule, start.clone());
        values(method.attribute(&network, images.clone(), &Target::Top).unwrap().map)
    });
    assert_close(&reveal_cancel, &rescale);
    // With weights of both signs they do not.
    let network = nets::small_vgg(&device, DType::F64);
    let [rescale, reveal_cancel] = RULES.map(|rule| {
        let method = method(rule, start.clone());
        values(method.attribute(&network, images.clone(), &Target::Top).unwrap().map)
    });
    assert!(relative_l2(&reveal_cancel, &rescale) > 1e-2);
}

/// A batch norm changes the unit of measurement, and where its scale is negative the sign, but no map.
#[test]
fn batch_norms_make_no_difference() {
    let device = Device::default();
    let mut draw = nets::Draw::new(15, &device, DType::F64);
    let norm =
        BatchNorm { weight: Tensor::from_data([1.5, -0.7, 0.4, -2.0], (&device, DType::F64)), ..draw.batch_norm(4) };
    let network = nets::chain([
        ("convolution", Layer::Convolution(draw.convolution([4, 3, 3, 3]))),
        ("norm", Layer::BatchNorm(norm)),
        ("relu", Layer::Relu),
        ("flatten", Layer::Flatten),
        ("logits", Layer::Linear(draw.linear([3, 4 * 4 * 3]))),
    ]);
    let images = nets::pictures([2, 3, 6, 5], &device, DType::F64);
    for rule in RULES {
        let map = |network: &Network| {
            let method = method(rule, Baseline::Zero);
            values(method.attribute(network, images.clone(), &Target::Top).unwrap().map)
        };
        let folded = network.fold_batch_norms();
        assert!(folded.nodes().len() < network.nodes().len());
        assert_close(&map(&folded), &map(&network));
    }
}

/// tanh between 1 and 1 + 2⁻²³, where single precision has no digit of the difference left: the quotient would be anything,
/// the slope is 1 − tanh² 1. Two pixels that cancel all but this difference show the multiplier.
#[test]
fn differences_that_drown_in_rounding_use_the_slope() {
    let device = Device::default();
    let network = nets::chain([
        ("flatten", Layer::Flatten),
        ("sum", Layer::Linear(Linear::new(Tensor::from_data([[1.0, 1.0]], &device), None))),
        ("tanh", Layer::Function(Function::Tanh)),
    ]);
    let slope = 1.0 - 1.0f64.tanh().powi(2);
    for ulps in 0..8 {
        let picture = Tensor::<4>::from_data([[[[9.0f32, -8.0]]]], &device);
        let start = Tensor::<4>::from_data([[[[1.0f32 + ulps as f32 * f32::EPSILON, 0.0]]]], &device);
        for rule in RULES {
            let attribution = method(rule, Baseline::Pictures(start.clone()));
            let map = values(attribution.attribute(&network, picture.clone(), &Target::Class(0)).unwrap().map);
            let expected = match rule {
                DeepLiftRule::Rescale => 8.0 * slope,
                // The parts +8 and −8 are large enough to be told from rounding.
                DeepLiftRule::RevealCancel => 0.5 * (9.0f64.tanh() - (-7.0f64).tanh()),
            };
            assert!(relative_l2(&map, &[expected, -expected]) < 1e-5, "{ulps}, {rule:?}: {map:?}");
        }
    }
}

/// A probability is no linear function of the logits; its mean slope between their two ends keeps the map complete.
#[test]
fn scores_that_are_not_linear_keep_completeness() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let target = Target::function("probability of class 2", |logits| softmax(logits * 3.0, 1).slice_dim(1, 2..3));
    for rule in RULES {
        let attribution = method(rule, Baseline::Zero).attribute(&network, images.clone(), &target).unwrap();
        let start = network.gradient(images.zeros_like(), &target).unwrap().scores;
        for (picture, kept) in attribution.completeness.unwrap().into_iter().enumerate() {
            let difference = attribution.scores[picture] - start[picture];
            assert!((kept.difference - difference).abs() < 1e-6 && difference.abs() > 1e-2, "{difference}");
            assert!(kept.gap().abs() < 1e-4, "{rule:?}: {kept:?}");
        }
    }
}

/// A unit of a hidden layer has a map too, and its own score at the baseline. Batch norms stay where they are, so that units
/// before and behind them are what their names say.
#[test]
fn hidden_units_are_explained() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F64);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F64);
    for layer in ["features.2", "features.3", "features.5", "classifier.0"] {
        let index = if layer == "classifier.0" { vec![3] } else { vec![2, 1, 1] };
        let unit = Target::Unit { layer: layer.into(), index };
        let of = |images| network.gradient(images, &unit).unwrap().scores;
        let (ends, starts) = (of(images.clone()), of(images.zeros_like()));
        for rule in RULES {
            let attribution = method(rule, Baseline::Zero).attribute(&network, images.clone(), &unit).unwrap();
            assert_eq!(attribution.scores, ends);
            for (picture, kept) in attribution.completeness.unwrap().into_iter().enumerate() {
                assert!((kept.difference - (ends[picture] - starts[picture])).abs() < 1e-6);
                assert!(kept.gap().abs() < 1e-6, "{layer}, {rule:?}: {kept:?}");
            }
        }
    }
    let unknown = Target::Unit { layer: "features.5".into(), index: vec![2, 9, 1] };
    let error = DeepLift::default().attribute(&network, images, &unknown).unwrap_err();
    assert!(matches!(error, Error::Target { .. }) && error.to_string().contains("[6, 4, 3]"), "{error}");
}

#[test]
fn set_of_baselines_gives_the_mean_of_their_maps() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let set = Seed(5).normal(0, [3, 3, 8, 7], &device);
    for rule in RULES {
        let attribute = |pictures| {
            let method = method(rule, Baseline::Pictures(pictures));
            method.attribute(&network, images.clone(), &Target::Top).unwrap()
        };
        let all = attribute(set.clone());
        let singles: Vec<Attribution> =
            (0..3).map(|index| attribute(set.clone().slice_dim(0, index..index + 1))).collect();
        let maps = singles.iter().map(|single| single.map.clone()).collect();
        let maps: Tensor<3> = Tensor::cat(maps, 0).reshape([3, 2, 3 * 8 * 7]);
        let mean = maps.clone().mean_dim(0);
        assert!(relative_l2(&values(all.map), &values(mean.clone())) < 1e-6);
        // s / √3 with the unbiased s.
        let standard_error = ((maps - mean).square().sum_dim(0) / 6.0).sqrt();
        assert!(relative_l2(&values(all.standard_error.unwrap()), &values(standard_error)) < 1e-5);
        assert!(singles[0].standard_error.is_none(), "one baseline has no spread");
        for picture in 0..2 {
            let of = |attribution: &Attribution| attribution.completeness.as_ref().unwrap()[picture];
            let difference = singles.iter().map(|single| of(single).difference).sum::<f32>() / 3.0;
            let kept = all.completeness.as_ref().unwrap()[picture];
            assert!((kept.difference - difference).abs() < 1e-5 && kept.gap().abs() < 1e-5);
        }
    }
}

/// Two logits that change places between baseline and picture: the picture alone decides.
#[test]
fn baseline_does_not_change_the_class_that_is_explained() {
    let device = Device::default();
    let network = nets::linear(Tensor::from_data([[1.0, 0.0], [0.0, 1.0]], &device));
    let images = Tensor::from_data([[[[1.0, 1.5]]], [[[4.0, -5.0]]]], &device);
    let start = Tensor::<4>::from_data([[[[3.0, -1.0]]], [[[0.0, 9.0]]]], &device);
    let attribution = method(DeepLiftRule::Rescale, Baseline::Pictures(start));
    let attribution = attribution.attribute(&network, images, &Target::Top).unwrap();
    // (1.5 + 1 and 1.5 − 9) / 2, (4 − 3 and 4 − 0) / 2
    assert_eq!(values(attribution.map), [0.0, -2.5, 2.5, 0.0]);
    assert_eq!(attribution.target.to_string(), "classes [1, 0]");
    assert_eq!(attribution.scores, [1.5, 4.0]);
}

/// Two pictures with three baselines each, at most `size` pairs at a time.
#[test]
fn batch_size_does_not_change_the_map() {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    let set = Baseline::Pictures(Seed(5).normal(0, [3, 3, 8, 7], &device));
    for rule in RULES {
        let attribution = |size| {
            let calls = Arc::new(Mutex::new(Vec::new()));
            let sink = calls.clone();
            let batches = MicroBatcher::new(size).unwrap();
            let batches = batches.with_observer(move |done, total| sink.lock().unwrap().push((done, total)));
            let method = method(rule, set.clone()).with_batches(batches);
            let attribution = method.attribute(&network, images.clone(), &Target::Top).unwrap();
            let calls = calls.lock().unwrap().clone();
            (attribution, calls)
        };
        let (one, calls) = attribution(1);
        assert_eq!(calls, [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]);
        for (size, expected) in [(4, vec![(4, 6), (6, 6)]), (100, vec![(6, 6)])] {
            let (other, calls) = attribution(size);
            assert_eq!(calls, expected);
            assert!(relative_l2(&values(other.map), &values(one.map.clone())) <= 1e-6, "size {size}");
            for (left, right) in other.completeness.unwrap().iter().zip(one.completeness.as_ref().unwrap()) {
                assert!((left.gap() - right.gap()).abs() < 1e-5, "size {size}: {left:?}, {right:?}");
            }
        }
    }
}

#[test]
fn defaults_are_rescale_from_zero_and_the_provenance_repeats_the_map() {
    let device = Device::default();
    let network = nets::linear(Tensor::ones([1, 2], &device));
    let picture = Tensor::ones([1, 1, 1, 2], &device);
    let provenance = DeepLift::default().attribute(&network, picture, &Target::Top).unwrap().provenance;
    assert_eq!((provenance.method.as_str(), provenance.seed), ("deeplift", None));
    assert_eq!(provenance.parameters, json!({ "rule": "rescale", "baseline": "zero" }));
    assert_eq!(json!(DeepLiftRule::RevealCancel), json!("reveal-cancel"));
}

#[test]
fn networks_with_other_layers_are_refused() {
    let device = Device::default();
    let refused = |network: &Network, rule, images| {
        let error = method(rule, Baseline::Zero).attribute(network, images, &Target::Class(0)).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        error.to_string()
    };
    let branches = nets::branches(&device, DType::F32);
    for rule in RULES {
        let message = refused(&branches, rule, nets::pictures([1, 3, 11, 9], &device, DType::F32));
        assert!(message.contains("layer softmax (softmax): use integrated-gradients"), "{message}");
    }
    // A gate that is computed from the picture itself.
    let mut net = NetworkBuilder::new();
    let gate = net.then("sigmoid", Layer::Function(Function::Sigmoid)).unwrap();
    net.add("gate", Layer::Product, &[net.input(), gate]).unwrap();
    net.then("flatten", Layer::Flatten).unwrap();
    let gated = net.build().unwrap();
    let message = refused(&gated, DeepLiftRule::Rescale, Tensor::ones([1, 1, 2, 2], &device));
    assert!(message.contains("layer gate (product)"), "{message}");
    // Rescale needs a function at two points only, RevealCancel beyond them too.
    let root = nets::chain([("root", Layer::Function(Function::Sqrt)), ("flatten", Layer::Flatten)]);
    let message = refused(&root, DeepLiftRule::RevealCancel, Tensor::ones([1, 1, 2, 2], &device));
    assert!(message.contains("layer root (square root): use deeplift with rescale"), "{message}");
    let four = Tensor::ones([1, 1, 2, 2], &device) * 4.0;
    let map = DeepLift::default().attribute(&root, four, &Target::Class(3)).unwrap().map;
    assert_eq!(values(map), [0.0, 0.0, 0.0, 2.0]);
}

#[test]
fn baselines_that_do_not_fit_the_pictures_are_refused() {
    let device = Device::default();
    let none = Baseline::Pictures(Tensor::empty([0, 3, 4, 5], &device));
    let error = DeepLiftConfig { baseline: none, ..Default::default() }.init().unwrap_err();
    assert!(error.to_string().contains("`baseline` is a set of 0 pictures"), "{error}");
    let network = nets::small_vgg(&device, DType::F32);
    let images = nets::pictures([2, 3, 8, 7], &device, DType::F32);
    for (baseline, words) in [
        (Baseline::Pictures(Tensor::zeros([2, 3, 7, 8], &device)), "[3, 7, 8]"),
        (Baseline::Color(vec![0.0]), "3 channels"),
        (Baseline::Noise { low: 1.0, high: 1.0, seed: Seed(0) }, "low < high"),
        (Baseline::Blurred { sigma: -1.0 }, "blurred by -1"),
    ] {
        let method = method(DeepLiftRule::Rescale, baseline);
        let error = method.attribute(&network, images.clone(), &Target::Top).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }) && error.to_string().contains(words), "{error}");
    }
}

#[test]
fn conforms() {
    let device = Device::default();
    let images = nets::pictures([2, 3, 11, 9], &device, DType::F32);
    let set = Baseline::Pictures(Seed(5).normal(0, [2, 3, 11, 9], &device));
    for network in [nets::small_vgg(&device, DType::F32), Residual::with_network([11, 9], &device).1] {
        for rule in RULES {
            for baseline in [Baseline::Zero, set.clone()] {
                let method = method(rule, baseline);
                conformance(&method, &network, images.clone());
                trace_conformance(&method, &network, images.clone());
            }
        }
    }
}
