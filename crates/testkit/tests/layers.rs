//! Every layer, forward against torch and backward against torch and central differences.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use burnsight_core::{Classifier, Differentiable, Target};
use burnsight_network::{
    Activation, AdaptiveAveragePool, AveragePool, BatchNorm, Convolution, ExactGradient, Function, Layer, LayerNorm,
    Linear, MaxPool, Network, NetworkBuilder,
};
use burnsight_testkit::{
    nets::{self, Draw},
    numeric_gradient, relative_l2, values,
};
use serde::Deserialize;

/// Number format, step of the differences, tolerance.
type Precision = (DType, f64, f64);

const DOUBLE: Precision = (DType::F64, 1e-6, 1e-6);

/// For layers that are linear: differences of any step are exact there, so single precision can be checked too.
const LINEAR: [Precision; 2] = [DOUBLE, (DType::F32, 0.5, 1e-5)];

fn draw(dtype: DType) -> Draw {
    Draw::new(3, &Device::default(), dtype)
}

/// Compares the gradient of a weighting of all outputs, on two pictures `[c, h, w]`, with central differences.
fn check((dtype, step, tolerance): Precision, what: &str, network: &Network, [c, h, w]: [usize; 3]) {
    let images = nets::pictures([2, c, h, w], &Device::default(), dtype);
    let [_, outputs] = network.logits(images.clone()).unwrap().dims();
    let weights = values(draw(dtype).tensor([outputs], 0.0, 1.0)).into_iter().map(|weight| weight as f32).collect();
    let target = Target::Weighted(weights);
    let exact = values(network.gradient(images.clone(), &target).unwrap().gradient);
    let numeric = numeric_gradient(network, &images, &target, step);
    assert!(numeric.iter().any(|slope| *slope != 0.0), "{what}: nothing to compare");
    let error = relative_l2(&exact, &numeric);
    assert!(error <= tolerance, "{what} in {dtype:?}: relative error {error:e}");
}

fn check_map(precision: Precision, what: &str, layer: Layer, shape: [usize; 3]) {
    check(precision, what, &nets::chain([(what, layer), ("flatten", Layer::Flatten)]), shape);
}

fn check_vector(precision: Precision, what: &str, layer: Layer, shape: [usize; 3]) {
    check(precision, what, &nets::chain([("flatten", Layer::Flatten), (what, layer)]), shape);
}

#[test]
fn convolutions() {
    for precision in LINEAR {
        let layer = |shape| draw(precision.0).convolution(shape);
        let without_bias = Convolution { bias: None, ..layer([3, 2, 3, 3]) };
        for (what, layer, shape) in [
            ("no bias", without_bias, [2, 5, 4]),
            ("padding", layer([3, 2, 3, 3]).with_padding([1, 2]), [2, 5, 4]),
            ("padding beyond the kernel", layer([2, 2, 1, 2]).with_padding([2, 3]), [2, 3, 4]),
            ("stride that reaches everything", layer([3, 2, 3, 3]).with_stride([2, 2]), [2, 5, 7]),
            ("stride that leaves rows and columns", layer([3, 2, 3, 3]).with_stride([2, 3]), [2, 6, 8]),
            ("stride with padding", layer([3, 2, 3, 3]).with_stride([2, 2]).with_padding([1, 1]), [2, 6, 7]),
            ("stride larger than the kernel", layer([3, 2, 1, 2]).with_stride([3, 4]), [2, 9, 8]),
            ("dilation", layer([3, 2, 3, 2]).with_dilation([2, 3]), [2, 7, 6]),
            ("dilation, stride, padding", layer([3, 2, 3, 3]).with_dilation([2, 1]).with_stride([3, 2]), [2, 10, 6]),
            ("asymmetrical", layer([3, 2, 1, 5]).with_padding([0, 2]), [2, 3, 6]),
            ("groups", layer([6, 2, 3, 3]).with_groups(2).with_padding([1, 1]), [4, 5, 4]),
            ("groups and stride", layer([6, 2, 3, 3]).with_groups(2).with_stride([2, 2]), [4, 6, 5]),
            ("depthwise", layer([3, 1, 3, 3]).with_groups(3), [3, 5, 4]),
            ("depthwise with a multiplier", layer([6, 1, 3, 2]).with_groups(3).with_dilation([2, 2]), [3, 7, 5]),
            ("pointwise", layer([4, 3, 1, 1]), [3, 2, 3]),
            ("the whole picture", layer([4, 2, 5, 4]), [2, 5, 4]),
        ] {
            check_map(precision, what, Layer::Convolution(layer), shape);
        }
    }
}

