//! The model that comes with the project.

use burn::tensor::Device;
use burnsight_core::{Error, Result};
use burnsight_network::{Network, WeightFile};
use burnsight_vgg::{Depth, VggConfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Labels, Preprocessing};

const WEIGHTS: &[u8] = include_bytes!("../weights/vgg11-imagenette.safetensors");
const CARD: &str = include_str!("../weights/vgg11-imagenette.json");

/// A network with what it takes to use it.
#[derive(Debug, Clone)]
pub struct Model {
    /// The name in the tool.
    pub name: String,
    /// SHA-256 of the weight file, in hexadecimal.
    pub sha256: String,
    /// The layers.
    pub network: Network,
    /// How pictures are prepared for it.
    pub preprocessing: Preprocessing,
    /// Names of its classes.
    pub labels: Labels,
}

/// What is known about a model before its weights are loaded: a row of the tool's table.
#[derive(Debug, Clone)]
pub struct Description {
    /// The name to ask for.
    pub name: String,
    /// What kind of network it is.
    pub architecture: String,
    /// Number of weights.
    pub parameters: usize,
    /// Number of classes.
    pub classes: usize,
    /// Height and width of its input, in pixels.
    pub size: [usize; 2],
    /// Share of validation pictures it gets right at that size, as its card states.
    pub accuracy: f64,
    /// What it is for, and what not.
    pub intended_use: String,
    /// The licence of the weights.
    pub licence: String,
}

/// The fields of a model card that are read here; the file holds more, for people.
#[derive(Deserialize)]
struct Card {
    name: String,
    architecture: String,
    channels: Vec<serde_json::Value>,
    pool: [usize; 2],
    hidden: Vec<usize>,
    input: CardInput,
    labels: Vec<String>,
    parameters: usize,
    sha256: String,
    accuracy_val: std::collections::BTreeMap<String, f64>,
    intended_use: String,
    licence: String,
}

#[derive(Deserialize)]
struct CardInput {
    size: usize,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Card {
    fn read() -> Result<Self> {
        serde_json::from_str(CARD).map_err(|error| Error::model("built-in model card", error.to_string()))
    }

    /// The width of each block: the channels, without the repeats inside a block and the marks of the pools.
    fn config(&self) -> Result<VggConfig> {
        let blocks = self.channels.split(serde_json::Value::is_string).filter_map(|block| block.first()?.as_u64());
        let channels: Vec<usize> = blocks.map(|channels| channels as usize).collect();
        let channels = channels
            .try_into()
            .map_err(|other| Error::model(&self.name, format!("its card lists {other:?}, a VGG has five blocks")))?;
        let config = VggConfig::new(Depth::Vgg11).with_channels(channels);
        Ok(config.with_head(self.pool, self.hidden.clone(), self.labels.len()))
    }
}

/// The models that can be asked for by name.
///
/// # Errors
/// [`Error::Model`] when a card cannot be read.
pub fn models() -> Result<Vec<Description>> {
    let card = Card::read()?;
    let size = card.input.size;
    let accuracy = card.accuracy_val.get(&size.to_string()).copied();
    let accuracy = accuracy.ok_or_else(|| Error::model(&card.name, "its card states no accuracy at its own size"))?;
    Ok(vec![Description {
        name: card.name,
        architecture: card.architecture,
        parameters: card.parameters,
        classes: card.labels.len(),
        size: [size, size],
        accuracy,
        intended_use: card.intended_use,
        licence: card.licence,
    }])
}

/// The model of that name, on a device.
///
/// # Errors
/// [`Error::Parameter`] for an unknown name, listing those there are; [`Error::Model`] when the weights do not match
/// their card.
pub fn load(name: &str, device: &Device) -> Result<Model> {
    let card = Card::read()?;
    if name != card.name {
        return Err(Error::parameter("model", name, &format!("no such model; there is {}", card.name)));
    }
    let network = read_weights(&card, WEIGHTS, device)?;
    let size = card.input.size;
    Ok(Model {
        name: card.name,
        sha256: card.sha256,
        network,
        preprocessing: Preprocessing { resize: size, size: [size, size], mean: card.input.mean, std: card.input.std },
        labels: Labels::new(card.labels),
    })
}

/// The default model's name.
pub const BUILT_IN: &str = "vgg11-imagenette";

fn read_weights(card: &Card, bytes: &[u8], device: &Device) -> Result<Network> {
    let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if sum != card.sha256 {
        let problem = format!("its weights have SHA-256 {sum}, its card states {}", card.sha256);
        return Err(Error::model(&card.name, problem));
    }
    card.config()?.build(WeightFile::safetensors(&card.name, bytes, device)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Tensor;
    use burnsight_core::Classifier;
    use burnsight_network::Layer;

    use super::*;

    #[test]
    fn the_card_describes_the_weights() {
        let model = load(BUILT_IN, &Device::default()).unwrap();
        let description = models().unwrap().remove(0);
        let parameters: usize = model
            .network
            .nodes()
            .map(|(_, node)| match node.layer() {
                Layer::Convolution(layer) => layer.weight.shape().num_elements() + layer.weight.dims()[0],
                Layer::Linear(layer) => layer.weight.shape().num_elements() + layer.weight.dims()[0],
                _ => 0,
            })
            .sum();
        assert_eq!(parameters, description.parameters);
        let [height, width] = model.preprocessing.size;
        let logits = model.network.logits(Tensor::zeros([1, 3, height, width], &Device::default())).unwrap();
        assert_eq!(logits.dims(), [1, model.labels.len()]);
        assert_eq!(model.labels.name(8), Some("golf ball"));
    }

    #[test]
    fn damaged_weights_are_refused() {
        let card = Card::read().unwrap();
        let mut damaged = WEIGHTS.to_vec();
        damaged[1_000_000] ^= 1;
        for bytes in [&damaged[..], &WEIGHTS[..WEIGHTS.len() / 2], &[]] {
            let error = read_weights(&card, bytes, &Device::default()).unwrap_err().to_string();
            assert!(error.contains("SHA-256"), "{error}");
        }
    }

    #[test]
    fn unknown_names_list_the_choices() {
        let error = load("vgg99", &Device::default()).unwrap_err().to_string();
        assert!(error.contains("vgg99") && error.contains(BUILT_IN), "{error}");
    }
}
