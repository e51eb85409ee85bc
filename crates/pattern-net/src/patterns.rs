//! Patterns, and files of them.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    path::Path,
};

use burn::tensor::{Device, Tensor, f16};
use burnsight_core::{Error, Result};
use burnsight_network::{Affine, Layer, Network, ParameterSource, Step, WeightFile};
use safetensors::{Dtype, tensor::TensorView};
use serde::{Deserialize, Serialize};

/// The key under which a file says where its patterns come from.
const ORIGIN: &str = "patterns";

/// The longest header of a file, in bytes.
const LONGEST_HEADER: u64 = 4 << 20;

/// One pattern for every output of every convolution and linear layer: how the layer's input varies with that output.
///
/// Patterns belong to the weights and to the pictures they were fitted on. Batch norms that can be are folded into the
/// layers before them, and the patterns are those of the folded layers.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    /// By the layer's name, `[out, weights of one output]`, a convolution's in the order channel, row, column. All 0 for
    /// an output that is dead.
    pub layers: BTreeMap<String, Tensor<2>>,
    /// Where they come from.
    pub origin: Origin,
}

/// Where patterns come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// SHA-256 of the weight file they belong to, in hexadecimal.
    pub weights_sha256: String,
    /// Number of pictures they were fitted on.
    pub pictures: usize,
    /// How they were estimated.
    pub estimator: String,
    /// Which pictures, in words.
    pub data: String,
}

impl Patterns {
    /// For methods that work by patterns.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the network has a layer for which `method` has no rule; [`Error::Model`] when the
    /// patterns are not those of a network of this architecture. Both name the layer.
    pub fn require(&self, method: &str, network: &Network) -> Result<()> {
        require_rules(method, network)?;
        self.fit(network)
    }

    /// Whether there is one for every layer and no other.
    fn fit(&self, network: &Network) -> Result<()> {
        let refuse = |problem: String| Err(Error::model("patterns", format!("{problem}: fit patterns to this model")));
        for (name, layer) in affine_layers(network) {
            let needed = layer.weight().dims();
            match self.layers.get(name).map(Tensor::dims) {
                Some(dims) if dims == needed => {}
                Some(dims) => {
                    return refuse(format!("that of layer {name} has shape {dims:?}, the layer needs {needed:?}"));
                }
                None => return refuse(format!("layer {name} has none")),
            }
        }
        match self.layers.keys().find(|name| affine_layers(network).all(|(known, _)| known != *name)) {
            Some(name) => refuse(format!("there is one of layer {name}, which the model has not")),
            None => Ok(()),
        }
    }

    /// The layer of a step of the reverse walk and its patterns, `[out, weights of one output]`.
    ///
    /// # Errors
    /// [`Error::Model`] when there are none.
    pub fn of(&self, step: &Step<'_>) -> Result<(Affine, Tensor<2>)> {
        let found = Affine::of(step.layer()).zip(self.layers.get(step.name()));
        let (layer, pattern) =
            found.ok_or_else(|| Error::model("patterns", format!("layer {} has none", step.name())))?;
        let dtype = layer.weight().dtype();
        Ok((layer, pattern.clone().cast(dtype)))
    }

    /// How many outputs of each layer are dead: on no picture did they do anything that a pattern could be fitted to.
    ///
    /// # Errors
    /// [`Error::Backend`] when they cannot be read.
    pub fn dead(&self) -> Result<BTreeMap<&str, usize>> {
        let count = |pattern: &Tensor<2>| -> Result<usize> {
            Ok(read(pattern.clone().abs().max_dim(1))?.into_iter().filter(|largest| *largest == 0.0).count())
        };
        self.layers.iter().map(|(name, pattern)| Ok((name.as_str(), count(pattern)?))).collect()
    }

    /// ‖a − b‖ / ‖a‖ for every layer that both have: how much an estimate still moves with more pictures.
    ///
    /// # Errors
    /// [`Error::Backend`] when they cannot be read.
    pub fn relative_change(&self, earlier: &Self) -> Result<BTreeMap<&str, f64>> {
        let norm =
            |tensor: Tensor<2>| Ok::<_, Error>(read(tensor.square().sum_dim(1))?.into_iter().sum::<f64>().sqrt());
        let both = self.layers.iter().filter_map(|(name, a)| Some((name, a, earlier.layers.get(name)?)));
        both.map(|(name, a, b)| Ok((name.as_str(), norm(a.clone() - b.clone())? / norm(a.clone())?))).collect()
    }

    /// A safetensors file: `<layer>.pattern` in half precision for each layer, shaped as its weight, and the origin as JSON
    /// under the key `patterns`.
    ///
    /// # Errors
    /// [`Error::Model`] when the patterns are not those of this network, or half precision cannot hold a value.
    pub fn to_safetensors(&self, network: &Network) -> Result<Vec<u8>> {
        self.fit(network)?;
        let mut tensors = Vec::new();
        for (name, layer) in affine_layers(network) {
            let values = read(self.layers[name].clone())?;
            if let Some(value) = values.iter().find(|value| !f16::from_f64(**value).is_finite()) {
                let problem = format!("layer {name} has the value {value}, too large for half precision");
                return Err(Error::model("patterns", problem));
            }
            let bytes: Vec<u8> = values.into_iter().flat_map(|value| f16::from_f64(value).to_le_bytes()).collect();
            tensors.push((key(name), shape(&layer), bytes));
        }
        let unwritable =
            |error: &dyn std::fmt::Display| Error::model("patterns", format!("cannot be written: {error}"));
        let mut views = Vec::new();
        for (key, shape, bytes) in &tensors {
            let view = TensorView::new(Dtype::F16, shape.clone(), bytes).map_err(|error| unwritable(&error))?;
            views.push((key, view));
        }
        let origin = serde_json::to_string(&self.origin).map_err(|error| unwritable(&error))?;
        let metadata = HashMap::from([(ORIGIN.to_string(), origin)]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| unwritable(&error))
    }

