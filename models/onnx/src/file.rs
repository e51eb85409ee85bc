//! What is read from an ONNX file: nodes, attributes, tensors. Nothing here computes.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

use burnsight_core::{Error, Result};
use onnx_ir::{GraphProto, Message, ModelProto, NodeProto, TensorProto};

use crate::constant::{Constant, Data, Int};

/// Larger files are taken for a mistake; protobuf itself ends at 2 GB.
const MAX_BYTES: u64 = 1 << 31;

/// A parsed file.
pub struct OnnxFile {
    /// For messages.
    pub name: String,
    pub graph: GraphProto,
    /// Version of the standard operators.
    pub opset: i64,
    /// The number of bytes of weights beside the file that were read.
    folder: Option<PathBuf>,
}

impl OnnxFile {
    /// Reads a file; weights beside it are found in its folder.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let refuse = |error: std::io::Error| Error::model(&name, format!("cannot be read: {error}"));
        let size = std::fs::metadata(path).map_err(refuse)?.len();
        if size > MAX_BYTES {
            return Err(Error::model(&name, format!("it has {size} bytes; an ONNX file has at most {MAX_BYTES}")));
        }
        let bytes = std::fs::read(path).map_err(refuse)?;
        let folder = path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
        Self::parse(&name, bytes, folder)
    }

    /// Parses a file in memory. Weights in other files are looked for in `folder`.
    pub fn parse(name: &str, bytes: Vec<u8>, folder: Option<&Path>) -> Result<Self> {
        let refuse = |problem: String| Error::model(name, problem);
        let bytes = bytes::Bytes::from(bytes);
        crate::wire::check(name, &bytes)?;
        let mut model = ModelProto::parse_from_tokio_bytes(&bytes)
            .map_err(|error| refuse(format!("not a whole ONNX file: {error}")))?;
        if model.graph.node.is_empty() {
            return Err(refuse("not an ONNX model, or one without any operation".into()));
        }
        let standard = |domain: &str| matches!(domain, "" | "ai.onnx");
        let opset = model.opset_import.iter().find(|import| standard(&import.domain)).map(|import| import.version);
        let opset =
            opset.ok_or_else(|| refuse("it does not say which version of the standard operators it uses".into()))?;
        let foreign = model.graph.node.iter().find(|node| !standard(&node.domain));
        if let Some(NodeProto { op_type, domain, .. }) = foreign {
            return Err(refuse(format!(
                "operator {domain}::{op_type} is no standard ONNX operator: export without it"
            )));
        }
        let graph = std::mem::take(&mut model.graph).into_option().unwrap_or_default();
        Ok(Self { name: name.into(), graph, opset, folder: folder.map(Path::to_path_buf) })
    }

    pub fn refuse(&self, problem: impl Into<String>) -> Error {
        Error::model(&self.name, problem)
    }

    /// The tensors stored in the file, by name.
    pub fn initializers(&self) -> HashMap<&str, &TensorProto> {
        self.graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect()
    }

    /// The values of a stored tensor.
    pub fn constant(&self, tensor: &TensorProto) -> Result<Constant> {
        self.read_tensor(tensor)
            .map_err(|problem| self.refuse(format!("tensor {:?}: {problem}; nothing was loaded", tensor.name)))
    }

    fn read_tensor(&self, tensor: &TensorProto) -> std::result::Result<Constant, String> {
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
        let dims = dims.ok_or_else(|| format!("its shape {:?} has a negative size", tensor.dims))?;
        let count = dims.iter().try_fold(1usize, |count, dim| count.checked_mul(*dim));
        let count = count.filter(|count| *count as u64 <= MAX_BYTES);
        let count = count.ok_or_else(|| format!("its shape {dims:?} is larger than any file"))?;
        let kind = Kind::of(tensor.data_type).ok_or_else(|| {
            format!("number format {} is not read; weights are float, double, float16 or bfloat16", tensor.data_type)
        })?;
        // DataLocation::EXTERNAL; the enum itself is not public.
        let external =
            if tensor.data_location.value() == 1 { Some(self.external(tensor, count * kind.size())?) } else { None };
        let raw: &[u8] = external.as_deref().unwrap_or(&tensor.raw_data);
        let data = if raw.is_empty() && count > 0 { kind.typed(tensor) } else { kind.raw(raw) };
        let data = data.ok_or_else(|| format!("it holds {} bytes, which is no number of its values", raw.len()))?;
        if data.len() != count {
            return Err(format!("it holds {} values, its shape {dims:?} needs {count}", data.len()));
        }
        if let Data::Floats(values) = &data
            && values.iter().any(|value| value.is_nan())
        {
            return Err("it contains NaN".into());
        }
        Ok(Constant { shape: dims, data })
    }

    /// Bytes from a file beside the model: never from outside its folder.
    fn external(&self, tensor: &TensorProto, needed: usize) -> std::result::Result<Vec<u8>, String> {
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        let number = |key: &str| match entry(key) {
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("{key} {text:?} of its data is no number")),
            None => Ok(None),
        };
        let location = entry("location").ok_or("it does not say in which file its data are")?;
        let inside =
            |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let folder = self.folder.as_ref().ok_or_else(|| format!("its data are in {location:?}, beside a file"))?;
        if !inside(Path::new(location)) || location.contains('\0') {
            return Err(format!("its data would be in {location:?}, outside the model's folder"));
        }
        let missing =
            |error: std::io::Error| format!("its data in {location:?} beside the model cannot be read: {error}");
        let path = folder.join(location).canonicalize().map_err(missing)?;
        if !path.starts_with(folder.canonicalize().map_err(missing)?) {
            return Err(format!("its data would be in {location:?}, which leads outside the model's folder"));
        }
        let mut file = File::open(path).map_err(missing)?;
        let offset = number("offset")?.unwrap_or(0);
        let length = number("length")?.unwrap_or(needed as u64);
        let size = file.metadata().map_err(missing)?.len();
        if length != needed as u64 || offset.checked_add(length).is_none_or(|end| end > size) {
            let found = format!("{length} bytes from {offset} of the {size} in {location:?}");
            return Err(format!("its data are {found}, its shape needs {needed}"));
        }
        file.seek(SeekFrom::Start(offset)).map_err(missing)?;
        let mut bytes = vec![0; needed];
        file.read_exact(&mut bytes).map_err(missing)?;
        Ok(bytes)
    }
}

