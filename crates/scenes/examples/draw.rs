//! Draws the pictures and masks of `examples/images`: `cargo run -p burnsight-scenes --example draw -- FOLDER`.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burnsight_scenes::{EXAMPLE_SIZE, GolfBall, Parachute};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageEncoder};

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).context("name the folder to write to")?);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let (width, height) = EXAMPLE_SIZE;
    for (name, scene) in [
        ("golf-ball", GolfBall::default().draw(width, height)?),
        ("parachute", Parachute::default().draw(width, height)?),
    ] {
        write(&folder.join(format!("{name}.png")), &scene.picture.into())?;
        write(&folder.join(format!("{name}.mask.png")), &scene.mask.into())?;
    }
    Ok(())
}

/// As small a PNG as the encoder can make.
fn write(file: &Path, image: &DynamicImage) -> Result<()> {
    let create = || format!("cannot write {}", file.display());
    let writer = BufWriter::new(File::create(file).with_context(create)?);
    PngEncoder::new_with_quality(writer, CompressionType::Best, FilterType::Adaptive)
        .write_image(image.as_bytes(), image.width(), image.height(), image.color().into())
        .with_context(create)
}
