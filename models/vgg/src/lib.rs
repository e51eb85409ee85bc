#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod recognise;

use std::fmt;

use burnsight_core::{Error, Result};
use burnsight_network::{
    AdaptiveAveragePool, BatchNorm, Convolution, Layer, Linear, MaxPool, Network, NetworkBuilder, ParameterSource,
};
use serde::{Deserialize, Serialize};

/// The four depths of the paper; the number counts layers with weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Configuration A.
    Vgg11,
    /// Configuration B.
    Vgg13,
    /// Configuration D.
    Vgg16,
    /// Configuration E.
    Vgg19,
}

impl Depth {
    /// All of them.
    const ALL: [Self; 4] = [Self::Vgg11, Self::Vgg13, Self::Vgg16, Self::Vgg19];

    /// Convolutions in each of the five blocks; a max pool ends every block.
    fn blocks(self) -> [usize; 5] {
        match self {
            Self::Vgg11 => [1, 1, 2, 2, 2],
            Self::Vgg13 => [2, 2, 2, 2, 2],
            Self::Vgg16 => [2, 2, 3, 3, 3],
            Self::Vgg19 => [2, 2, 4, 4, 4],
        }
    }
}

impl fmt::Display for VggConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let depth = self.depth.blocks().iter().sum::<usize>() + 3;
        write!(f, "a VGG-{depth} with{} batch norm", if self.batch_norm { "" } else { "out" })
    }
}

/// A VGG of any width and head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VggConfig {
    /// How many layers.
    pub depth: Depth,
    /// Whether a batch norm follows every convolution.
    pub batch_norm: bool,
    /// Channels in each of the five blocks. The paper's: 64, 128, 256, 512, 512.
    pub channels: [usize; 5],
    /// What the last map is averaged to, height and width. Torchvision's: 7 × 7.
    pub pool: [usize; 2],
    /// Sizes of the hidden fully connected layers, possibly none. The paper's: 4096, 4096.
    pub hidden: Vec<usize>,
    /// Number of classes. ImageNet's: 1000.
    pub classes: usize,
}

impl VggConfig {
    /// The network of the paper, as in torchvision, for ImageNet.
    pub fn new(depth: Depth) -> Self {
        Self {
            depth,
            batch_norm: false,
            channels: [64, 128, 256, 512, 512],
            pool: [7, 7],
            hidden: vec![4096, 4096],
            classes: 1000,
        }
    }

    /// The same with or without batch norm.
    pub fn with_batch_norm(mut self, batch_norm: bool) -> Self {
        self.batch_norm = batch_norm;
        self
    }

    /// The same with other channels in the five blocks.
    pub fn with_channels(mut self, channels: [usize; 5]) -> Self {
        self.channels = channels;
        self
    }

    /// The same with another head: the size the last map is averaged to, hidden layers, and classes.
    pub fn with_head(mut self, pool: [usize; 2], hidden: impl Into<Vec<usize>>, classes: usize) -> Self {
        self.pool = pool;
        self.hidden = hidden.into();
        self.classes = classes;
        self
    }

    /// Builds the network with weights from `parameters`, whose names are torchvision's (`features.0.weight`, …).
    ///
    /// # Errors
    /// [`Error::Parameter`] for a size of 0, [`Error::Model`] when the weights do not fit exactly.
    pub fn build(&self, mut parameters: impl ParameterSource) -> Result<Network> {
        let sizes = [&self.channels[..], &self.pool, &self.hidden, &[self.classes]].concat();
        if sizes.contains(&0) {
            return Err(Error::parameter(
                "vgg",
                format!("{self:?}"),
                "channels, pool, hidden and classes are at least 1",
            ));
        }
        let mut network = NetworkBuilder::new();
        for (name, part) in self.parts() {
            let layer = match part {
                Part::Convolution { channels, out } => convolution(&mut parameters, &name, channels, out)?,
                Part::BatchNorm { channels } => batch_norm(&mut parameters, &name, channels)?,
                Part::Linear { features, out } => linear(&mut parameters, &name, features, out)?,
                Part::Plain(layer) => *layer,
            };
            network.then(name, layer)?;
        }
        parameters.finish()?;
        network.build()
    }

    /// Every layer in order, by torchvision's name.
    fn parts(&self) -> Vec<(String, Part)> {
        let mut features = Vec::new();
        let mut channels = 3;
        for (count, &out) in self.depth.blocks().into_iter().zip(&self.channels) {
            for _ in 0..count {
                features.push(Part::Convolution { channels, out });
                if self.batch_norm {
                    features.push(Part::BatchNorm { channels: out });
                }
                features.push(Part::plain(Layer::Relu));
                channels = out;
            }
            features.push(Part::plain(Layer::MaxPool(MaxPool::new(2))));
        }
        let mut classifier = Vec::new();
        let mut width = channels * self.pool[0] * self.pool[1];
        for &hidden in &self.hidden {
            classifier.push(Part::Linear { features: width, out: hidden });
            classifier.extend([Part::plain(Layer::Relu), Part::plain(Layer::Dropout)]);
            width = hidden;
        }
        classifier.push(Part::Linear { features: width, out: self.classes });

        let numbered = |group: &'static str, parts: Vec<Part>| {
            parts.into_iter().enumerate().map(move |(index, part)| (format!("{group}.{index}"), part))
        };
        let pool = Part::plain(Layer::AdaptiveAveragePool(AdaptiveAveragePool::new(self.pool)));
        let middle = [("avgpool".into(), pool), ("flatten".into(), Part::plain(Layer::Flatten))];
        numbered("features", features).chain(middle).chain(numbered("classifier", classifier)).collect()
    }
}

