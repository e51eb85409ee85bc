//! What stands before the numbers of a safetensors file.

use std::{collections::BTreeMap, io::Read};

use safetensors::{Dtype, tensor::Metadata};

use super::weight_file::{Format, Place, Stored};

/// The longest description of tensors that is read, in bytes: a thousand layers need a tenth of it, and what it makes in
/// memory is many times larger.
pub const LONGEST: u64 = 4 << 20;

/// What is wrong with most files that are not read.
pub const SAFETENSORS: &str = "not a whole safetensors file";

/// The header of a safetensors file of `length` bytes, and where the numbers start.
pub fn read(file: &mut impl Read, length: u64) -> Result<(Metadata, u64), String> {
    let refuse = |problem: String| format!("{SAFETENSORS}: {problem}");
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|_| refuse(format!("it has {length} bytes")))?;
    let size = u64::from_le_bytes(size);
    if size > length - 8 {
        return Err(refuse(format!("its header should have {size} bytes, the file has {length}")));
    }
    if size > LONGEST {
        return Err(refuse(format!("its header has {size} bytes, more than {LONGEST}")));
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(|error| refuse(error.to_string()))?;
    // This checks that every shape fits its place and that the places follow each other without a gap.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| refuse(error.to_string()))?;
    let (data, held) = (metadata.data_len() as u64, length - 8 - size);
    if data != held {
        return Err(refuse(format!("its tensors have {data} bytes, the file holds {held} for them")));
    }
    Ok((metadata, 8 + size))
}

/// The tensors of a header, whose bytes `place` finds.
pub fn tensors<'data>(
    metadata: &Metadata,
    place: impl Fn((usize, usize)) -> Place<'data>,
) -> BTreeMap<String, Stored<'data>> {
    let stored = metadata.tensors().into_iter().map(|(name, info)| {
        let format = match info.dtype {
            Dtype::F16 => Ok(Format::F16),
            Dtype::BF16 => Ok(Format::BF16),
            Dtype::F32 => Ok(Format::F32),
            Dtype::F64 => Ok(Format::F64),
            other => Err(format!("{other:?}")),
        };
        (name, Stored { shape: info.shape.clone(), format, place: place(info.data_offsets) })
    });
    stored.collect()
}
