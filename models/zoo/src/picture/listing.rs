//! Which files are meant.

use std::path::{Path, PathBuf};

use burnsight_core::{Error, Result};

/// The extensions that are looked for in a folder. A file that is named itself may have any.
pub const PICTURE_EXTENSIONS: [&str; 13] =
    ["bmp", "gif", "jpeg", "jpg", "pam", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp"];

/// The pictures that the paths name: files as they are given, folders replaced by the pictures in them.
///
/// Folders are not descended into; their pictures come sorted by name, hidden files left out.
///
/// # Errors
///
/// [`Error::Image`] if a path does not exist, or a folder cannot be listed or holds no picture.
pub fn find_pictures(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    for path in paths {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => pictures.extend(pictures_in(path)?),
            Ok(_) => pictures.push(path.clone()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::image(path.display(), "there is no such file or folder"));
            }
            Err(error) => return Err(Error::image(path.display(), format!("cannot be read: {error}"))),
        }
    }
    Ok(pictures)
}

fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let unlistable = |error| Error::image(folder.display(), format!("the folder cannot be listed: {error}"));
    let mut pictures = Vec::new();
    for entry in folder.read_dir().map_err(unlistable)? {
        let path = entry.map_err(unlistable)?.path();
        if is_picture_name(&path) && path.is_file() {
            pictures.push(path);
        }
    }
    if pictures.is_empty() {
        let extensions = PICTURE_EXTENSIONS.join(", ");
        return Err(Error::image(
            folder.display(),
            format!("there is no picture in this folder; files ending in {extensions} are looked for"),
        ));
    }
    pictures.sort();
    Ok(pictures)
}

fn is_picture_name(path: &Path) -> bool {
    // Some systems leave a `._name.jpg` without pixels beside every picture.
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let known = path
        .extension()
        .is_some_and(|extension| PICTURE_EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)));
    known && !hidden
}