    /// Reads the bytes of such a file; `name` is for messages. The network may have its batch norms or have them folded.
    ///
    /// # Errors
    /// [`Error::Model`] when this is not a whole file of patterns of this network with the weights of this SHA-256: a
    /// missing, misshapen, left-over or non-finite pattern refuses the whole file.
    pub fn from_safetensors(name: &str, bytes: &[u8], network: &Network, weights_sha256: &str) -> Result<Self> {
        let device = affine_layers(network).next().map_or_else(Device::default, |(_, layer)| layer.weight().device());
        let mut file = WeightFile::safetensors(name, bytes, &device)?;
        let refuse = |problem: String| Error::model(name, format!("{problem}; nothing was loaded"));
        let origin =
            file.metadata(ORIGIN).ok_or_else(|| refuse("it does not say where its patterns come from".into()))?;
        let origin: Origin =
            serde_json::from_str(origin).map_err(|error| refuse(format!("what it says of its patterns is {error}")))?;
        if origin.weights_sha256 != weights_sha256 {
            let other = &origin.weights_sha256;
            let problem =
                format!("its patterns belong to the weights with SHA-256 {other}, these have {weights_sha256}");
            return Err(refuse(format!("{problem}: fit patterns to this model")));
        }
        let mut layers = BTreeMap::new();
        for (name, layer) in affine_layers(network) {
            let pattern = match &layer {
                Affine::Convolution(layer) => file.tensor(&key(name), layer.weight.dims(), 0.0, 0.0)?.flatten(1, 3),
                Affine::Linear(layer) => file.tensor(&key(name), layer.weight.dims(), 0.0, 0.0)?,
            };
            layers.insert(name.to_string(), pattern);
        }
        file.finish()?;
        Ok(Self { layers, origin })
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// As [`from_safetensors`](Self::from_safetensors), and when there is no such file.
    pub fn open(path: &Path, network: &Network, weights_sha256: &str) -> Result<Self> {
        let name = path.display().to_string();
        let refuse = |problem: String| Error::model(&name, problem);
        let unreadable = |error: std::io::Error| refuse(format!("cannot be read: {error}"));
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(refuse("is not a file".into()));
        }
        // No number takes more than eight bytes: what is longer is another file.
        let numbers: usize = affine_layers(network).map(|(_, layer)| layer.weight().shape().num_elements()).sum();
        let most = 8 * numbers as u64 + LONGEST_HEADER;
        let mut bytes = Vec::new();
        let length = std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
        match length.map_err(unreadable)? as u64 > most {
            true => Err(refuse(format!("has more than {most} bytes: it holds more than the patterns of this model"))),
            false => Self::from_safetensors(&name, &bytes, network, weights_sha256),
        }
    }
}

/// Refuses layers that the paper says nothing about.
pub fn require_rules(method: &str, network: &Network) -> Result<()> {
    if affine_layers(network).next().is_none() {
        return Err(Error::unsupported(
            method,
            "it has no convolution or linear layer, so no patterns: use vanilla-gradient",
        ));
    }
    network.require_rules(method, "integrated-gradients", |_, node| {
        matches!(
            node.layer(),
            Layer::Convolution(_)
                | Layer::Linear(_)
                | Layer::Relu
                | Layer::MaxPool(_)
                | Layer::AveragePool(_)
                | Layer::AdaptiveAveragePool(_)
                | Layer::Mean { .. }
                | Layer::Resample(_)
                | Layer::Flatten
                | Layer::Reshape { .. }
                | Layer::Transpose { .. }
                | Layer::Select(_)
                | Layer::Pad(_)
                | Layer::Dropout
                | Layer::Sum
                | Layer::Concatenation { .. }
        )
    })
}

/// The layers that have patterns.
pub fn affine_layers(network: &Network) -> impl Iterator<Item = (&str, Affine)> {
    network.nodes().filter_map(|(_, node)| Some((node.name(), Affine::of(node.layer())?)))
}

fn key(layer: &str) -> String {
    format!("{layer}.pattern")
}

/// Sizes of the weight.
fn shape(layer: &Affine) -> Vec<usize> {
    match layer {
        Affine::Convolution(layer) => layer.weight.dims().to_vec(),
        Affine::Linear(layer) => layer.weight.dims().to_vec(),
    }
}

/// Copies a tensor to the host, row by row, in double precision.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f64>> {
    let data = tensor.try_into_data().map_err(|error| Error::Backend(error.to_string()))?;
    Ok(data.iter::<f64>().collect())
}
