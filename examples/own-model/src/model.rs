//! The user's own model: an ordinary Burn module that calls two functions of burnsight, `relu` and `watch`.

use burn::{
    module::Module,
    nn::{
        BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    tensor::{Device, Tensor},
};
use burnsight::module::{relu, watch};

/// A small ResNet: a convolution and a max pool, three residual blocks, the mean over all places, and one linear layer.
#[derive(Module, Debug)]
pub struct ShapeNet {
    stem: Convolution,
    pool: MaxPool2d,
    blocks: Vec<Block>,
    dropout: Dropout,
    output: Linear,
}

/// Two convolutions, and the input added to what they say.
#[derive(Module, Debug)]
struct Block {
    first: Convolution,
    second: Convolution,
    /// Brings the input to the size of the output, where they differ.
    skip: Option<Convolution>,
}

/// Convolution and batch norm.
#[derive(Module, Debug)]
struct Convolution {
    convolution: Conv2d,
    norm: BatchNorm,
}

impl ShapeNet {
    /// Fresh weights.
    pub fn new(classes: usize, device: &Device) -> Self {
        Self {
            stem: Convolution::new([3, 16], 3, 1, device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            blocks: vec![
                Block::new([16, 16], 1, device),
                Block::new([16, 24], 2, device),
                Block::new([24, 32], 1, device),
            ],
            dropout: DropoutConfig::new(0.2).init(),
            output: LinearConfig::new(32, classes).init(device),
        }
    }

    /// Pictures `[n, 3, h, w]` to logits `[n, classes]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let mut x = self.pool.forward(relu(self.stem.forward(pictures)));
        for (index, block) in self.blocks.iter().enumerate() {
            x = watch(&format!("blocks.{index}"), block.forward(x));
        }
        let means = x.mean_dim(3).mean_dim(2).flatten(1, 3);
        self.output.forward(self.dropout.forward(means))
    }
}

impl Block {
    fn new([from, to]: [usize; 2], stride: usize, device: &Device) -> Self {
        Self {
            first: Convolution::new([from, to], 3, stride, device),
            second: Convolution::new([to, to], 3, 1, device),
            skip: (from != to).then(|| Convolution::new([from, to], 1, stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.second.forward(relu(self.first.forward(x.clone())));
        let x = match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        relu(x + y)
    }
}

impl Convolution {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        let pad = kernel / 2;
        let config = Conv2dConfig::new(channels, [kernel; 2])
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad));
        Self { convolution: config.init(device), norm: BatchNormConfig::new(channels[1]).init(device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.convolution.forward(x))
    }
}
