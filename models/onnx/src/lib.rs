#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod constant;
mod file;
mod graph;
mod operators;
mod view;
mod wire;

use std::{collections::HashSet, path::Path};

use burn::tensor::Device;
use burnsight_core::{Error, Result};
use burnsight_network::Network;
use file::OnnxFile;
use onnx_ir::NodeProto;
use operators::Importer;
use view::Value;

/// Height and width of the pictures where the file leaves them open and nothing else is asked for.
pub const DEFAULT_SIZE: usize = 224;

/// Pictures are no larger than this.
const MAX_SIDE: usize = 16_384;

/// An ONNX file as a network.
#[derive(Debug, Clone)]
pub struct OnnxModel {
    /// The layers, named as the file's operations are.
    pub network: Network,
    /// Channels, height and width of the pictures it reads.
    pub input: [usize; 3],
    /// Whether the file fixes height and width.
    pub fixed_size: bool,
    /// Whether the file itself has channels last. The network always has them first.
    pub channels_last: bool,
}

/// Reads an ONNX file.
///
/// `size` is the height and width of the pictures, for files that leave them open; [`DEFAULT_SIZE`] unless given. The
/// network is for this size.
///
/// # Errors
/// [`Error::Model`] when the file is damaged, is no classifier of pictures, or has an operation that is not supported;
/// [`Error::Parameter`] for a `size` that the file does not have. Nothing is loaded partially.
pub fn open(path: &Path, size: Option<[usize; 2]>, device: &Device) -> Result<OnnxModel> {
    import(&OnnxFile::open(path)?, size, device)
}

/// Reads an ONNX file that is in memory; `name` is for messages. Weights must be in the file itself.
///
/// # Errors
/// As [`open`].
pub fn parse(name: &str, bytes: Vec<u8>, size: Option<[usize; 2]>, device: &Device) -> Result<OnnxModel> {
    import(&OnnxFile::parse(name, bytes, None)?, size, device)
}

fn import(file: &OnnxFile, size: Option<[usize; 2]>, device: &Device) -> Result<OnnxModel> {
    let picture = Picture::of(file, size)?;
    let mut importer = Importer::new(file, picture.shape, picture.any_batch, device);
    let input = importer.graph.input(picture.channels_last);
    importer.set(picture.name, Value::Computed(input));
    for node in needed(file) {
        importer.run(node)?;
    }
    let output = file.graph.output.first().ok_or_else(|| file.refuse("it has no output"))?;
    let value = importer.value(&output.name).map_err(|problem| file.refuse(format!("its output: {problem}")))?;
    let Value::Computed(view) = value else {
        return Err(file.refuse(format!("its output {:?} does not depend on the picture", output.name)));
    };
    let network = importer.graph.build(&file.name, &view)?;
    network.shapes(picture.shape)?;
    let Picture { shape: input, fixed_size, channels_last, .. } = picture;
    Ok(OnnxModel { network, input, fixed_size, channels_last })
}

/// What the file says about the pictures it reads.
struct Picture<'f> {
    name: &'f str,
    shape: [usize; 3],
    fixed_size: bool,
    channels_last: bool,
    any_batch: bool,
}

impl<'f> Picture<'f> {
    fn of(file: &'f OnnxFile, size: Option<[usize; 2]>) -> Result<Self> {
        // Older files list their weights among the inputs.
        let stored = file.initializers();
        let inputs: Vec<_> =
            file.graph.input.iter().filter(|input| !stored.contains_key(input.name.as_str())).collect();
        let [input] = inputs[..] else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(file.refuse(format!("it reads {names:?}; a classifier of pictures reads one tensor")));
        };
        let tensor = input.type_.as_ref().filter(|kind| kind.has_tensor_type()).map(|kind| kind.tensor_type());
        let tensor = tensor.ok_or_else(|| file.refuse(format!("its input {:?} is no tensor", input.name)))?;
        if !matches!(tensor.elem_type, 1 | 10 | 11 | 16) {
            return Err(file.refuse(format!(
                "its input {:?} holds whole numbers, not colours: export it with float input",
                input.name
            )));
        }
        // Open sizes are None.
        let dims =
            tensor.shape.dim.iter().map(|dim| dim.has_dim_value().then(|| dim.dim_value()).filter(|size| *size > 0));
        let dims: Vec<Option<i64>> = dims.collect();
        let [batch, second, third, last] = dims[..] else {
            return Err(
                file.refuse(format!("its input has shape {dims:?}, pictures have [n, channels, height, width]"))
            );
        };
        if batch.is_some_and(|batch| batch != 1) {
            let problem =
                format!("it is made for {} pictures at once: export it for one or for any number", batch.unwrap_or(0));
            return Err(file.refuse(problem));
        }
        let colours = |size: Option<i64>| matches!(size, Some(1 | 3));
        let channels_last = !colours(second) && colours(last);
        let (channels, height, width) = if channels_last { (last, second, third) } else { (second, third, last) };
        if !colours(channels) {
            let problem = format!(
                "its input has shape {dims:?}: neither the second nor the last size is 3 (or 1), the number of colours"
            );
            return Err(file.refuse(problem));
        }
        let side = |fixed: Option<i64>, asked: Option<usize>| match (fixed, asked) {
            (Some(fixed), Some(asked)) if fixed != asked as i64 => None,
            (Some(fixed), _) => usize::try_from(fixed).ok(),
            (None, asked) => Some(asked.unwrap_or(DEFAULT_SIZE)),
        };
        let sides = (side(height, size.map(|size| size[0])), side(width, size.map(|size| size[1])));
        let (Some(rows), Some(columns)) = sides else {
            let fixed = format!("the file fixes {}×{} (width × height)", shown(width), shown(height));
            let asked = size.unwrap_or_default();
            return Err(Error::parameter("size", format!("{}×{}", asked[1], asked[0]), &fixed));
        };
        if rows.max(columns) > MAX_SIDE || rows.min(columns) == 0 {
            return Err(file.refuse(format!("its pictures would be {columns}×{rows}; sides are from 1 to {MAX_SIDE}")));
        }
        let shape = [channels.unwrap_or(3) as usize, rows, columns];
        let fixed_size = height.is_some() && width.is_some();
        Ok(Self { name: &input.name, shape, fixed_size, channels_last, any_batch: batch.is_none() })
    }
}

fn shown(size: Option<i64>) -> String {
    size.map_or_else(|| "any".into(), |size| size.to_string())
}

/// The operations that lead to the first output, in the file's order. Others (losses, second heads) are left out.
fn needed(file: &OnnxFile) -> Vec<&NodeProto> {
    let mut wanted: HashSet<&str> = file.graph.output.first().map(|output| output.name.as_str()).into_iter().collect();
    let mut nodes: Vec<&NodeProto> = Vec::new();
    for node in file.graph.node.iter().rev() {
        if node.output.iter().any(|output| !output.is_empty() && wanted.contains(output.as_str())) {
            wanted.extend(node.input.iter().map(String::as_str));
            nodes.push(node);
        }
    }
    nodes.reverse();
    nodes
}
