//! Folders of class folders, and pictures read ahead of the computation.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::sync_channel,
    },
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use burnsight::{
    read,
    zoo::{self, Picture, Preprocessing},
};
use image::RgbImage;
use indicatif::ProgressBar;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{
    randomness::{Purpose, generator},
    settings::Settings,
};

/// Decoded pictures that are kept in memory, in bytes. Others are decoded every time.
const KEPT: u64 = 4 << 30;

/// Batches that wait for the computation.
const AHEAD: usize = 4;

/// Pictures to learn from and pictures to be tested on, of the same classes.
pub struct Data {
    /// The class folders' names, sorted. Their places are the labels.
    pub classes: Vec<String>,
    pub train: Pictures,
    pub val: Pictures,
}

/// Labelled pictures.
pub struct Pictures {
    paths: Vec<PathBuf>,
    labels: Vec<usize>,
    /// As many as fit into memory.
    decoded: Vec<Option<RgbImage>>,
}

/// What the network reads at once.
pub struct Batch {
    /// `[n, 3, size, size]`, normalised.
    pub values: Vec<f32>,
    /// `[n]`
    pub labels: Vec<usize>,
}

impl Data {
    /// Finds and decodes all pictures, so that training does not stop halfway at a damaged one.
    ///
    /// # Errors
    /// Names the folder that is missing, empty or in only one of `train` and `val`, or the picture that cannot be read.
    pub fn open(folder: &Path, settings: &Settings) -> Result<Self> {
        let [train, val] = ["train", "val"].map(|part| folder.join(part));
        let classes = class_folders(&train)?;
        let others = class_folders(&val)?;
        ensure!(classes.len() > 1, "{} has one class folder: there is nothing to tell apart", train.display());
        if let Some(only) = classes.symmetric_difference(&others).next() {
            let (has, lacks) = if classes.contains(only) { (&train, &val) } else { (&val, &train) };
            bail!("class folder {only} is in {} but not in {}", has.display(), lacks.display());
        }
        let classes: Vec<String> = classes.into_iter().collect();
        let [train, val] = [train, val].map(|folder| Pictures::open(&folder, &classes, settings.limit));
        let (mut train, val) = (train?, val?);
        if settings.random_labels {
            // Dealt out anew, so that every class stays as frequent as it was.
            train.labels.shuffle(&mut generator(settings.seed, Purpose::Labels, 0, 0));
        }
        Ok(Self { train, val, classes })
    }

    /// SHA-256 of all file names and labels: whether a run goes on with the pictures it began with.
    pub fn fingerprint(&self) -> String {
        let pictures = [&self.train, &self.val].map(|part| part.paths.iter().zip(&part.labels));
        let names = pictures.into_iter().flatten().flat_map(|(path, label)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{label}/{name}\n").into_bytes()
        });
        hexadecimal(&names.collect::<Vec<u8>>())
    }
}

/// SHA-256.
pub fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn class_folders(folder: &Path) -> Result<BTreeSet<String>> {
    let listing = || format!("{} cannot be listed; expected are DATA/train/CLASS and DATA/val/CLASS", folder.display());
    let mut names = BTreeSet::new();
    for entry in folder.read_dir().with_context(listing)? {
        let path = entry.with_context(listing)?.path();
        let name = path.file_name().unwrap_or_default();
        let name =
            name.to_str().with_context(|| format!("the name of {} is not Unicode: rename it", path.display()))?;
        if path.is_dir() && !name.starts_with('.') {
            names.insert(name.to_string());
        }
    }
    ensure!(!names.is_empty(), "{} has no class folders", folder.display());
    Ok(names)
}

impl Pictures {
    fn open(folder: &Path, classes: &[String], limit: Option<usize>) -> Result<Self> {
        let (mut paths, mut labels) = (Vec::new(), Vec::new());
        for (label, class) in classes.iter().enumerate() {
            let mut found = zoo::find_pictures(&[folder.join(class)])?;
            found.truncate(limit.unwrap_or(usize::MAX));
            labels.extend(found.iter().map(|_| label));
            paths.extend(found);
        }
        let bar = ProgressBar::new(paths.len() as u64);
        let held = AtomicU64::new(0);
        let decoded = paths.par_iter().map(|path| {
            let rgb = decode(path)?;
            bar.inc(1);
            let bytes = rgb.as_raw().len() as u64;
            Ok((held.fetch_add(bytes, Ordering::Relaxed) + bytes <= KEPT).then_some(rgb))
        });
        let decoded = decoded.collect::<Result<_>>()?;
        bar.finish_and_clear();
        Ok(Self { paths, labels, decoded })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// How many bytes of decoded pictures are in memory.
    pub fn bytes(&self) -> usize {
        self.decoded.iter().flatten().map(|rgb| rgb.as_raw().len()).sum()
    }

    /// Hands the pictures in `order` to `compute`, `batch` at a time, while the next are prepared on all cores.
    ///
    /// `prepare` gets a picture and its number and returns what the network reads.
    ///
    /// # Errors
    /// The first of `prepare` or `compute`, and pictures that have become unreadable.
    pub fn for_each_batch(
        &self,
        order: &[usize],
        batch: usize,
        prepare: impl Fn(usize, &RgbImage) -> Result<Vec<f32>> + Sync,
        mut compute: impl FnMut(Batch) -> Result<()>,
    ) -> Result<()> {
        let load = |numbers: &[usize]| -> Result<Batch> {
            let values = numbers.par_iter().map(|number| prepare(*number, self.picture(*number)?.as_ref()));
            let values = values.collect::<Result<Vec<_>>>()?.concat();
            Ok(Batch { values, labels: numbers.iter().map(|number| self.labels[*number]).collect() })
        };
        let (send, receive) = sync_channel(AHEAD);
        thread::scope(|scope| {
            scope.spawn(move || {
                // Nobody listens any more after an error in `compute`.
                order.chunks(batch).map(load).all(|batch| send.send(batch).is_ok())
            });
            receive.into_iter().try_for_each(|batch| compute(batch?))
        })
    }

    fn picture(&self, number: usize) -> Result<Cow<'_, RgbImage>> {
        match &self.decoded[number] {
            Some(rgb) => Ok(Cow::Borrowed(rgb)),
            None => Ok(Cow::Owned(decode(&self.paths[number])?)),
        }
    }
}

fn decode(path: &Path) -> Result<RgbImage> {
    Ok(Picture::open(path, zoo::DEFAULT_MAX_PIXELS)?.rgb)
}

/// The zoo's preprocessing for a square input.
pub fn preprocessing(size: usize) -> Preprocessing {
    Preprocessing { resize: size, size: [size, size], ..Preprocessing::imagenet() }
}

/// What the network reads of a whole picture: `3·size²` values.
pub fn whole(picture: &RgbImage, size: usize, host: &Device) -> Result<Vec<f32>> {
    Ok(read(preprocessing(size).apply(picture, host)?.tensor)?)
}
