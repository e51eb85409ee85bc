//! The network as a Burn module, with batch norms, for training.

use anyhow::Result;
use burn::{
    module::{Module, Param},
    nn::{
        BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d, Relu,
        conv::{Conv2d, Conv2dConfig},
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    tensor::{Device, Tensor},
};
use burnsight::{
    Seed,
    vgg::{Depth, VggConfig},
};

use crate::randomness::{Purpose, stream};

/// Convolutions in each block of configuration A.
const BLOCKS: [usize; 5] = [1, 1, 2, 2, 2];

/// The network that comes out: VGG-11 without batch norm, averaged over all places, one linear layer.
pub fn architecture(width: f64, classes: usize) -> VggConfig {
    let paper = VggConfig::new(Depth::Vgg11);
    let channels = paper.channels.map(|channels| ((channels as f64 * width).round() as usize).max(1));
    paper.with_channels(channels).with_head([1, 1], [], classes)
}

/// The network while it learns.
#[derive(Module, Debug)]
pub struct Vgg {
    blocks: Vec<Block>,
    pool: MaxPool2d,
    output: Linear,
}

/// What lies between two poolings.
#[derive(Module, Debug)]
struct Block {
    layers: Vec<NormalisedConvolution>,
}

/// Convolution, batch norm, ReLU.
#[derive(Module, Debug)]
struct NormalisedConvolution {
    convolution: Conv2d,
    norm: BatchNorm,
    relu: Relu,
}

impl Vgg {
    /// Fresh weights from torchvision's distributions, drawn on the host: the same on every backend.
    pub fn new(architecture: &VggConfig, seed: u64, device: &Device) -> Self {
        let mut drawn = 0;
        let mut next = || {
            drawn += 1;
            stream(Purpose::Weights, 0, drawn)
        };
        let mut from = 3;
        let mut block = |(count, to): (usize, usize)| {
            let layer = |_| {
                let shape = [to, from, 3, 3];
                let deviation = (2.0 / (to as f32 * 9.0)).sqrt();
                from = to;
                NormalisedConvolution::new(Seed(seed).normal(next(), shape, device) * deviation, device)
            };
            Block { layers: (0..count).map(layer).collect() }
        };
        let blocks = BLOCKS.into_iter().zip(architecture.channels).map(&mut block).collect();
        let shape = [from, architecture.classes];
        let mut output = LinearConfig::new(from, architecture.classes).init(device);
        output.weight = Param::from_tensor(Seed(seed).normal(next(), shape, device) * 0.01);
        output.bias = Some(Param::from_tensor(Tensor::zeros([architecture.classes], device)));
        Self { blocks, pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(), output }
    }

    /// Logits `[n, classes]` of pictures `[n, 3, h, w]`.
    ///
    /// The features `[n, channels]` before the linear layer are multiplied by `dropout`. (Burn's own dropout draws from a
    /// generator that the whole process shares.)
    pub fn forward(&self, pictures: Tensor<4>, dropout: Option<Tensor<2>>) -> Tensor<2> {
        let features = self.blocks.iter().fold(pictures, |maps, block| {
            self.pool.forward(block.layers.iter().fold(maps, |maps, layer| layer.forward(maps)))
        });
        let features = features.mean_dim(3).mean_dim(2).flatten(1, 3);
        self.output.forward(match dropout {
            Some(dropout) => features * dropout,
            None => features,
        })
    }

    /// Weight and bias of every convolution with its batch norm folded in: what the network computes in evaluation mode.
    pub fn folded_convolutions(&self) -> Vec<(Tensor<4>, Tensor<1>)> {
        let layers = self.blocks.iter().flat_map(|block| &block.layers);
        layers.map(NormalisedConvolution::folded).collect()
    }

    /// Weight, `[out, in]` as in torchvision (Burn's is `[in, out]`), and bias of the linear layer.
    pub fn linear(&self) -> Result<(Tensor<2>, Tensor<1>)> {
        let bias = self.output.bias.as_ref().ok_or_else(|| anyhow::anyhow!("the linear layer has no bias"))?;
        Ok((self.output.weight.val().transpose(), bias.val()))
    }
}

impl NormalisedConvolution {
    fn new(weight: Tensor<4>, device: &Device) -> Self {
        let [to, from, ..] = weight.dims();
        // The batch norm's shift is the bias.
        let convolution = Conv2dConfig::new([from, to], [3, 3]).with_bias(false);
        let mut convolution = convolution.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device);
        convolution.weight = Param::from_tensor(weight);
        Self { convolution, norm: BatchNormConfig::new(to).init(device), relu: Relu::new() }
    }

    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        self.relu.forward(self.norm.forward(self.convolution.forward(maps)))
    }

    /// γ (w·x − mean) / √(variance + ε) + β is again a convolution with a bias.
    fn folded(&self) -> (Tensor<4>, Tensor<1>) {
        let weight = self.convolution.weight.val();
        let deviation = (self.norm.running_var.value_sync() + self.norm.epsilon).sqrt();
        let scale = self.norm.gamma.val() / deviation;
        let bias = self.norm.beta.val() - self.norm.running_mean.value_sync() * scale.clone();
        let out = weight.dims()[0];
        (weight * scale.reshape([out, 1, 1, 1]), bias)
    }
}
