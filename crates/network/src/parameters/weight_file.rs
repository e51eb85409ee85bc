//! Weights in files.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

use burn::tensor::{Device, Tensor, TensorData, bf16, f16};
use burnsight_core::{Error, Result};

use super::{
    ParameterSource,
    description::{self, SAFETENSORS},
    pth,
};

/// How much of a file is in memory besides the tensor that is being read: a multiple of every format's size.
const CHUNK: usize = 1 << 20;

/// What training checkpoints call the weights, beside the optimiser's state and other things.
const STATE_DICTS: [&str; 3] = ["state_dict.", "model_state_dict.", "model."];

/// What torch's `DataParallel` puts before every name.
const DATA_PARALLEL: &str = "module.";

/// A file of weights, safetensors or torch's `.pth`, read tensor by tensor. Half precision (f16, bf16) and f64 become
/// f32.
///
/// Nothing is loaded partially: a missing, misshapen, left-over or non-finite tensor refuses the whole file. No code in a
/// `.pth` file is run, and no tensor is believed to be larger than the file.
#[derive(Debug)]
pub struct WeightFile<'data> {
    name: String,
    tensors: BTreeMap<String, Stored<'data>>,
    metadata: HashMap<String, String>,
    device: Device,
}

/// A tensor that has not been read yet.
#[derive(Debug)]
pub(super) struct Stored<'data> {
    pub shape: Vec<usize>,
    /// How its numbers are written, or what it holds that is no floating-point number.
    pub format: std::result::Result<Format, String>,
    pub place: Place<'data>,
}

/// A floating-point format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    F16,
    BF16,
    F32,
    F64,
}

/// Where a tensor's bytes are.
#[derive(Debug)]
pub(super) enum Place<'data> {
    Memory(&'data [u8]),
    File { file: Arc<File>, start: u64, length: u64 },
    Pth(pytorch_reader::Tensor),
}

impl WeightFile<'static> {
    /// Opens a safetensors file, or a `.pth` file of torch's `save`: the zip archive of today or the older stream of
    /// pickles; a state dict, a checkpoint with one under `state_dict`, `model_state_dict` or `model`, or a whole
    /// module. The
    /// content decides, not the name. `module.` of `DataParallel` is taken off the names.
    ///
    /// # Errors
    /// [`Error::Model`] when there is no such file, or it is neither, cut off, or disagrees with itself.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let name = path.display().to_string();
        let refuse = |problem: String| Error::model(&name, problem);
        let unreadable = |error: io::Error| refuse(format!("cannot be read: {error}"));
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(refuse("is not a file".into()));
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut beginning = Vec::new();
        (&mut file).take(pth::LONGEST_SIGNATURE).read_to_end(&mut beginning).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;

        let mut metadata = HashMap::new();
        let tensors = match pth::Container::of(&beginning) {
            Some(container) => pth::tensors(container, path, &file, length),
            None if beginning.get(8) == Some(&b'{') => description::read(&mut file, length).map(|(header, start)| {
                let file = Arc::new(file);
                metadata = header.metadata().clone().unwrap_or_default();
                description::tensors(&header, |(from, to)| Place::File {
                    file: file.clone(),
                    start: start + from as u64,
                    length: (to - from) as u64,
                })
            }),
            None => Err("neither a safetensors file nor one of torch's save (.pth)".into()),
        };
        Ok(Self { tensors: with_plain_names(tensors.map_err(refuse)?), metadata, name, device: device.clone() })
    }
}

impl<'data> WeightFile<'data> {
    /// Reads the header of a safetensors file in memory. `name` is for messages.
    ///
    /// # Errors
    /// [`Error::Model`] when this is not a whole safetensors file.
    pub fn safetensors(name: &str, bytes: &'data [u8], device: &Device) -> Result<Self> {
        let refuse = |problem| Error::model(name, problem);
        let (header, start) = description::read(&mut &bytes[..], bytes.len() as u64).map_err(refuse)?;
        let data = usize::try_from(start).ok().and_then(|start| bytes.get(start..));
        let data = data.ok_or_else(|| refuse(SAFETENSORS.into()))?;
        let tensors = description::tensors(&header, |(from, to)| Place::Memory(&data[from..to]));
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { name: name.into(), tensors, metadata, device: device.clone() })
    }

    /// What a safetensors file says about itself under that key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Names and shapes of the tensors that have not been taken yet: how an architecture is recognised.
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect()
    }
}