/// What a layer is made of, before it has weights.
#[derive(Debug)]
enum Part {
    Convolution { channels: usize, out: usize },
    BatchNorm { channels: usize },
    Linear { features: usize, out: usize },
    Plain(Box<Layer>),
}

impl Part {
    fn plain(layer: Layer) -> Self {
        Self::Plain(Box::new(layer))
    }

    /// Names and shapes of its weights.
    fn shapes(&self) -> Vec<(&'static str, Vec<usize>)> {
        match *self {
            Self::Convolution { channels, out } => vec![("weight", vec![out, channels, 3, 3]), ("bias", vec![out])],
            Self::BatchNorm { channels } => {
                ["weight", "bias", "running_mean", "running_var"].map(|name| (name, vec![channels])).to_vec()
            }
            Self::Linear { features, out } => vec![("weight", vec![out, features]), ("bias", vec![out])],
            Self::Plain(_) => Vec::new(),
        }
    }
}

/// 3 × 3, padding 1. He initialisation by fan-out (He et al. 2015), as torchvision does.
fn convolution(from: &mut impl ParameterSource, name: &str, channels: usize, out: usize) -> Result<Layer> {
    let deviation = (2.0 / (out as f32 * 9.0)).sqrt();
    let weight = from.tensor(&format!("{name}.weight"), [out, channels, 3, 3], 0.0, deviation)?;
    let bias = from.tensor(&format!("{name}.bias"), [out], 0.0, 0.0)?;
    Ok(Layer::Convolution(Convolution::new(weight, Some(bias)).with_padding([1, 1])))
}

fn batch_norm(from: &mut impl ParameterSource, name: &str, channels: usize) -> Result<Layer> {
    let mut constant = |part: &str, value: f32| from.tensor(&format!("{name}.{part}"), [channels], value, 0.0);
    Ok(Layer::BatchNorm(BatchNorm {
        weight: constant("weight", 1.0)?,
        bias: constant("bias", 0.0)?,
        mean: constant("running_mean", 0.0)?,
        variance: constant("running_var", 1.0)?,
        epsilon: 1e-5,
    }))
}

/// Normal with deviation 0.01, as torchvision does.
fn linear(from: &mut impl ParameterSource, name: &str, features: usize, out: usize) -> Result<Layer> {
    let weight = from.tensor(&format!("{name}.weight"), [out, features], 0.0, 0.01)?;
    let bias = from.tensor(&format!("{name}.bias"), [out], 0.0, 0.0)?;
    Ok(Layer::Linear(Linear::new(weight, Some(bias))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{Device, Tensor};
    use burnsight_core::{Classifier, Seed};
    use burnsight_network::RandomParameters;

    use super::*;

    fn random(config: &VggConfig) -> Network {
        config.build(RandomParameters::new(Seed(0), &Device::default())).unwrap()
    }

    fn small(depth: Depth) -> VggConfig {
        VggConfig::new(depth).with_channels([2, 3, 4, 5, 6]).with_head([2, 3], [7], 4)
    }

    /// Names and counts as printed by torchvision for `vgg11`, `vgg16_bn` and `vgg19`.
    #[test]
    fn names_are_torchvisions() {
        let names = |config: VggConfig| -> Vec<String> {
            let network = random(&config);
            let with_weights =
                |layer: &Layer| matches!(layer, Layer::Convolution(_) | Layer::Linear(_) | Layer::BatchNorm(_));
            let nodes = network.nodes().filter(|(_, node)| with_weights(node.layer()));
            nodes.map(|(_, node)| node.name().to_string()).collect()
        };
        let features = |indices: &[usize]| indices.iter().map(|i| format!("features.{i}")).collect::<Vec<_>>();
        let head = ["classifier.0".to_string(), "classifier.3".into()];
        let vgg11 = [features(&[0, 3, 6, 8, 11, 13, 16, 18]), head.to_vec()].concat();
        assert_eq!(names(small(Depth::Vgg11)), vgg11);
        let vgg19 = [features(&[0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]), head.to_vec()].concat();
        assert_eq!(names(small(Depth::Vgg19)), vgg19);
        let with_norm = names(small(Depth::Vgg16).with_batch_norm(true));
        assert_eq!(with_norm.len(), 2 * 13 + 2);
        assert_eq!(with_norm[24..26], features(&[40, 41]));
        assert_eq!(names(small(Depth::Vgg13)).len(), 10 + 2);
    }

    #[test]
    fn any_size_from_32_pixels_up() {
        let network = random(&small(Depth::Vgg13));
        for (height, width) in [(32, 32), (45, 70)] {
            let images = Tensor::ones([2, 3, height, width], &Device::default());
            assert_eq!(network.logits(images).unwrap().dims(), [2, 4]);
        }
        let refused = network.logits(Tensor::ones([1, 3, 20, 40], &Device::default())).unwrap_err().to_string();
        assert!(refused.contains("40×20") && refused.contains("max pool"), "{refused}");
    }

    #[test]
    fn sizes_of_zero_are_refused() {
        for config in [small(Depth::Vgg11).with_channels([0; 5]), small(Depth::Vgg11).with_head([1, 1], [], 0)] {
            assert!(config.build(RandomParameters::new(Seed(0), &Device::default())).is_err());
        }
    }
}
