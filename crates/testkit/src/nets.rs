//! Tiny fixed networks. The same weights on every machine and backend.

use burn::tensor::{DType, Device, Tensor};
use burnsight_core::Seed;
use burnsight_network::{
    AdaptiveAveragePool, AveragePool, BatchNorm, Convolution, Layer, Linear, MaxPool, Network, NetworkBuilder, NodeId,
    ParameterSource, RandomParameters,
};

/// Normal noise as pictures `[n, c, h, w]`, the same on every backend.
pub fn pictures(shape: [usize; 4], device: &Device, dtype: DType) -> Tensor<4> {
    Seed(7).normal(0, shape, device).cast(dtype)
}

/// y = 1 − ReLU(1 − x₁ − x₂) on pictures `[n, 1, 1, 2]`: one logit that saturates at 1 where x₁ + x₂ ≥ 1, so the
/// gradient is (1, 1) below and (0, 0) above.
pub fn saturation(device: &Device, dtype: DType) -> Network {
    let place = || (device, dtype);
    let one = || Tensor::from_data([1.0], place());
    let hidden = Convolution::new(Tensor::from_data([[[[-1.0, -1.0]]]], place()), Some(one()));
    let logit = Linear::new(Tensor::from_data([[-1.0]], place()), Some(one()));
    chain([
        ("hidden", Layer::Convolution(hidden)),
        ("relu", Layer::Relu),
        ("flatten", Layer::Flatten),
        ("logit", Layer::Linear(logit)),
    ])
}

/// Flatten and a linear layer without bias: the gradient of class k is row k of `weight` `[classes, c · h · w]`.
pub fn linear(weight: Tensor<2>) -> Network {
    chain([("flatten", Layer::Flatten), ("logits", Layer::Linear(Linear::new(weight, None)))])
}

/// A VGG in little: 3 channels → 5 classes, for pictures of at least 4 × 4, named as torchvision names its layers.
///
/// The one batch norm, `features.3`, follows a convolution and has running statistics that are not 0 and 1.
pub fn small_vgg(device: &Device, dtype: DType) -> Network {
    let mut draw = Draw::new(1, device, dtype);
    chain([
        ("features.0", Layer::Convolution(draw.convolution([4, 3, 3, 3]).with_padding([1, 1]))),
        ("features.1", Layer::Relu),
        ("features.2", Layer::Convolution(draw.convolution([6, 4, 3, 3]).with_padding([1, 1]))),
        ("features.3", Layer::BatchNorm(draw.batch_norm(6))),
        ("features.4", Layer::Relu),
        ("features.5", Layer::MaxPool(MaxPool::new(2))),
        ("features.6", Layer::Convolution(draw.convolution([6, 6, 3, 3]).with_padding([1, 1]))),
        ("features.7", Layer::Relu),
        ("avgpool", Layer::AdaptiveAveragePool(AdaptiveAveragePool::new([2, 2]))),
        ("flatten", Layer::Flatten),
        ("classifier.0", Layer::Linear(draw.linear([8, 24]))),
        ("classifier.1", Layer::Relu),
        ("classifier.2", Layer::Dropout),
        ("classifier.3", Layer::Linear(draw.linear([5, 8]))),
    ])
}

