//! The model that comes with the project.

use burn::tensor::Device;
use burnsight_core::{Error, Result};
use burnsight_network::WeightFile;
use serde::Deserialize;

use crate::{Card, Description, Model, model, sum};

/// The default model's name.
pub const BUILT_IN: &str = "vgg11-imagenette";

const WEIGHTS: &[u8] = include_bytes!("../weights/vgg11-imagenette.safetensors");
const CARD: &str = include_str!("../weights/vgg11-imagenette.json");

/// What its card says for people.
#[derive(Deserialize)]
struct Facts {
    architecture: String,
    parameters: usize,
    accuracy_val: std::collections::BTreeMap<String, f64>,
    intended_use: String,
    licence: String,
}

fn read<'card, T: Deserialize<'card>>() -> Result<T> {
    serde_json::from_str(CARD).map_err(|error| Error::model("built-in model card", error.to_string()))
}

pub fn description() -> Result<Description> {
    let (card, facts): (Card, Facts) = (read()?, read()?);
    let classes = card.labels.as_ref().map_or(0, crate::Labels::len);
    let (_, preprocessing, _) = card.complete(BUILT_IN, classes)?;
    let size = preprocessing.size;
    let accuracy = facts.accuracy_val.get(&size[0].to_string()).copied();
    let accuracy = accuracy.ok_or_else(|| Error::model(BUILT_IN, "its card states no accuracy at its own size"))?;
    Ok(Description {
        name: BUILT_IN.into(),
        architecture: facts.architecture,
        parameters: facts.parameters,
        classes,
        size,
        accuracy,
        accuracy_source: "its card, on Imagenette".into(),
        download: None,
        intended_use: facts.intended_use,
        licence: facts.licence,
    })
}

pub fn load(device: &Device) -> Result<Model> {
    from_bytes(WEIGHTS, device)
}

fn from_bytes(bytes: &[u8], device: &Device) -> Result<Model> {
    let card: Card = read()?;
    let sum_of = |bytes| sum::sha256(bytes).map_err(|error| Error::model(BUILT_IN, error.to_string()));
    let sha256 = sum_of(bytes)?;
    let stated = card.sha256.as_deref().ok_or_else(|| Error::model(BUILT_IN, "its card states no SHA-256"))?;
    sum::check(BUILT_IN, &sha256, stated)?;
    let (network, classes) = model::vgg(BUILT_IN, WeightFile::safetensors(BUILT_IN, bytes, device)?)?;
    let (labels, preprocessing, notes) = card.complete(BUILT_IN, classes)?;
    Ok(Model { name: BUILT_IN.into(), file: None, sha256, network, preprocessing, labels, notes })
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
        let model = load(&Device::default()).unwrap();
        let description = description().unwrap();
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
        assert_eq!((model.preprocessing.resize, model.preprocessing.size), (160, [160, 160]));
        let logits = model.network.logits(Tensor::zeros([1, 3, 160, 160], &Device::default())).unwrap();
        assert_eq!(logits.dims(), [1, model.labels.len()]);
        assert_eq!(model.labels.name(8), Some("golf ball"));
        assert_eq!(model.notes, [""; 0], "nothing is assumed about it");
    }

    #[test]
    fn damaged_weights_are_refused() {
        let mut damaged = WEIGHTS.to_vec();
        damaged[1_000_000] ^= 1;
        for bytes in [&damaged[..], &WEIGHTS[..WEIGHTS.len() / 2], &[]] {
            let error = from_bytes(bytes, &Device::default()).unwrap_err().to_string();
            assert!(error.contains("SHA-256"), "{error}");
        }
    }
}
