//! One small network twice: as layers, and as a Burn module with the same weights.

use burn::{
    module::{Module, Param, RunningState},
    nn::{
        self, BatchNormConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    tensor::{DType, Device, Tensor},
};
use burnsight_core::AutodiffModel;
use burnsight_module::{relu, watch};
use burnsight_network::{BatchNorm, Convolution, Layer, Linear, MaxPool, Network, NetworkBuilder};

use crate::nets::Draw;

/// 3 channels → 4 classes, for pictures of at least 4 × 4.
///
/// ```text
/// stem ─ relu ┬ convolution ─ norm ┬ sum ─ sum_relu ─ pool ─ last ─ last_relu ─ flatten ─ hidden ─ hidden_relu ─ logits
///             └────────────────────┘
/// ```
#[derive(Module, Debug)]
pub struct Residual {
    stem: Conv2d,
    convolution: Conv2d,
    norm: nn::BatchNorm,
    pool: MaxPool2d,
    last: Conv2d,
    hidden: nn::Linear,
    logits: nn::Linear,
}

impl Residual {
    /// The module, and the layers it is made of, for pictures of `height` × `width`.
    pub fn with_network([height, width]: [usize; 2], device: &Device) -> (Self, Network) {
        let mut draw = Draw::new(8, device, DType::F32);
        let stem = draw.convolution([6, 3, 3, 3]).with_padding([1, 1]);
        let convolution = draw.convolution([6, 6, 3, 3]).with_padding([1, 1]);
        let norm = draw.batch_norm(6);
        let last = draw.convolution([5, 6, 3, 3]).with_padding([1, 1]);
        let hidden = draw.linear([7, 5 * (height / 2) * (width / 2)]);
        let logits = draw.linear([4, 7]);
        let module = Self {
            stem: module_convolution(&stem),
            convolution: module_convolution(&convolution),
            norm: module_batch_norm(&norm),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            last: module_convolution(&last),
            hidden: module_linear(&hidden),
            logits: module_linear(&logits),
        };
        let mut net = NetworkBuilder::new();
        let input = net.input();
        let mut add = |name, layer, inputs: &[_]| net.add(name, layer, inputs).expect("a fixed network builds");
        let stem = add("stem", Layer::Convolution(stem), &[input]);
        let relu = add("relu", Layer::Relu, &[stem]);
        let convolution = add("convolution", Layer::Convolution(convolution), &[relu]);
        let norm = add("norm", Layer::BatchNorm(norm), &[convolution]);
        let sum = add("sum", Layer::Sum, &[norm, relu]);
        let sum_relu = add("sum_relu", Layer::Relu, &[sum]);
        let pool = add("pool", Layer::MaxPool(MaxPool::new(2)), &[sum_relu]);
        let last = add("last", Layer::Convolution(last), &[pool]);
        let last_relu = add("last_relu", Layer::Relu, &[last]);
        let flatten = add("flatten", Layer::Flatten, &[last_relu]);
        let hidden = add("hidden", Layer::Linear(hidden), &[flatten]);
        let hidden_relu = add("hidden_relu", Layer::Relu, &[hidden]);
        add("logits", Layer::Linear(logits), &[hidden_relu]);
        (module, net.build().expect("a fixed network builds"))
    }

    /// The module as methods take it.
    pub fn into_model(self) -> AutodiffModel<impl Fn(Tensor<4>) -> Tensor<2>> {
        AutodiffModel::from_module(self, Self::forward)
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = watch("relu", relu(self.stem.forward(images)));
        let x = watch("sum", self.norm.forward(self.convolution.forward(x.clone())) + x);
        let x = self.pool.forward(relu(x));
        let x = watch("last_relu", relu(self.last.forward(x)));
        self.logits.forward(relu(self.hidden.forward(x.flatten(1, 3))))
    }
}

fn module_convolution(layer: &Convolution) -> Conv2d {
    let [out, input, height, width] = layer.weight.dims();
    let [y, x] = layer.padding;
    let config = Conv2dConfig::new([input, out], [height, width]).with_padding(PaddingConfig2d::Explicit(y, x, y, x));
    let fresh = config.init(&layer.weight.device());
    Conv2d {
        weight: Param::from_tensor(layer.weight.clone()),
        bias: layer.bias.clone().map(Param::from_tensor),
        ..fresh
    }
}

fn module_linear(layer: &Linear) -> nn::Linear {
    let weight = Param::from_tensor(layer.weight.clone().transpose());
    nn::Linear { weight, bias: layer.bias.clone().map(Param::from_tensor) }
}

fn module_batch_norm(layer: &BatchNorm) -> nn::BatchNorm {
    nn::BatchNorm {
        gamma: Param::from_tensor(layer.weight.clone()),
        beta: Param::from_tensor(layer.bias.clone()),
        running_mean: RunningState::new(layer.mean.clone()),
        running_var: RunningState::new(layer.variance.clone()),
        epsilon: layer.epsilon,
        ..BatchNormConfig::new(layer.weight.dims()[0]).init(&layer.weight.device())
    }
}
