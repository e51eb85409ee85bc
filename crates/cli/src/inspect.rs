//! `burnsight models inspect`: what a model is made of, and which methods work on it.

use std::{
    collections::BTreeMap,
    io::{Write, stdout},
};

use anyhow::Result;
use burnsight::{
    Error, MicroBatcher, Target, device,
    network::{Layer, Network, Trace},
    zoo::Model,
};
use image::{Rgb, RgbImage};

use crate::{arguments::InspectArguments, methods::METHODS, model, settings::Settings, tables};

/// Enough to see whether a method that samples works.
const SAMPLES: usize = 2;

pub fn run(arguments: &InspectArguments) -> Result<()> {
    let device = device::open(&arguments.device)?;
    let model = model::open_any(&arguments.model, arguments.size, &device)?;
    let [height, width] = model.preprocessing.size;
    let grey = RgbImage::from_pixel(width as u32, height as u32, Rgb([128; 3]));
    let prepared = model.preprocessing.apply(&grey, &device)?;
    let trace = model.network.record(prepared.tensor)?;
    head(&model, &trace)?;
    layers(&trace)?;
    methods(&model, &trace)
}

fn head(model: &Model, trace: &Trace<'_>) -> Result<()> {
    let [height, width] = model.preprocessing.size;
    let parameters: usize = model.network.nodes().map(|(_, node)| node.layer().parameters()).sum();
    let mut out = stdout().lock();
    writeln!(out, "{}: {width}×{height} pixels to {} classes", model.name, trace.logits().dims()[1])?;
    writeln!(out, "{parameters} parameters in {} layers, SHA-256 {}", model.network.nodes().len(), model.sha256)?;
    for note in &model.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out)?;
    Ok(())
}

fn layers(trace: &Trace<'_>) -> Result<()> {
    let mut rows = vec![["LAYER", "KIND", "OUTPUT", "PARAMETERS"].map(String::from).to_vec()];
    for (id, node) in trace.network().nodes() {
        let shape: Vec<String> = trace.activation(id).dims()[1..].iter().map(ToString::to_string).collect();
        let parameters = match node.layer().parameters() {
            0 => String::new(),
            count => count.to_string(),
        };
        rows.push(vec![node.name().into(), node.layer().kind().into(), shape.join("×"), parameters]);
    }
    tables::print(&rows)
}

/// Tries every method on a grey picture.
fn methods(model: &Model, trace: &Trace<'_>) -> Result<()> {
    let (samples, steps) = (Some(SAMPLES), Some(SAMPLES));
    let patterns = model::patterns(model, None)?;
    let settings = Settings { samples, steps, patterns, ..Settings::new(model, MicroBatcher::new(1)?) };
    let mut rows = vec![["METHOD", "WORKS", ""].map(String::from).to_vec()];
    for method in &METHODS {
        let tried = device::guarded(|| (method.explain)(&settings, trace, &Target::Top)).flatten();
        let (works, remark) = match tried {
            Ok(attribution) => {
                let layer = attribution.provenance.parameters.get("layer").and_then(|layer| layer.as_str());
                let layer = layer.map_or_else(String::new, |layer| format!("at layer {layer}"));
                ("yes", if method.replaces_relu { relus(trace.network()) } else { layer })
            }
            Err(Error::Unsupported { problem, .. }) => ("no", problem),
            Err(error) => ("no", error.to_string()),
        };
        rows.push(vec![method.name.into(), works.into(), remark]);
    }
    writeln!(stdout())?;
    tables::print(&rows)
}

/// Where rules for ReLUs act, and which functions keep their own gradient.
fn relus(network: &Network) -> String {
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = 0;
    for (_, node) in network.nodes() {
        match node.layer() {
            Layer::Relu => count += 1,
            Layer::Function(_) => *others.entry(node.layer().kind()).or_default() += 1,
            _ => {}
        }
    }
    let others: Vec<String> = others.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    match others.is_empty() {
        true => format!("at {count} ReLUs"),
        false => format!("at {count} ReLUs; {} keep their own gradient", others.join(", ")),
    }
}
