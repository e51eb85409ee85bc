//! The pictures of an evaluation, and what is known about them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::{Device, Tensor};
use burnsight::{
    Error, Seed,
    evaluation::Mask,
    zoo::{self, CropBox, Labels, Model, Picture},
};
use burnsight_scenes::{Object, Scene};
use image::{GrayImage, RgbImage};
use sha2::{Digest, Sha256};

use crate::{arguments::EvaluateArguments, draw::draw};

/// One picture, not read yet.
#[derive(Debug, Clone)]
pub struct Source {
    /// For tables and reports.
    pub name: String,
    origin: Origin,
    /// Its true class, where it is known.
    pub class: Option<usize>,
}

#[derive(Debug, Clone)]
enum Origin {
    File { picture: PathBuf, mask: Option<PathBuf> },
    Scene { object: Object, seed: u64 },
}

/// A picture as the model sees it.
pub struct Prepared {
    /// `[1, c, h, w]`
    pub tensor: Tensor<4>,
    pub picture: RgbImage,
    pub view: CropBox,
    pub mask: Option<Mask>,
    /// Tells pictures apart, with their masks and classes: what was measured on one holds for no other.
    pub key: String,
}

/// Width and height of drawn scenes, in pixels.
const SCENE: (u32, u32) = burnsight_scenes::EXAMPLE_SIZE;

/// Grey from which on a mask means the object.
const INSIDE: u8 = 128;

/// Everything that the arguments name.
pub fn find(arguments: &EvaluateArguments, paths: &[PathBuf], labels: &Labels) -> Result<Vec<Source>> {
    let mut sources = match arguments.class_folders {
        true => in_class_folders(paths, labels)?,
        false => zoo::find_pictures(paths)?.into_iter().map(|path| Source::file(path, None)).collect(),
    };
    if let Some(count) = arguments.pictures {
        if count == 0 {
            return Err(Error::parameter("pictures", count, "at least 1").into());
        }
        sources = draw(&sources, count, Seed(arguments.methods.seed))?;
    }
    if let Some(folder) = &arguments.masks {
        sources.iter_mut().for_each(|source| source.find_mask(folder));
        if sources.iter().all(|source| !source.has_mask()) {
            let requirement = "none of the pictures has a mask there: <name of the picture>.png, beside or in a folder of the picture's folder's name";
            return Err(Error::parameter("masks", folder.display(), requirement).into());
        }
    }
    if let Some(count) = arguments.scenes {
        sources.extend(scenes(count, labels)?);
    }
    if sources.is_empty() {
        bail!("no picture given: name pictures or folders, as in `burnsight evaluate examples/images`, or --scenes 10");
    }
    Ok(sources)
}

/// Pictures in one folder per class. A folder has the name of a class, or there are as many folders as classes and they are
/// the classes in order.
fn in_class_folders(paths: &[PathBuf], labels: &Labels) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        let entries = path.read_dir().with_context(|| format!("--class-folders: cannot list {}", path.display()))?;
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", path.display()))?.path();
            let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            folders.extend(Some(entry).filter(|entry| entry.is_dir() && !hidden));
        }
        folders.sort();
        let name = |folder: &Path| folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let by_name: Result<Vec<usize>, _> = folders.iter().map(|folder| labels.find(&name(folder))).collect();
        let classes = match by_name {
            Ok(classes) => classes,
            Err(_) if folders.len() == labels.len() => (0..labels.len()).collect(),
            Err(error) => {
                let requirement = format!(
                    "its {} folders are neither named as classes ({error}) nor as many as the model's {} classes",
                    folders.len(),
                    labels.len()
                );
                return Err(Error::parameter("class-folders", path.display(), &requirement).into());
            }
        };
        for (folder, class) in folders.iter().zip(classes) {
            let pictures = zoo::find_pictures(std::slice::from_ref(folder))?;
            sources.extend(pictures.into_iter().map(|picture| Source::file(picture, Some(class))));
        }
    }
    Ok(sources)
}

/// So many scenes of every object that the model has a class for.
fn scenes(count: usize, labels: &Labels) -> Result<Vec<Source>> {
    let known = Object::ALL.into_iter().filter_map(|object| Some((object, labels.find(object.label()).ok()?)));
    let known: Vec<(Object, usize)> = known.collect();
    if known.is_empty() {
        let objects = Object::ALL.map(Object::label).join(", ");
        let requirement = format!("the model has none of the classes that can be drawn: {objects}");
        return Err(Error::parameter("scenes", count, &requirement).into());
    }
    let scene = |(object, class): (Object, usize)| {
        (0..count as u64).map(move |seed| Source {
            name: format!("{} {seed}", object.label()),
            origin: Origin::Scene { object, seed },
            class: Some(class),
        })
    };
    Ok(known.into_iter().flat_map(scene).collect())
}

