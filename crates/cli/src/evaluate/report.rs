//! What came out: for people in the terminal, for programs in files.

use std::io::{Write, stdout};

use anyhow::Result;
use burnsight::{
    evaluation::{Curve, Direction, Mask, MetricReliability, MetricScores, Reading, Reliability, Statistic, Summary},
    zoo::{Labels, Model, Preprocessing},
};
use serde::Serialize;
use serde_json::Value;

use super::{MetricEntry, Prepared, Source};
use crate::{arguments::EvaluateArguments, tables};

/// Readings that fit beside each other into a terminal.
const LONGEST_ROW: usize = 4;

/// Everything that came out.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    pub made_by: MadeBy,
    pub pictures: Vec<Evaluated>,
    pub counts: Counts,
    pub methods: Vec<MethodEntry>,
    pub metrics: Vec<MetricReport>,
    pub reliability: Reliability,
}

/// A method, and how its maps were read.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MethodEntry {
    pub name: &'static str,
    /// By the sum over the colours, with its sign; else by the largest magnitude among them.
    pub by_sign: bool,
}

/// What it takes to make the numbers again.
#[derive(Debug, Serialize)]
pub struct MadeBy {
    pub version: &'static str,
    pub command: String,
    pub model: String,
    pub weights_sha256: String,
    pub preprocessing: Preprocessing,
    pub device: String,
    pub seed: u64,
    pub batch: usize,
}

impl MadeBy {
    pub fn new(arguments: &EvaluateArguments, model: &Model) -> Self {
        let words = std::env::args().skip(1).map(|word| match word.contains(' ') {
            true => format!("'{word}'"),
            false => word,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            command: format!("burnsight {}", words.collect::<Vec<_>>().join(" ")),
            model: model.name.clone(),
            weights_sha256: model.sha256.clone(),
            preprocessing: model.preprocessing.clone(),
            device: arguments.methods.device.clone(),
            seed: arguments.methods.seed,
            batch: arguments.methods.batch,
        }
    }
}

/// A picture that was evaluated.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluated {
    pub name: String,
    /// SHA-256 of the picture's pixels, its mask and its class.
    pub key: String,
    /// The class that was explained: the top one.
    pub class: String,
    pub probability: f32,
    /// Its true class, where it is known.
    pub true_class: Option<String>,
    pub is_right: Option<bool>,
    /// Which share of the picture, as the model sees it, the object covers.
    pub mask_share: Option<f64>,
}

impl Evaluated {
    pub fn new(source: &Source, picture: &Prepared, class: usize, probability: f32, labels: &Labels) -> Self {
        let label = |class: usize| labels.name(class).map_or_else(|| format!("class {class}"), String::from);
        Self {
            name: source.name.clone(),
            key: picture.key.clone(),
            class: label(class),
            probability,
            true_class: source.class.map(label),
            is_right: source.class.map(|truth| truth == class),
            mask_share: picture.mask.as_ref().map(Mask::share),
        }
    }
}

/// How many pictures there were of each kind.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Counts {
    pub given: usize,
    pub evaluated: usize,
    /// Of those whose class is known, how many the model gets right.
    pub class_known: usize,
    pub right: usize,
    pub with_mask: usize,
    /// With a mask, and not known to be misclassified: those that count for localization.
    pub localized: usize,
    /// The mean share of the picture that the objects of these cover: about what a map of random numbers scores.
    pub mask_share: Option<f64>,
}

impl Counts {
    fn new(pictures: &[Evaluated], given: usize) -> Self {
        let count = |holds: fn(&Evaluated) -> bool| pictures.iter().filter(|picture| holds(picture)).count();
        let counts_here = |picture: &&Evaluated| picture.mask_share.is_some() && picture.is_right != Some(false);
        let shares: Vec<f64> = pictures.iter().filter(counts_here).filter_map(|picture| picture.mask_share).collect();
        Self {
            given,
            evaluated: pictures.len(),
            class_known: count(|picture| picture.is_right.is_some()),
            right: count(|picture| picture.is_right == Some(true)),
            with_mask: count(|picture| picture.mask_share.is_some()),
            localized: shares.len(),
            mask_share: (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64),
        }
    }

    /// In words.
    pub fn sentence(&self) -> String {
        let Self { evaluated, class_known, right, with_mask, localized, mask_share, .. } = self;
        let classes = match class_known {
            0 => ", true classes not known".into(),
            known => format!(", {right} of {known} classified right"),
        };
        let masks = match with_mask {
            0 => String::new(),
            with_mask => format!(", {with_mask} with a mask, of which {localized} count for localization"),
        };
        let chance = mask_share.map_or_else(String::new, |share| {
            format!(" (the objects cover {:.0} % of them: about what a map of random numbers scores)", share * 100.0)
        });
        let pictures = if *evaluated == 1 { "picture" } else { "pictures" };
        format!("{evaluated} {pictures}{classes}{masks}{chance}; the top class of each was explained")
    }
}

