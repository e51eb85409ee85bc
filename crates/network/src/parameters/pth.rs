//! Files of torch's `save`. `pytorch_reader` reads them without running what they say; here is what it needs to stay within
//! the memory that a file of that size may ask for.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use pytorch_reader::{DType, PickleValue, PytorchReader};
use zip::ZipArchive;

use super::{
    description::LONGEST,
    weight_file::{Format, Place, Stored},
};

/// How much of the beginning [`Container::of`] wants to see.
pub const LONGEST_SIGNATURE: u64 = 262;

/// Files in an archive: torch writes one per tensor.
const MOST_FILES: usize = 100_000;

/// Pickles before the numbers of the older format: a magic number, a version, the system, the tensors, the order of the
/// numbers.
const PICKLES: usize = 5;

/// Whose objects may stand beside the weights: those that torch's `load` takes for data, and its examples' settings.
const KNOWN: [&str; 4] = ["torch.", "numpy.", "collections.", "argparse.Namespace"];

/// How torch packed a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Since torch 1.6.
    Zip,
    /// Pickles, then the numbers: before torch 1.6.
    Pickles,
    /// Before torch 0.1.10.
    Tar,
}

impl Container {
    /// What the first bytes say.
    pub fn of(beginning: &[u8]) -> Option<Self> {
        const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
        match beginning {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ if beginning.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ if beginning.windows(MAGIC.len()).take(64).any(|bytes| bytes == MAGIC) => Some(Self::Pickles),
            _ => None,
        }
    }
}

/// The tensors of a file, or what is wrong with it.
pub fn tensors(
    container: Container,
    path: &Path,
    file: &File,
    length: u64,
) -> Result<BTreeMap<String, Stored<'static>>, String> {
    match container {
        Container::Zip => check_archive(file, length)?,
        Container::Pickles => check_pickles(file)?,
        // Its reader holds the whole file in memory, and more than that if the archive has holes.
        Container::Tar => return Err("was saved before torch 0.1.10: load it with torch and save it again".into()),
    }
    let damaged = |error| format!("not a whole file of torch's save: {error}");
    if let Some(object) = foreign(&PytorchReader::read_pickle_data(path, None).map_err(damaged)?) {
        return Err(format!(
            "holds {object}, which is no data and might be code (nothing of it was run): save `model.state_dict()`"
        ));
    }
    let tensors = PytorchReader::new(path).map_err(damaged)?.into_tensors();
    if tensors.is_empty() {
        return Err("holds no tensors: save `model.state_dict()`".into());
    }
    // A tensor may be a view that repeats few numbers many times.
    let bytes = tensors.values().fold(0, |sum: u64, tensor| sum.saturating_add(tensor.byte_len() as u64));
    if bytes > length {
        return Err(format!("its tensors are said to have {bytes} bytes, the file has {length}"));
    }
    let stored = tensors.into_iter().map(|(name, tensor)| {
        let format = match tensor.dtype() {
            DType::F16 => Ok(Format::F16),
            DType::BF16 => Ok(Format::BF16),
            DType::F32 => Ok(Format::F32),
            DType::F64 => Ok(Format::F64),
            other => Err(format!("{other:?}")),
        };
        (name, Stored { shape: tensor.shape().to_vec(), format, place: Place::Pth(tensor) })
    });
    Ok(stored.collect())
}

/// The first object that is neither data nor torch's.
fn foreign(value: &PickleValue) -> Option<&str> {
    match value {
        PickleValue::List(values) => values.iter().find_map(foreign),
        PickleValue::Dict(values) => values.values().find_map(foreign),
        // Names without a module are Python's own, such as numbers of many digits.
        PickleValue::Unsupported(name) => {
            let known = !name.contains('.') || KNOWN.iter().any(|known| name.starts_with(known));
            (!known).then_some(name)
        }
        _ => None,
    }
}

/// Refuses archives that unpack to more than they are: torch does not compress.
fn check_archive(file: &File, length: u64) -> Result<(), String> {
    let damaged = |error: zip::result::ZipError| format!("not a whole file of torch's save: {error}");
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    if archive.len() > MOST_FILES {
        return Err(format!("an archive of {} files, more than {MOST_FILES}", archive.len()));
    }
    let mut unpacked = 0u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        if entry.name_raw().ends_with(b"data.pkl") && entry.size() > LONGEST {
            return Err(format!("its description has {} bytes, more than {LONGEST}", entry.size()));
        }
        unpacked = unpacked.saturating_add(entry.size());
    }
    match unpacked > length {
        true => Err(format!("an archive of {length} bytes that unpacks to {unpacked}, which torch does not write")),
        false => Ok(()),
    }
}

/// Refuses files whose pickles are longer than any description needs to be.
fn check_pickles(file: &File) -> Result<(), String> {
    let mut beginning = BufReader::new(file).take(LONGEST);
    let skipped = (0..PICKLES).try_for_each(|_| skip_pickle(&mut beginning));
    skipped.map_err(|error| match beginning.limit() {
        0 => format!("its description has more than {LONGEST} bytes"),
        _ => format!("not a whole file of torch's save: {error}"),
    })
}

/// Reads over one pickle, whatever it would build: every instruction is a byte and arguments of known length, see
/// <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.
fn skip_pickle(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let [instruction] = bytes(file)?;
        let arguments = match instruction {
            b'.' => return Ok(()),
            b'(' | b')' | b'0' | b'1' | b'2' | b'N' | b'Q' | b'R' | b']' | b'}' => 0,
            b'a' | b'b' | b'd' | b'e' | b'l' | b'o' | b's' | b't' | b'u' => 0,
            0x81 | 0x85..=0x89 | 0x8f..=0x94 => 0,
            b'K' | b'h' | b'q' | 0x80 => 1,
            b'M' => 2,
            b'J' | b'j' | b'r' => 4,
            b'G' | 0x95 => 8,
            b'C' | b'U' | 0x8a | 0x8c => u64::from(u8::from_le_bytes(bytes(file)?)),
            b'B' | b'T' | b'X' | 0x8b => u64::from(u32::from_le_bytes(bytes(file)?)),
            0x8d | 0x8e | 0x96 => u64::from_le_bytes(bytes(file)?),
            b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => skip_line(file)?,
            b'c' | b'i' => skip_line(file)? + skip_line(file)?,
            other => return Err(io::Error::other(format!("{other:#04x} is no instruction of a pickle"))),
        };
        if io::copy(&mut file.take(arguments), &mut io::sink())? < arguments {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads over a line; there is nothing left to skip then.
fn skip_line(file: &mut impl BufRead) -> io::Result<u64> {
    file.skip_until(b'\n').map(|_| 0)
}
