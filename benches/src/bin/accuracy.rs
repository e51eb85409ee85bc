//! The built-in model's top-1 accuracy on a folder of pictures, by zoo's own decoding and preprocessing.

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor};
use burnsight::{
    Classifier,
    zoo::{self, Model, Picture},
};
use burnsight_benches::devices;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Counts how many pictures the built-in model gets right.
#[derive(Parser)]
struct Arguments {
    /// A folder with one folder of pictures per class. Sorted by name they are the model's classes in order, as are
    /// Imagenette's WordNet ids.
    folder: PathBuf,
    /// Pictures computed at once
    #[arg(long, default_value_t = 32)]
    batch: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (_, device) = devices().into_iter().next().context("no backend is compiled in")?;
    let model = zoo::load(zoo::BUILT_IN, &device)?;
    let classes = class_folders(&arguments.folder)?;
    ensure!(classes.len() == model.labels.len(), "{} folders for {} classes", classes.len(), model.labels.len());

    let pictures = classes.iter().map(|folder| Ok(zoo::find_pictures(std::slice::from_ref(folder))?));
    let pictures: Vec<Vec<PathBuf>> = pictures.collect::<Result<_>>()?;
    let total: usize = pictures.iter().map(Vec::len).sum();
    let progress = ProgressBar::new(total as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len}  {eta} left").context("progress bar")?);

    let mut out = stdout();
    let mut all_right = 0;
    for (class, pictures) in pictures.iter().enumerate() {
        let mut right = 0;
        for batch in pictures.chunks(arguments.batch.max(1)) {
            right += classify(&model, batch, &device)?.into_iter().filter(|top| *top == class).count();
            progress.inc(batch.len() as u64);
        }
        all_right += right;
        let label = model.labels.name(class).unwrap_or_default();
        let share = right as f64 / pictures.len() as f64;
        progress.suspend(|| writeln!(out, "{label:18} {share:.4}  ({right} of {})", pictures.len()))?;
    }
    progress.finish_and_clear();
    writeln!(out, "{:18} {:.4}  ({all_right} of {total})", "all", all_right as f64 / total as f64)?;
    Ok(())
}

/// The folders in `folder`, sorted by name.
fn class_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The top class of every picture.
fn classify(model: &Model, paths: &[PathBuf], device: &Device) -> Result<Vec<usize>> {
    let read = |path: &PathBuf| -> Result<Tensor<4>> {
        let picture = Picture::open(path, zoo::DEFAULT_MAX_PIXELS)?;
        Ok(model.preprocessing.apply(&picture.rgb, device)?.tensor)
    };
    let pictures = paths.iter().map(read).collect::<Result<Vec<_>>>()?;
    let top = model.network.logits(Tensor::cat(pictures, 0))?.argmax(1);
    Ok(top.into_data().iter::<i64>().map(|class| class as usize).collect())
}