/// Number formats, by their codes in the ONNX standard.
#[derive(Clone, Copy)]
enum Kind {
    F32,
    F64,
    F16,
    BF16,
    I8,
    U8,
    I16,
    U16,
    I32,
    I64,
    Bool,
}

impl Kind {
    fn of(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            16 => Self::BF16,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// Little-endian bytes.
    fn raw(self, bytes: &[u8]) -> Option<Data> {
        fn each<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
            let (values, rest) = bytes.as_chunks::<N>();
            rest.is_empty().then(|| values.iter().map(|value| convert(*value)).collect())
        }
        let int = |value: i64| Int::plain(value);
        Some(match self {
            Self::F32 => Data::Floats(each(bytes, f32::from_le_bytes)?),
            Self::F64 => Data::Floats(each(bytes, |value| f64::from_le_bytes(value) as f32)?),
            Self::F16 => Data::Floats(each(bytes, |value| half::f16::from_le_bytes(value).to_f32())?),
            Self::BF16 => Data::Floats(each(bytes, |value| half::bf16::from_le_bytes(value).to_f32())?),
            Self::I8 => Data::Ints(each(bytes, |value| int(i8::from_le_bytes(value).into()))?),
            Self::U8 | Self::Bool => Data::Ints(each(bytes, |value| int(u8::from_le_bytes(value).into()))?),
            Self::I16 => Data::Ints(each(bytes, |value| int(i16::from_le_bytes(value).into()))?),
            Self::U16 => Data::Ints(each(bytes, |value| int(u16::from_le_bytes(value).into()))?),
            Self::I32 => Data::Ints(each(bytes, |value| int(i32::from_le_bytes(value).into()))?),
            Self::I64 => Data::Ints(each(bytes, |value| int(i64::from_le_bytes(value)))?),
        })
    }

    /// The fields of their own that protobuf has for some formats.
    fn typed(self, tensor: &TensorProto) -> Option<Data> {
        let halves = |convert: fn(u16) -> f32| {
            let values = tensor.int32_data.iter().map(|value| u16::try_from(*value).ok().map(convert));
            values.collect::<Option<Vec<f32>>>().map(Data::Floats)
        };
        match self {
            Self::F32 => Some(Data::Floats(tensor.float_data.clone())),
            Self::F64 => Some(Data::Floats(tensor.double_data.iter().map(|value| *value as f32).collect())),
            Self::F16 => halves(|bits| half::f16::from_bits(bits).to_f32()),
            Self::BF16 => halves(|bits| half::bf16::from_bits(bits).to_f32()),
            Self::I64 => Some(Data::Ints(tensor.int64_data.iter().map(|value| Int::plain(*value)).collect())),
            _ => Some(Data::Ints(tensor.int32_data.iter().map(|value| Int::plain((*value).into())).collect())),
        }
    }
}

/// One operation of the file.
#[derive(Clone, Copy)]
pub struct Operation<'f> {
    pub node: &'f NodeProto,
    pub opset: i64,
}

impl<'f> Operation<'f> {
    fn attribute(&self, name: &str) -> Option<&'f onnx_ir::AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub fn kind(&self) -> &'f str {
        &self.node.op_type
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|attribute| attribute.i)
    }

    pub fn float(&self, name: &str) -> Option<f64> {
        self.attribute(name).map(|attribute| f64::from(attribute.f))
    }

    pub fn ints(&self, name: &str) -> Option<&'f [i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    pub fn floats(&self, name: &str) -> Option<&'f [f32]> {
        self.attribute(name).map(|attribute| attribute.floats.as_slice())
    }

    pub fn text(&self, name: &str) -> Option<&'f str> {
        self.attribute(name).and_then(|attribute| std::str::from_utf8(&attribute.s).ok())
    }

    pub fn tensor(&self, name: &str) -> Option<&'f TensorProto> {
        self.attribute(name).and_then(|attribute| attribute.t.as_ref())
    }
}
