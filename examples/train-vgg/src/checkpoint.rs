//! A run between two epochs, as a file: what a later run needs to go on as if nothing had happened.

use std::{
    collections::HashMap,
    fs,
    io::{ErrorKind, Write},
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use burn::{
    module::Module,
    optim::OptimizerRecord,
    store::ModuleRecord,
    tensor::{Bytes, Device},
};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{
    data::{Data, hexadecimal},
    model::Vgg,
    settings::Settings,
    training::{Row, Run},
};

/// The parts of the file: Burn's records of the network, its average and the optimiser.
const PARTS: [&str; 3] = ["model", "average", "optimizer"];

/// What is no tensor.
#[derive(Serialize, Deserialize)]
struct State {
    settings: Settings,
    /// Of the pictures.
    pictures: String,
    /// Of each part.
    sha256: [String; 3],
    curve: Vec<Row>,
}

impl Run<'_> {
    /// Writes everything that [`resume`](Self::resume) needs.
    ///
    /// # Errors
    /// When the file cannot be written; an older one stays then.
    pub fn save(&self, path: &Path) -> Result<()> {
        // Batch norms hold back their latest statistics until they are asked for.
        let _ = self.model.valid();
        let record = |module: &Vgg| module.clone().into_record().into_bytes();
        let parts = [record(&self.model)?, record(&self.average)?, self.optimizer.into_bytes()?];
        let state = State {
            settings: self.settings.clone(),
            pictures: self.data.fingerprint(),
            sha256: parts.each_ref().map(|part| hexadecimal(part)),
            curve: self.curve.clone(),
        };
        let views = parts.iter().map(|part| TensorView::new(Dtype::U8, vec![part.len()], part));
        let views = PARTS.into_iter().zip(views.collect::<Result<Vec<_>, _>>()?);
        let metadata = HashMap::from([("state".to_string(), serde_json::to_string(&state)?)]);
        write_whole(path, &serialize(views, Some(metadata))?)
    }

    /// The run that was saved.
    ///
    /// # Errors
    /// When there is no checkpoint, it is damaged, or it was made with other settings or pictures.
    pub fn resume<'data>(data: &'data Data, settings: Settings, device: &Device, path: &Path) -> Result<Run<'data>> {
        let bytes = fs::read(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow::anyhow!("{} does not exist: begin without `--resume`", path.display()),
            _ => anyhow::anyhow!("{} cannot be read: {error}", path.display()),
        })?;
        let damaged = || format!("{} is damaged: begin anew in another `--out`", path.display());
        let (state, [model, average, optimizer]) = parse(&bytes).with_context(damaged)?;
        if let Some(problem) = difference(&settings, &state.settings)? {
            bail!("{} was made with other settings: {problem}", path.display());
        }
        let same = state.pictures == data.fingerprint();
        ensure!(same, "{} was made with other pictures than those in DATA now", path.display());

        let mut run = Run::new(data, settings, device)?;
        let fresh = run.average;
        // There and back, for mere clones would share the statistics of their batch norms.
        let load = |bytes| fresh.clone().train().valid().try_load_record(ModuleRecord::from_bytes(bytes)?);
        run.model = load(model).with_context(damaged)?.train();
        run.average = load(average).with_context(damaged)?;
        run.optimizer = run.optimizer.load_record(OptimizerRecord::from_bytes(optimizer).with_context(damaged)?);
        run.curve = state.curve;
        Ok(run)
    }
}

fn parse(bytes: &[u8]) -> Result<(State, [Bytes; 3])> {
    let tensors = SafeTensors::deserialize(bytes)?;
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let state = header.metadata().as_ref().and_then(|metadata| metadata.get("state")).context("it has no state")?;
    let state: State = serde_json::from_str(state)?;
    let mut parts = Vec::new();
    for (name, sha256) in PARTS.into_iter().zip(&state.sha256) {
        let part = tensors.tensor(name)?.data();
        ensure!(hexadecimal(part) == *sha256, "the SHA-256 of its part {name} is not {sha256}");
        parts.push(Bytes::from_bytes_vec(part.to_vec()));
    }
    let parts = <[Bytes; 3]>::try_from(parts).map_err(|_| anyhow::anyhow!("a part is missing"))?;
    Ok((state, parts))
}

/// The first setting that differs, as a flag.
fn difference(now: &Settings, then: &Settings) -> Result<Option<String>> {
    // Written and read like the other, or the last digit of a learning rate might differ.
    let now: Settings = serde_json::from_str(&serde_json::to_string(now)?)?;
    let (now, then) = (serde_json::to_value(now)?, serde_json::to_value(then)?);
    let mut flags = now.as_object().into_iter().flatten();
    let different = flags.find(|(flag, value)| then[flag.as_str()] != **value);
    Ok(different.map(|(flag, value)| format!("`--{flag}` is {value} now and was {}", then[flag])))
}

/// Writes a file so that it is there as a whole or not at all, whenever the program is interrupted.
///
/// # Errors
/// Names the file.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = path.with_added_extension("unfinished");
    let write = || {
        let mut file = fs::File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}