#[test]
fn max_pools() {
    let pool = MaxPool { kernel: [3, 3], stride: [2, 2], padding: [1, 1], dilation: [1, 1], ceil_mode: false };
    for (what, layer, shape) in [
        ("side by side", MaxPool::new(2), [2, 6, 5]),
        ("overlapping", MaxPool { stride: [1, 1], padding: [0, 0], ..pool }, [2, 5, 6]),
        ("overlapping and padded", pool, [2, 7, 6]),
        ("dilated", MaxPool { stride: [1, 2], dilation: [2, 3], ..pool }, [2, 7, 8]),
        ("ceil mode", MaxPool { ceil_mode: true, ..pool }, [2, 6, 8]),
        ("ceil mode without padding", MaxPool { ceil_mode: true, padding: [0, 0], ..pool }, [2, 6, 8]),
        ("asymmetrical", MaxPool { kernel: [1, 4], stride: [1, 3], padding: [0, 2], ..pool }, [2, 3, 7]),
        ("global", MaxPool { kernel: [3, 4], padding: [0, 0], ..pool }, [2, 3, 4]),
    ] {
        check_map(DOUBLE, what, Layer::MaxPool(layer), shape);
    }
}

#[test]
fn average_pools() {
    let pool =
        AveragePool { kernel: [3, 3], stride: [2, 2], padding: [1, 1], count_include_pad: true, ceil_mode: false };
    for (what, layer, shape) in [
        ("side by side", AveragePool::new(2), [2, 6, 5]),
        ("padding counts", pool, [2, 7, 6]),
        ("padding does not count", AveragePool { count_include_pad: false, ..pool }, [2, 7, 6]),
        ("overlapping, asymmetrical", AveragePool { kernel: [2, 4], stride: [1, 3], ..pool }, [2, 4, 9]),
        ("columns left over", AveragePool { padding: [0, 0], ..pool }, [2, 6, 8]),
        ("ceil mode", AveragePool { ceil_mode: true, padding: [0, 0], ..pool }, [2, 6, 8]),
    ] {
        for precision in LINEAR {
            check_map(precision, what, Layer::AveragePool(layer), shape);
        }
    }
}

#[test]
fn adaptive_average_pools() {
    for (what, output, shape) in [
        ("1 to 7", [7, 7], [2, 1, 1]),
        ("3 by 4 to 7", [7, 7], [2, 3, 4]),
        ("5 to 3", [3, 3], [2, 5, 5]),
        ("7 by 5 to 2 by 2", [2, 2], [2, 7, 5]),
        ("global", [1, 1], [2, 4, 3]),
        ("as it was", [4, 3], [2, 4, 3]),
    ] {
        for precision in LINEAR {
            check_map(precision, what, Layer::AdaptiveAveragePool(AdaptiveAveragePool::new(output)), shape);
        }
    }
}

#[test]
fn linear_layers() {
    for precision in LINEAR {
        let draw = || draw(precision.0);
        check_map(precision, "batch norm on a map", Layer::BatchNorm(draw().batch_norm(3)), [3, 4, 2]);
        check_vector(precision, "batch norm on a vector", Layer::BatchNorm(draw().batch_norm(6)), [1, 3, 2]);
        check_map(precision, "dropout", Layer::Dropout, [3, 4, 2]);
        let linear = draw().linear([4, 6]);
        check_vector(precision, "linear", Layer::Linear(linear.clone()), [1, 3, 2]);
        let without_bias = Linear { bias: None, ..linear };
        check_vector(precision, "linear without bias", Layer::Linear(without_bias), [1, 3, 2]);
    }
}

#[test]
fn curved_layers() {
    check_map(DOUBLE, "relu on a map", Layer::Relu, [3, 4, 2]);
    check_vector(DOUBLE, "relu on a vector", Layer::Relu, [3, 4, 2]);
    check_map(DOUBLE, "softmax over channels", Layer::Softmax { axis: 1 }, [3, 4, 2]);
    // A softmax at the very end would be set aside.
    let softmax = [("flatten", Layer::Flatten), ("softmax", Layer::Softmax { axis: 1 }), ("keep", Layer::Relu)];
    check(DOUBLE, "softmax over features", &nets::chain(softmax), [3, 4, 2]);
}