/// Everything that is not a chain: a skip connection, a concatenation, every kind of pool, strided, dilated, grouped
/// and depthwise convolutions, a batch norm behind a sum and a softmax inside. 3 channels → 4 classes, for pictures of
/// at least 8 × 8.
///
/// ```text
/// stem ─ relu ┬ grouped ─ norm ┬ sum ─ sum_norm ─ sum_relu ┬ average_all    ┬ join ─ max ─ depthwise ─ softmax
///             └────────────────┘                           └ average_inside ┘
///        ─ last ─ last_relu ─ pool ─ flatten ─ logits
/// ```
pub fn branches(device: &Device, dtype: DType) -> Network {
    let mut draw = Draw::new(2, device, dtype);
    let mut net = NetworkBuilder::new();
    let input = net.input();
    let mut add = |name, layer, inputs: &[NodeId]| net.add(name, layer, inputs).expect("a fixed network builds");
    let average =
        AveragePool { kernel: [3, 2], stride: [1, 2], padding: [1, 1], count_include_pad: true, ceil_mode: false };
    let max = MaxPool { kernel: [3, 3], stride: [2, 2], padding: [1, 1], dilation: [1, 1], ceil_mode: true };

    let stem = draw.convolution([8, 3, 3, 3]).with_stride([2, 1]).with_padding([1, 0]);
    let stem = add("stem", Layer::Convolution(stem), &[input]);
    let relu = add("relu", Layer::Relu, &[stem]);
    let grouped = draw.convolution([8, 2, 3, 3]).with_padding([2, 2]).with_dilation([2, 2]).with_groups(4);
    let grouped = add("grouped", Layer::Convolution(grouped), &[relu]);
    let norm = add("norm", Layer::BatchNorm(draw.batch_norm(8)), &[grouped]);
    let sum = add("sum", Layer::Sum, &[norm, relu]);
    let sum_norm = add("sum_norm", Layer::BatchNorm(draw.batch_norm(8)), &[sum]);
    let sum_relu = add("sum_relu", Layer::Relu, &[sum_norm]);
    let all = add("average_all", Layer::AveragePool(average), &[sum_relu]);
    let inside = AveragePool { count_include_pad: false, ..average };
    let inside = add("average_inside", Layer::AveragePool(inside), &[sum_relu]);
    let join = add("join", Layer::Concatenation { axis: 1 }, &[all, inside]);
    let max = add("max", Layer::MaxPool(max), &[join]);
    let depthwise = draw.convolution([16, 1, 1, 2]).with_groups(16);
    let depthwise = add("depthwise", Layer::Convolution(depthwise), &[max]);
    let softmax = add("softmax", Layer::Softmax { axis: 1 }, &[depthwise]);
    let last = add("last", Layer::Convolution(draw.convolution([6, 16, 2, 2])), &[softmax]);
    let last_relu = add("last_relu", Layer::Relu, &[last]);
    let pool = add("pool", Layer::AdaptiveAveragePool(AdaptiveAveragePool::new([1, 1])), &[last_relu]);
    let flatten = add("flatten", Layer::Flatten, &[pool]);
    add("logits", Layer::Linear(draw.linear([4, 6])), &[flatten]);
    net.build().expect("a fixed network builds")
}

/// One layer after the other.
pub fn chain<'a>(layers: impl IntoIterator<Item = (&'a str, Layer)>) -> Network {
    let mut net = NetworkBuilder::new();
    for (name, layer) in layers {
        net.then(name, layer).expect("names differ and every layer reads one input");
    }
    net.build().expect("there is at least one layer")
}

/// Draws layers whose outputs are about as large as their inputs, in any number format.
#[derive(Debug)]
pub struct Draw {
    source: RandomParameters,
    dtype: DType,
}

impl Draw {
    /// A sequence of layers that depends on the seed alone.
    pub fn new(seed: u64, device: &Device, dtype: DType) -> Self {
        Self { source: RandomParameters::new(Seed(seed), device), dtype }
    }

    /// Normally distributed numbers.
    pub fn tensor<const D: usize>(&mut self, shape: [usize; D], mean: f32, deviation: f32) -> Tensor<D> {
        let tensor = self.source.tensor("", shape, mean, deviation);
        tensor.expect("random parameters come in every shape").cast(self.dtype)
    }

    /// A convolution `[out, in / groups, kernel height, kernel width]` with stride 1 and a bias that is seldom 0.
    pub fn convolution(&mut self, shape: [usize; 4]) -> Convolution {
        let fan_in: usize = shape[1..].iter().product();
        let weight = self.tensor(shape, 0.0, (2.0 / fan_in as f32).sqrt());
        Convolution::new(weight, Some(self.tensor([shape[0]], 0.1, 0.3)))
    }

    /// A linear layer `[out, in]` with a bias that is seldom 0.
    pub fn linear(&mut self, shape: [usize; 2]) -> Linear {
        let weight = self.tensor(shape, 0.0, (2.0 / shape[1] as f32).sqrt());
        Linear::new(weight, Some(self.tensor([shape[0]], 0.1, 0.3)))
    }

    /// A batch norm in which nothing is 0 or 1.
    pub fn batch_norm(&mut self, channels: usize) -> BatchNorm {
        BatchNorm {
            weight: self.tensor([channels], 1.0, 0.2),
            bias: self.tensor([channels], 0.1, 0.3),
            mean: self.tensor([channels], 0.2, 0.3),
            variance: self.tensor([channels], 0.0, 1.0).square() + 0.5,
            epsilon: 1e-5,
        }
    }
}