/// One metric on all methods.
#[derive(Debug, Serialize)]
pub struct MetricReport {
    pub name: &'static str,
    pub question: &'static str,
    pub paper: &'static str,
    pub parameters: Value,
    pub readings: Vec<ReadingReport>,
}

/// One reading on all methods.
#[derive(Debug, Serialize)]
pub struct ReadingReport {
    pub name: String,
    pub direction: Direction,
    pub methods: Vec<MethodReport>,
}

/// One reading of one method.
#[derive(Debug, Serialize)]
pub struct MethodReport {
    pub method: &'static str,
    pub summary: Summary,
    /// In the order of the pictures.
    pub values: Vec<Option<f64>>,
    pub curve: Option<MeanCurve>,
}

/// The mean over the pictures at each abscissa.
#[derive(Debug, Serialize)]
pub struct MeanCurve {
    pub x_label: String,
    pub y_label: String,
    pub x: Vec<f64>,
    pub ticks: Vec<String>,
    pub y: Vec<Summary>,
}

/// For each picture what was read, or `None` where nothing was measured.
pub type ReadingsOfPictures = Vec<Option<Vec<Reading>>>;

impl MetricReport {
    pub fn new(entry: &MetricEntry, parameters: Value, methods: Vec<(&'static str, ReadingsOfPictures)>) -> Self {
        let mut heads: Vec<(String, Direction)> = Vec::new();
        for reading in methods.iter().flat_map(|(_, pictures)| pictures.iter().flatten().flatten()) {
            if heads.iter().all(|(name, _)| *name != reading.name) {
                heads.push((reading.name.clone(), reading.direction));
            }
        }
        let readings = heads.into_iter().map(|(name, direction)| {
            let measured = methods.iter().filter(|(_, pictures)| pictures.iter().any(Option::is_some));
            let methods = measured.map(|(method, pictures)| MethodReport::new(method, &name, pictures)).collect();
            ReadingReport { name, direction, methods }
        });
        let readings = readings.collect();
        Self { name: entry.name, question: entry.question, paper: entry.paper, parameters, readings }
    }

    /// A line per method, or per reading where those would make lines too long; the heading first.
    fn rows(&self) -> Vec<Vec<String>> {
        let name = |reading: &ReadingReport| match self.short(reading) {
            "" => "mean".to_string(),
            short => short.to_string(),
        };
        let methods: Vec<&str> = self.readings[0].methods.iter().map(|method| method.method).collect();
        let cell = |reading: &ReadingReport, method: &str| {
            let same = reading.methods.iter().find(|other| other.method == method);
            same.map_or_else(String::new, MethodReport::cell)
        };
        if self.readings.len() > LONGEST_ROW {
            let heading = ["READING", "BETTER"].into_iter().chain(methods.iter().copied()).map(str::to_uppercase);
            let row = |reading: &ReadingReport| {
                let better = reading.better().trim_end_matches(" is better").to_string();
                let cells = methods.iter().map(|method| cell(reading, method));
                [name(reading), better].into_iter().chain(cells).collect()
            };
            return std::iter::once(heading.collect()).chain(self.readings.iter().map(row)).collect();
        }
        let heads =
            self.readings.iter().map(|reading| format!("{}, {}", name(reading), reading.better()).to_uppercase());
        let heading = std::iter::once("METHOD".to_string()).chain(heads).collect();
        let row = |method: &&str| {
            let cells = self.readings.iter().map(|reading| cell(reading, method));
            std::iter::once(method.to_string()).chain(cells).collect()
        };
        std::iter::once(heading).chain(methods.iter().map(row)).collect()
    }

    /// The name of a reading without the metric's.
    pub fn short<'a>(&self, reading: &'a ReadingReport) -> &'a str {
        reading.name.strip_prefix(self.name).map_or(&reading.name, |rest| rest.trim_start_matches([',', ' ']))
    }
}

impl MethodReport {
    fn new(method: &'static str, reading: &str, pictures: &ReadingsOfPictures) -> Self {
        let find = |readings: &Option<Vec<Reading>>| -> Option<Reading> {
            readings.iter().flatten().find(|found| found.name == reading).cloned()
        };
        let found: Vec<Option<Reading>> = pictures.iter().map(find).collect();
        let values: Vec<Option<f64>> = found.iter().map(|reading| reading.as_ref()?.values[0]).collect();
        let curves: Vec<&Curve> = found.iter().flatten().filter_map(|reading| reading.curve.as_ref()).collect();
        let curve = curves.first().map(|first| MeanCurve {
            x_label: first.x_label.clone(),
            y_label: first.y_label.clone(),
            x: first.x.clone(),
            ticks: first.ticks.clone(),
            y: (0..first.x.len())
                .map(|index| Summary::of(&curves.iter().map(|curve| curve.y[0][index]).collect::<Vec<_>>()))
                .collect(),
        });
        Self { method, summary: Summary::of(&values), values, curve }
    }

