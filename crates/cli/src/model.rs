//! The model that the arguments name, and `burnsight models fetch`.

use std::{
    io::{Write, stdout},
    path::Path,
};

use anyhow::{Context, Result};
use burn::tensor::Device;
use burnsight::{
    Error, Patterns,
    network::Network,
    zoo::{self, Cache, Card, InputCard, Labels, Model},
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::arguments::{FetchArguments, ModelArguments, Size};

/// The model to explain, with the settings of the flags.
pub fn open(arguments: &ModelArguments, device: &Device) -> Result<Model> {
    let settings = settings(arguments)?;
    let file = arguments.weights.as_deref().or(Some(Path::new(&arguments.model)).filter(|path| zoo::is_onnx(path)));
    if let Some(file) = file {
        return Ok(zoo::load_file(file, &settings, device)?);
    }
    Ok(zoo::load(&arguments.model, device)?.with_settings(&settings)?)
}

/// A model by its name, or from any file.
pub fn open_any(name: &Path, size: Option<Size>, device: &Device) -> Result<Model> {
    let settings =
        Card { input: InputCard { size: size.map(|size| size.0), ..InputCard::default() }, ..Card::default() };
    if name.extension().is_some() {
        return Ok(zoo::load_file(name, &settings, device)?);
    }
    Ok(zoo::load(&name.to_string_lossy(), device)?.with_settings(&settings)?)
}

/// The patterns in a file, or those that come with the model, if any.
pub fn patterns(model: &Model, file: Option<&Path>) -> Result<Option<Patterns>> {
    match file {
        Some(file) => Ok(Some(Patterns::open(file, &model.network, &model.sha256)?)),
        None => Ok(model.patterns()?),
    }
}

/// What the flags say about the model.
fn settings(arguments: &ModelArguments) -> Result<Card> {
    let labels = arguments.labels.as_deref().map(Labels::read).transpose()?;
    let ModelArguments { size, resize, mean, std, .. } = *arguments;
    Ok(Card {
        labels,
        input: InputCard {
            size: size.map(|size| size.0),
            resize,
            mean: mean.map(|mean| mean.0),
            std: std.map(|std| std.0),
        },
        ..Card::default()
    })
}

/// Downloads the weights of a model into the cache.
pub fn fetch(arguments: &FetchArguments) -> Result<()> {
    let cache = Cache::of_platform()?;
    let path = match arguments.offline {
        true => cache.require(&arguments.name).context("offline")?,
        false => {
            let style = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
            let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template(style)?);
            let fetched = cache.fetch(&arguments.name, arguments.mirror.as_deref(), &mut |done, total| {
                // What an earlier call fetched says nothing about this one's speed.
                if bar.length().is_none() {
                    bar.set_length(total);
                    bar.set_position(done);
                    bar.reset_eta();
                }
                bar.set_position(done);
            });
            bar.finish_and_clear();
            fetched?
        }
    };
    writeln!(stdout(), "{} is in {}", arguments.name, path.display())?;
    Ok(())
}

/// A network of the same classes, trained on random labels.
pub fn open_twin(file: &Path, model: &Model, device: &Device) -> Result<Network> {
    let twin = zoo::load_file(file, &Card::default(), device)?;
    let [height, width] = model.preprocessing.size;
    let classes = |network: &Network| {
        let shapes = network.shapes([3, height, width])?;
        Ok::<_, Error>(shapes.last().map(|shape| shape.iter().product::<usize>()))
    };
    let (of_twin, of_model) = (classes(&twin.network)?, classes(&model.network)?);
    match of_twin == of_model {
        true => Ok(twin.network),
        false => {
            let count = |classes: Option<usize>| classes.unwrap_or(0);
            let requirement = format!("it has {} classes where the model has {}", count(of_twin), count(of_model));
            Err(Error::parameter("twin", file.display(), &requirement).into())
        }
    }
}
