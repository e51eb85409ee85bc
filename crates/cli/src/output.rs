//! Files: written whole or not at all.

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use image::{ImageFormat, RgbImage};
use npyz::WriterBuilder;
use serde::Serialize;
use tempfile::NamedTempFile;

/// Makes the folder and proves that it can be written to, before hours of work are spent.
pub fn prepare_folder(folder: &Path) -> Result<()> {
    let advice = || format!("cannot write to {}: choose another folder with --out", folder.display());
    fs::create_dir_all(folder).with_context(advice)?;
    NamedTempFile::new_in(folder).with_context(advice)?;
    Ok(())
}

/// Writes to a temporary file beside `path` and renames it: whoever interrupts sees the old file or the new one.
fn write(path: &Path, content: impl FnOnce(&mut BufWriter<&fs::File>) -> Result<()>) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> Result<()> {
        let temporary = as_any_new_file(&mut tempfile::Builder::new()).tempfile_in(folder)?;
        let mut writer = BufWriter::new(temporary.as_file());
        content(&mut writer)?;
        writer.flush()?;
        drop(writer);
        temporary.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Readable as the user's settings have it: temporary files are private otherwise.
fn as_any_new_file<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

pub fn png(path: &Path, picture: &RgbImage) -> Result<()> {
    write(path, |out| {
        // The PNG encoder wants to seek, a file behind a buffer does not: through memory.
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png)?;
        Ok(out.write_all(bytes.get_ref())?)
    })
}

pub fn bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, |out| Ok(out.write_all(bytes)?))
}

pub fn json(path: &Path, value: &impl Serialize) -> Result<()> {
    write(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        Ok(out.write_all(b"\n")?)
    })
}

/// Little-endian float32 in C order.
pub fn npy(path: &Path, shape: [usize; 3], values: &[f32]) -> Result<()> {
    write(path, |out| {
        let shape = shape.map(|size| size as u64);
        let mut writer = npyz::WriteOptions::<f32>::new().default_dtype().shape(&shape).writer(out).begin_nd()?;
        writer.extend(values.iter().copied())?;
        Ok(writer.finish()?)
    })
}