    /// Mean and interval, as in a table.
    pub fn cell(&self) -> String {
        match (self.summary.mean, self.summary.interval) {
            (None, _) => "undefined".into(),
            (Some(mean), None) => number(mean),
            (Some(mean), Some([low, high])) => format!("{} [{}, {}]", number(mean), number(low), number(high)),
        }
    }
}

/// Three digits that matter.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size < 0.001 => format!("{value:.1e}"),
        size if size < 10.0 => format!("{value:.3}"),
        size if size < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.2e}"),
    }
}

impl ReadingReport {
    /// In words.
    pub fn better(&self) -> &'static str {
        match self.direction {
            Direction::Higher => "higher is better",
            Direction::Lower => "lower is better",
        }
    }
}

impl Evaluation {
    pub fn new(
        made_by: MadeBy,
        pictures: Vec<Evaluated>,
        given: usize,
        methods: Vec<MethodEntry>,
        metrics: Vec<MetricReport>,
    ) -> Result<Self> {
        let metrics: Vec<MetricReport> = metrics.into_iter().filter(|metric| !metric.readings.is_empty()).collect();
        let scores = metrics.iter().flat_map(|metric| &metric.readings).map(|reading| {
            // Every metric speaks of the same methods, also of those that it was not measured on.
            let values = |method: &MethodEntry| {
                let measured = reading.methods.iter().find(|measured| measured.method == method.name);
                measured.map_or_else(|| vec![None; pictures.len()], |measured| measured.values.clone())
            };
            let methods = methods.iter().map(values).collect();
            MetricScores { name: reading.name.clone(), direction: reading.direction, methods }
        });
        let reliability = Reliability::of(&scores.collect::<Vec<_>>())?;
        Ok(Self { made_by, counts: Counts::new(&pictures, given), pictures, methods, metrics, reliability })
    }

    /// One line per metric, reading, method and picture.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["metric", "reading", "direction", "method", "picture", "value"])?;
        for metric in &self.metrics {
            for reading in &metric.readings {
                for method in &reading.methods {
                    for (picture, value) in self.pictures.iter().zip(&method.values) {
                        let value = value.map_or_else(String::new, |value| value.to_string());
                        let direction = reading.better();
                        writer.write_record([
                            metric.name,
                            &reading.name,
                            direction,
                            method.method,
                            &picture.name,
                            &value,
                        ])?;
                    }
                }
            }
        }
        Ok(writer.into_inner()?)
    }

    /// The tables in the terminal.
    pub fn print(&self) -> Result<()> {
        let mut out = stdout().lock();
        writeln!(out, "{}", self.counts.sentence())?;
        for metric in &self.metrics {
            writeln!(out, "\n{}: {} ({})", metric.name, metric.question, metric.paper)?;
            tables::write(&mut out, &metric.rows())?;
            let undefined = metric.readings.iter().flat_map(|reading| &reading.methods);
            let undefined = undefined.map(|method| method.summary.undefined).max().unwrap_or(0);
            if undefined > 0 {
                writeln!(out, "(not defined on up to {undefined} of {} pictures)", self.pictures.len())?;
            }
        }
        writeln!(out, "\n{}", super::page::verdict(self).join("\n"))?;
        writeln!(out, "\nMeans over the pictures with 95 % confidence intervals.")?;
        writeln!(out, "\nWhich of these numbers can be trusted here? (Tomsett et al. 2020)")?;
        tables::write(&mut out, &self.reliability_rows())
    }

    /// One line per reading, after a heading.
    pub fn reliability_rows(&self) -> Vec<Vec<String>> {
        let heading = ["READING", "PICTURES AGREE", "METHODS AGREE", "METRICS AGREE", "VERDICT"];
        let cell = |statistic: &Statistic| statistic.value.map_or_else(|| "-".into(), |value| format!("{value:.2}"));
        let row = |metric: &MetricReliability| {
            let verdict = metric.trust.verdict().to_string();
            let [raters, methods, metrics] = [&metric.inter_rater, &metric.inter_method, &metric.consistency].map(cell);
            vec![metric.name.clone(), raters, methods, metrics, verdict]
        };
        std::iter::once(heading.map(String::from).to_vec()).chain(self.reliability.metrics.iter().map(row)).collect()
    }
}