/// Two branches of a picture, joined by `join`; on vectors when the branches are flattened first.
fn joined(join: Layer, vectors: bool) -> Network {
    let mut net = NetworkBuilder::new();
    let input = net.input();
    let mut draw = draw(DType::F64);
    let branches = ["left", "right"].map(|name| {
        let layer = draw.convolution([2, 3, 1, 1]);
        let branch = net.add(name, Layer::Convolution(layer), &[input]).unwrap();
        if vectors { net.add(format!("{name}.flatten"), Layer::Flatten, &[branch]).unwrap() } else { branch }
    });
    // The same input twice must be counted twice.
    net.add("join", join, &[branches[0], branches[1], branches[0]]).unwrap();
    net.then("relu", Layer::Relu).unwrap();
    net.then("flatten", Layer::Flatten).unwrap();
    net.build().unwrap()
}

#[test]
fn joins() {
    for vectors in [false, true] {
        check(DOUBLE, &format!("sum, vectors: {vectors}"), &joined(Layer::Sum, vectors), [3, 4, 2]);
        check(
            DOUBLE,
            &format!("concatenation, vectors: {vectors}"),
            &joined(Layer::Concatenation { axis: 1 }, vectors),
            [3, 4, 2],
        );
    }
}

#[test]
fn whole_networks() {
    let device = Device::default();
    for shape in [[3, 11, 9], [3, 13, 17], [3, 8, 8]] {
        check(DOUBLE, "small_vgg", &nets::small_vgg(&device, DType::F64), shape);
        check(DOUBLE, "branches", &nets::branches(&device, DType::F64), shape);
    }
    let weight = draw(DType::F64).tensor([3, 8], 0.0, 1.0);
    check(DOUBLE, "linear", &nets::linear(weight), [2, 2, 2]);
}

#[test]
fn a_linear_network_has_its_weights_as_gradient() {
    let device = Device::default();
    let weight = Tensor::from_data([[1.0, -2.0, 3.0, 4.0], [0.5, 0.0, -1.5, 2.5]], &device);
    let images = nets::pictures([2, 2, 1, 2], &device, DType::F32);
    let gradient = nets::linear(weight).gradient(images, &Target::Classes(vec![1, 0])).unwrap().gradient;
    assert_eq!(values(gradient), [0.5, 0.0, -1.5, 2.5, 1.0, -2.0, 3.0, 4.0]);
}

#[test]
fn the_saturation_network_has_no_gradient_where_it_saturates() {
    let device = Device::default();
    let network = nets::saturation(&device, DType::F32);
    let images = Tensor::from_data([[[[0.25, 0.5]]], [[[1.0, 1.0]]], [[[-1.0, 0.0]]], [[[1.5, -0.25]]]], &device);
    let answer = network.gradient(images, &Target::Top).unwrap();
    assert_eq!(answer.scores, [0.75, 1.0, -1.0, 1.0]);
    assert_eq!(values(answer.gradient), [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn in_single_precision_too() {
    let device = Device::default();
    for network in [nets::small_vgg, nets::branches] {
        let gradient = |dtype| {
            let images = nets::pictures([2, 3, 11, 9], &device, dtype);
            values(network(&device, dtype).gradient(images, &Target::Class(1)).unwrap().gradient)
        };
        let error = relative_l2(&gradient(DType::F32), &gradient(DType::F64));
        assert!(error <= 1e-5, "relative error {error:e}");
    }
}

/// One line of `fixtures/layers.json`, which `fixtures/layers.py` writes.
#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(flatten)]
    layer: Kind,
    shape: [usize; 4],
    input: Vec<f64>,
    upstream: Vec<f64>,
    output: Vec<f64>,
    gradient: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    Convolution {
        weight_shape: [usize; 4],
        weight: Vec<f64>,
        bias: Vec<f64>,
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
    },
    BatchNorm {
        weight: Vec<f64>,
        bias: Vec<f64>,
        mean: Vec<f64>,
        variance: Vec<f64>,
        epsilon: f64,
    },
    MaxPool {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
    },
    AveragePool {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        count_include_pad: bool,
        ceil_mode: bool,
    },
    LayerNorm {
        weight: Vec<f64>,
        bias: Vec<f64>,
        epsilon: f64,
    },
    Function {
        function: String,
    },
    AdaptiveAveragePool {
        output_size: [usize; 2],
    },
}

fn tensor<const D: usize>(numbers: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), (&Device::default(), dtype))
}