impl Source {
    fn file(picture: PathBuf, class: Option<usize>) -> Self {
        let name = picture.file_name().unwrap_or(picture.as_os_str()).to_string_lossy().into_owned();
        Self { name, origin: Origin::File { picture, mask: None }, class }
    }

    /// `folder/<folder of the picture>/<stem>.png`, or `folder/<stem>.png`.
    fn find_mask(&mut self, folder: &Path) {
        let Origin::File { picture, mask } = &mut self.origin else { return };
        let file = format!("{}.png", picture.file_stem().unwrap_or_default().to_string_lossy());
        let beside = picture.parent().and_then(Path::file_name).map(|name| folder.join(name).join(&file));
        *mask = beside.into_iter().chain([folder.join(&file)]).find(|path| path.is_file());
    }

    /// Whether it is known where the object is.
    pub fn has_mask(&self) -> bool {
        match &self.origin {
            Origin::File { mask, .. } => mask.is_some(),
            Origin::Scene { .. } => true,
        }
    }

    /// Reads or draws the picture and prepares it for the model.
    pub fn prepare(&self, model: &Model, max_pixels: u64, device: &Device) -> Result<Prepared> {
        let (picture, mask) = match &self.origin {
            Origin::File { picture, mask } => {
                let mask = mask.as_ref().map(|path| Picture::open(path, max_pixels)).transpose()?;
                let mask = mask.map(|mask| image::imageops::grayscale(&mask.rgb));
                (Picture::open(picture, max_pixels)?.rgb, mask)
            }
            Origin::Scene { object, seed } => {
                let Scene { picture, mask } = object.draw_random(*seed, SCENE.0, SCENE.1)?;
                (picture, Some(mask))
            }
        };
        if let Some(mask) = &mask
            && mask.dimensions() != picture.dimensions()
        {
            let size = format!("{}×{}", mask.width(), mask.height());
            let requirement = format!("the size of {}, {}×{}", self.name, picture.width(), picture.height());
            return Err(Error::parameter("mask", size, &requirement).into());
        }
        let seen = model.preprocessing.apply(&picture, device)?;
        let mut hash = Sha256::new();
        hash.update(picture.as_raw());
        hash.update(format!("{:?} {:?}", picture.dimensions(), self.class));
        mask.iter().for_each(|mask| hash.update(mask.as_raw()));
        let key = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let mask = mask.map(|mask| as_seen(&mask, seen.view, model.preprocessing.size)).transpose()?;
        Ok(Prepared { tensor: seen.tensor, picture, view: seen.view, mask, key })
    }
}

/// The mask in the model's pixels: of each, what lies at its centre.
fn as_seen(mask: &GrayImage, view: CropBox, [height, width]: [usize; 2]) -> Result<Mask> {
    let at = |start: f64, length: f64, index: usize, count: usize, limit: u32| {
        let position = start + (index as f64 + 0.5) * length / count as f64;
        (position.max(0.0) as u32).min(limit - 1)
    };
    let inside = (0..height * width).map(|index| {
        let x = at(view.left, view.width, index % width, width, mask.width());
        let y = at(view.top, view.height, index / width, height, mask.height());
        mask.get_pixel(x, y)[0] >= INSIDE
    });
    Ok(Mask::new(height, width, inside.collect())?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use image::Luma;

    use super::*;

    #[test]
    fn a_mask_goes_through_the_crop_of_its_picture() {
        // The left half of a picture of 8 × 4 is the object; the model sees its middle 4 × 4 as 2 × 2.
        let mask = GrayImage::from_fn(8, 4, |x, _| Luma([if x < 4 { 255 } else { 0 }]));
        let view = CropBox { left: 2.0, top: 0.0, width: 4.0, height: 4.0 };
        assert_eq!(as_seen(&mask, view, [2, 2]).unwrap().inside(), [true, false, true, false]);
    }

    #[test]
    fn folders_named_as_classes_or_as_many() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["tench", "golf ball"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
            std::fs::write(root.path().join(folder).join("a.png"), "").unwrap();
        }
        let classes = |labels: &[&str]| {
            let found = in_class_folders(&[root.path().into()], &Labels::new(labels.iter().copied()));
            found.map(|sources| sources.iter().map(|source| source.class.unwrap()).collect::<Vec<_>>())
        };
        // Sorted: golf ball, tench.
        assert_eq!(classes(&["tench", "church", "golf ball"]).unwrap(), [2, 0]);
        assert_eq!(classes(&["first", "second"]).unwrap(), [0, 1]);
        let refused = classes(&["first", "second", "third"]).unwrap_err().to_string();
        assert!(refused.contains("2 folders") && refused.contains("3 classes"), "{refused}");
    }
}
