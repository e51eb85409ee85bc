//! Draws the pictures and masks of `examples/images`: `cargo run -p burnsight-scenes --example draw -- FOLDER`; with a number
//! behind it, so many random scenes of every object, for `burnsight evaluate FOLDER/pictures --class-folders --masks FOLDER/masks`.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burnsight_scenes::{EXAMPLE_SIZE, GolfBall, Object, Parachute};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageEncoder};

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).context("name the folder to write to")?);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let (width, height) = EXAMPLE_SIZE;
    if let Some(count) = std::env::args().nth(2) {
        let count: u64 = count.parse().context("the number of scenes is a whole number")?;
        for object in Object::ALL {
            let [pictures, masks] = ["pictures", "masks"].map(|kind| folder.join(kind).join(object.label()));
            for folder in [&pictures, &masks] {
                fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
            }
            for seed in 0..count {
                let scene = object.draw_random(seed, width, height)?;
                write(&pictures.join(format!("{seed}.png")), &scene.picture.into())?;
                write(&masks.join(format!("{seed}.png")), &scene.mask.into())?;
            }
        }
        return Ok(());
    }
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