impl Kind {
    fn layer(&self, dtype: DType) -> Layer {
        match *self {
            Self::Convolution { weight_shape, ref weight, ref bias, stride, padding, dilation, groups } => {
                let weight = tensor(weight, weight_shape, dtype);
                let bias = Some(tensor(bias, [weight_shape[0]], dtype));
                Layer::Convolution(Convolution { weight, bias, stride, padding, dilation, groups })
            }
            Self::BatchNorm { ref weight, ref bias, ref mean, ref variance, epsilon } => {
                let [weight, bias, mean, variance] =
                    [weight, bias, mean, variance].map(|numbers| tensor(numbers, [numbers.len()], dtype));
                Layer::BatchNorm(BatchNorm { weight, bias, mean, variance, epsilon })
            }
            Self::MaxPool { kernel, stride, padding, dilation, ceil_mode } => {
                Layer::MaxPool(MaxPool { kernel, stride, padding, dilation, ceil_mode })
            }
            Self::AveragePool { kernel, stride, padding, count_include_pad, ceil_mode } => {
                Layer::AveragePool(AveragePool { kernel, stride, padding, count_include_pad, ceil_mode })
            }
            Self::LayerNorm { ref weight, ref bias, epsilon } => {
                let [weight, bias] = [weight, bias].map(|numbers| tensor(numbers, [numbers.len()], dtype));
                Layer::LayerNorm(LayerNorm { weight, bias, epsilon })
            }
            Self::Function { ref function } => Layer::Function(named(function)),
            Self::AdaptiveAveragePool { output_size } => {
                Layer::AdaptiveAveragePool(AdaptiveAveragePool::new(output_size))
            }
        }
    }
}

/// The function of a name in `fixtures/layers.py`, with the settings there.
fn named(function: &str) -> Function {
    match function {
        "sigmoid" => Function::Sigmoid,
        "tanh" => Function::Tanh,
        "gelu" => Function::Gelu,
        "gelu_tanh" => Function::GeluTanh,
        "silu" => Function::Silu,
        "hard_swish" => Function::HardSwish,
        "hard_sigmoid" => Function::HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 },
        "clip" => Function::Clip { lowest: 0.0, highest: 6.0 },
        "leaky_relu" => Function::LeakyRelu(0.1),
        "elu" => Function::Elu(0.7),
        "mish" => Function::Mish,
        "softplus" => Function::Softplus { steepness: 1.0 },
        "erf" => Function::Erf,
        "exp" => Function::Exp,
        "log" => Function::Log,
        "sqrt" => Function::Sqrt,
        "square" => Function::Power(2.0),
        "power" => Function::Power(-0.75),
        "reciprocal" => Function::Reciprocal,
        "negate" => Function::Negate,
        "absolute" => Function::Absolute,
        other => panic!("no function of the name {other}"),
    }
}

#[test]
fn as_in_torch() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/layers.json")).unwrap();
    assert!(cases.len() > 15);
    for (case, (dtype, tolerance)) in
        cases.iter().flat_map(|case| [(DType::F64, 1e-12), (DType::F32, 1e-6)].map(|precision| (case, precision)))
    {
        let name = &case.name;
        // A sigmoid at the very end would be set aside.
        let keep = Layer::Transpose { axes: vec![0, 1] };
        let layers = [("layer", case.layer.layer(dtype)), ("flatten", Layer::Flatten), ("keep", keep)];
        let network = nets::chain(layers);
        let images = tensor(&case.input, case.shape, dtype);
        let trace = network.record(images.clone()).unwrap();
        let dims = trace.logits().dims();
        assert_eq!(dims[0] * dims[1], case.output.len(), "{name}: another number of outputs");
        let [count, channels, height, width] = case.shape;
        let shapes = network.shapes([channels, height, width]).unwrap();
        assert_eq!([count, shapes[2][0]], dims, "{name}: another shape than was foretold");
        for logits in [trace.logits(), network.logits(images).unwrap()] {
            let error = relative_l2(&values(logits), &case.output);
            assert!(error <= tolerance, "{name}: forward in {dtype:?}, relative error {error:e}");
        }
        let upstream = Activation::Vector(tensor(&case.upstream, dims, dtype));
        let arrived = trace.backward(network.output(), upstream, &ExactGradient, network.input()).unwrap();
        let error = relative_l2(&values(arrived.flatten()), &case.gradient);
        assert!(error <= tolerance, "{name}: backward in {dtype:?}, relative error {error:e}");
    }
}
