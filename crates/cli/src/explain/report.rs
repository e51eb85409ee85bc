//! What stands beside a picture: everything needed to make the map again and to judge it.

use std::{fmt, path::Path};

use anyhow::Result;
use burnsight::{
    Attribution, Completeness, LayerRelevance, Provenance, Target, read,
    visualization::{Drawing, SaliencyMap, Style},
    zoo::{CropBox, Labels, Model, Prepared, Preprocessing},
};
use image::RgbImage;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::verdict::Verdict;

/// A class with its score and place.
#[derive(Debug, Clone, Serialize)]
pub struct RankedClass {
    pub index: usize,
    pub label: String,
    pub logit: f32,
    pub probability: f32,
}

impl fmt::Display for RankedClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.1} %", self.label, self.probability * 100.0)
    }
}

/// All classes, the likeliest first.
pub fn ranked(logits: &[f32], labels: &Labels) -> Vec<RankedClass> {
    // Minus the largest logit, or the exponentials overflow.
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    let mut classes: Vec<RankedClass> = logits
        .iter()
        .zip(exponentials)
        .enumerate()
        .map(|(index, (&logit, exponential))| RankedClass {
            index,
            label: labels.name(index).map_or_else(|| format!("class {index}"), String::from),
            logit,
            probability: exponential / sum,
        })
        .collect();
    classes.sort_by(|a, b| b.logit.total_cmp(&a.logit));
    classes
}

/// What was explained.
#[derive(Debug, Clone, Serialize)]
pub struct Question {
    pub class: RankedClass,
    pub against: Option<RankedClass>,
}

impl Question {
    /// `classes` are all classes of the model, in any order.
    pub fn new(class: usize, against: Option<usize>, classes: &[RankedClass]) -> Self {
        let class_of = |index| classes.iter().find(|class| class.index == index).cloned();
        let class = class_of(class).unwrap_or_else(|| classes[0].clone());
        Self { class, against: against.and_then(class_of) }
    }

    pub fn target(&self) -> Target {
        match &self.against {
            Some(against) => Target::Contrast { class: self.class.index, against: against.index },
            None => Target::Class(self.class.index),
        }
    }

    pub fn caption(&self) -> Vec<String> {
        let against = self.against.as_ref().map(|class| format!("against {class}"));
        std::iter::once(self.class.to_string()).chain(against).collect()
    }
}

/// The file beside `<method>.png`.
#[derive(Debug, Serialize)]
pub struct Sidecar<'a> {
    pub picture: PictureReport<'a>,
    pub model: ModelReport<'a>,
    /// As given to `--device`.
    pub device: &'a str,
    pub question: &'a Question,
    /// The explained score, in logits.
    pub score: f32,
    pub top_classes: &'a [RankedClass],
    pub made_by: &'a Provenance,
    /// Pictures computed at once; of influence on the last bits only.
    pub batch: usize,
    /// As given to `--baseline`; empty where each method has its own.
    pub baseline: &'a [String],
    pub map: MapReport,
    /// Whether the map is to be believed, unless that was not asked.
    pub verdict: Option<Verdict>,
    /// What every layer got and handed on, of methods that share out relevance.
    pub conservation: Option<Vec<LayerRelevance>>,
    pub drawing: DrawingReport<'a>,
}

#[derive(Debug, Serialize)]
pub struct PictureReport<'a> {
    path: String,
    sha256: String,
    width: u32,
    height: u32,
    notes: &'a [String],
}

impl<'a> PictureReport<'a> {
    pub fn read(path: &Path, picture: &RgbImage, notes: &'a [String]) -> Result<Self> {
        let (width, height) = picture.dimensions();
        let sha256 = Sha256::digest(std::fs::read(path)?).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path: path.display().to_string(), sha256, width, height, notes })
    }
}

#[derive(Debug, Serialize)]
pub struct ModelReport<'a> {
    name: &'a str,
    weights_sha256: &'a str,
    preprocessing: &'a Preprocessing,
    /// What was assumed about the model.
    notes: &'a [String],
    /// The part of the picture that the model saw, in the picture's pixels.
    view: CropBox,
}

impl<'a> ModelReport<'a> {
    pub fn new(model: &'a Model, prepared: &Prepared) -> Self {
        Self {
            name: &model.name,
            weights_sha256: &model.sha256,
            preprocessing: &model.preprocessing,
            notes: &model.notes,
            view: prepared.view,
        }
    }
}

/// The map in numbers: what the drawing hides by its scaling.
#[derive(Debug, Serialize)]
pub struct MapReport {
    shape: [usize; 3],
    smallest: f32,
    largest: f32,
    sum: f64,
    completeness: Option<Completeness>,
    /// Mean over the pixels and channels of the standard error, and of the map's magnitude to compare it with.
    mean_standard_error: Option<f64>,
    mean_magnitude: f64,
}

impl MapReport {
    pub fn read(attribution: &Attribution, map: &SaliencyMap) -> Result<Self> {
        let mean =
            |values: &[f32]| values.iter().map(|value| f64::from(value.abs())).sum::<f64>() / values.len() as f64;
        let standard_error = attribution.standard_error.clone().map(read).transpose()?;
        Ok(Self {
            shape: [map.channels(), map.height(), map.width()],
            smallest: map.values().iter().copied().fold(f32::INFINITY, f32::min),
            largest: map.values().iter().copied().fold(f32::NEG_INFINITY, f32::max),
            sum: map.values().iter().copied().map(f64::from).sum(),
            completeness: attribution.completeness.as_ref().map(|all| all[0]),
            mean_standard_error: standard_error.as_deref().map(mean),
            mean_magnitude: mean(map.values()),
        })
    }
}

/// Every step from numbers to colours.
#[derive(Debug, Serialize)]
pub struct DrawingReport<'a> {
    style: &'a Style,
    /// The value drawn at full strength, in the map's unit.
    full_scale: f64,
    notes: &'a [String],
}

impl<'a> DrawingReport<'a> {
    pub fn new(drawing: &'a Drawing) -> Self {
        Self { style: &drawing.style, full_scale: drawing.full_scale, notes: &drawing.notes }
    }
}