/// The weights alone where a checkpoint has more, by the names that the network itself gives them.
fn with_plain_names(mut tensors: BTreeMap<String, Stored>) -> BTreeMap<String, Stored> {
    if let Some(prefix) = STATE_DICTS.iter().find(|prefix| tensors.keys().any(|name| name.starts_with(**prefix))) {
        let part = |(name, tensor): (String, _)| Some((name.strip_prefix(prefix)?.to_string(), tensor));
        tensors = tensors.into_iter().filter_map(part).collect();
    }
    if tensors.keys().all(|name| name.starts_with(DATA_PARALLEL)) {
        tensors = tensors.into_iter().map(|(name, tensor)| (name[DATA_PARALLEL.len()..].to_string(), tensor)).collect();
    }
    tensors
}

impl ParameterSource for WeightFile<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, shape: [usize; D], _: f32, _: f32) -> Result<Tensor<D>> {
        let refuse = |problem: String| Error::model(&self.name, format!("{problem}; nothing was loaded"));
        let stored = self.tensors.remove(name).ok_or_else(|| refuse(format!("tensor {name} is missing")))?;
        if stored.shape != shape {
            return Err(refuse(format!("tensor {name} has shape {:?}, the network needs {shape:?}", stored.shape)));
        }
        let format = stored
            .format
            .as_ref()
            .map_err(|other| refuse(format!("tensor {name} holds {other}, weights are f16, bf16, f32 or f64")))?;
        let mut values = Vec::with_capacity(shape.iter().product());
        stored
            .place
            .read(|bytes| format.decode(bytes, &mut values))
            .map_err(|error| refuse(format!("tensor {name} cannot be read: {error}")))?;
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(refuse(format!("tensor {name} contains {value}")));
        }
        Ok(Tensor::from_data(TensorData::new(values, shape), &self.device))
    }

    fn finish(self) -> Result<()> {
        // Counters of training steps, which batch norms store and evaluation does not need.
        let mut unused = self.tensors.keys().filter(|name| !name.ends_with(".num_batches_tracked"));
        match unused.next() {
            None => Ok(()),
            Some(first) => {
                let others = unused.count();
                let problem = format!("tensor {first} (and {others} others) is not part of the network");
                Err(Error::model(&self.name, format!("{problem}; nothing was loaded")))
            }
        }
    }
}

impl Format {
    /// Appends what the bytes mean; both containers are little-endian.
    fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Self::F16 => values.extend(bytes.as_chunks().0.iter().map(|two| f16::from_le_bytes(*two).to_f32())),
            Self::BF16 => values.extend(bytes.as_chunks().0.iter().map(|two| bf16::from_le_bytes(*two).to_f32())),
            Self::F32 => values.extend(bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four))),
            Self::F64 => values.extend(bytes.as_chunks().0.iter().map(|eight| f64::from_le_bytes(*eight) as f32)),
        }
    }
}

impl Place<'_> {
    /// Hands over the bytes in order, in pieces where that saves memory.
    fn read(&self, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => sink(bytes),
            Self::File { file, start, length } => {
                let mut file = file.as_ref();
                file.seek(SeekFrom::Start(*start))?;
                let mut left = *length;
                let mut chunk = vec![0; left.min(CHUNK as u64) as usize];
                while left > 0 {
                    let chunk = &mut chunk[..left.min(CHUNK as u64) as usize];
                    file.read_exact(chunk)?;
                    sink(chunk);
                    left -= chunk.len() as u64;
                }
            }
            Self::Pth(tensor) => sink(&tensor.read()?),
        }
        Ok(())
    }
}
