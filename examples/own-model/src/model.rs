//! The user's own model: nothing here knows of burnsight.

use burn::{
    module::Module,
    nn::{
        BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d, Relu,
        conv::{Conv2d, Conv2dConfig},
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    tensor::{Device, Tensor},
};

/// Three blocks of convolution, batch norm and ReLU, the mean over all places, and one linear layer.
#[derive(Module, Debug)]
pub struct ShapeNet {
    blocks: Vec<Block>,
    pool: MaxPool2d,
    dropout: Dropout,
    output: Linear,
}

/// Convolution, batch norm, ReLU.
#[derive(Module, Debug)]
struct Block {
    convolution: Conv2d,
    norm: BatchNorm,
    relu: Relu,
}

impl ShapeNet {
    /// Fresh weights.
    pub fn new(classes: usize, device: &Device) -> Self {
        let channels = [3, 16, 24, 32];
        Self {
            blocks: channels.windows(2).map(|pair| Block::new(pair[0], pair[1], device)).collect(),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: DropoutConfig::new(0.2).init(),
            output: LinearConfig::new(32, classes).init(device),
        }
    }

    /// Pictures `[n, 3, h, w]` to logits `[n, classes]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let features = self.blocks.iter().fold(pictures, |x, block| self.pool.forward(block.forward(x)));
        let means = features.mean_dim(3).mean_dim(2).flatten(1, 3);
        self.output.forward(self.dropout.forward(means))
    }
}

impl Block {
    fn new(from: usize, to: usize, device: &Device) -> Self {
        let convolution = Conv2dConfig::new([from, to], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        Self { convolution: convolution.init(device), norm: BatchNormConfig::new(to).init(device), relu: Relu::new() }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.relu.forward(self.norm.forward(self.convolution.forward(x)))
    }
}
