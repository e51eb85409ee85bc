//! `burnsight models fit-patterns`: patterns for PatternNet and PatternAttribution, from pictures.

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use burnsight::{
    Error, MicroBatcher, PatternEstimator, Patterns, Seed, device,
    zoo::{self, Model, Picture},
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{arguments::FitPatternsArguments, draw::draw, model, output, tables};

pub fn run(arguments: &FitPatternsArguments) -> Result<()> {
    let batch = MicroBatcher::new(arguments.batch)?.size();
    if arguments.pictures < 2 {
        return Err(Error::parameter("pictures", arguments.pictures, "at least 2: patterns are covariances").into());
    }
    let found = zoo::find_pictures(&arguments.paths)?;
    let device = device::open(&arguments.device)?;
    let model = model::open(&arguments.model, &device)?;
    for note in &model.notes {
        writeln!(stdout(), "note on {}: {note}", model.name)?;
    }
    let out = arguments.out.clone().unwrap_or_else(|| default_file(&model));
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    output::prepare_folder(folder)?;
    let mut estimator = PatternEstimator::new(&model.network)?;

    let chosen = draw(&found, arguments.pictures, Seed(arguments.seed))?;
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pictures, {eta} left").context("progress bar")?;
    let bar = ProgressBar::new(chosen.len() as u64).with_style(style);
    let mut skipped = 0;
    let mut half: Option<Patterns> = None;
    for paths in chosen.chunks(batch) {
        let prepare = |path: &PathBuf| {
            let picture = Picture::open(path, arguments.max_pixels)?;
            Ok::<_, Error>(model.preprocessing.apply(&picture.rgb, &device)?.tensor)
        };
        let mut prepared: Vec<Tensor<4>> = Vec::new();
        for path in paths {
            match prepare(path) {
                Ok(picture) => prepared.push(picture),
                Err(error) => {
                    skipped += 1;
                    bar.suspend(|| eprintln!("skipped: {error}"));
                }
            }
            bar.inc(1);
        }
        if !prepared.is_empty() {
            device::guarded(|| estimator.add(Tensor::cat(prepared, 0))).flatten()?;
        }
        if half.is_none() && 2 * bar.position() >= chosen.len() as u64 && estimator.pictures() > 1 {
            half = Some(estimator.patterns()?);
        }
    }
    bar.finish_and_clear();
    let mut patterns = estimator.patterns()?;
    let [height, width] = model.preprocessing.size;
    let seed = arguments.seed;
    patterns.origin.weights_sha256 = model.sha256.clone();
    patterns.origin.data =
        format!("{} ({} found, drawn with seed {seed}, {width}×{height} pixels)", arguments.data, found.len());
    let bytes = patterns.to_safetensors(&model.network)?;
    output::bytes(&out, &bytes)?;
    report(&patterns, half.as_ref())?;
    let count = patterns.origin.pictures;
    writeln!(stdout(), "\n{count} pictures, {skipped} skipped; {} bytes in {}", bytes.len(), out.display())?;
    Ok(())
}

/// Where the tool looks for patterns, or the working folder for the built-in model.
fn default_file(model: &Model) -> PathBuf {
    zoo::patterns_beside(model.file.as_deref().unwrap_or(Path::new(&model.name)))
}

/// What became of every layer, and whether more pictures would have changed it.
fn report(patterns: &Patterns, half: Option<&Patterns>) -> Result<()> {
    let change = half.map(|half| patterns.relative_change(half)).transpose()?;
    let mut rows = vec![["LAYER", "OUTPUTS", "DEAD", "CHANGE FROM HALF OF THE PICTURES"].map(String::from).to_vec()];
    for (layer, dead) in patterns.dead()? {
        let outputs = patterns.layers[layer].dims()[0];
        let change = change.as_ref().map_or_else(String::new, |change| format!("{:.1} %", 100.0 * change[layer]));
        rows.push(vec![layer.into(), outputs.to_string(), dead.to_string(), change]);
    }
    tables::print(&rows)
}
