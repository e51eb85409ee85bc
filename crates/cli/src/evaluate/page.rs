//! The page `evaluation.html`: one file, without scripts, that needs no network.

use anyhow::{Context, Result};
use burnsight::{
    evaluation::{CascadingRandomization, Direction, Trust},
    visualization::{LinePlot, Series},
};
use minijinja::{Environment, context, value::Serde};
use serde::Serialize;

use super::report::{Evaluation, MethodEntry, MethodReport, MetricReport, ReadingReport, number};

const TEMPLATE: &str = include_str!("page.html");

/// Mean likeness from which on a method is said to fail the weights test.
const ALIKE: f64 = 0.5;

#[derive(Serialize)]
struct Metric<'a> {
    name: &'a str,
    question: &'a str,
    paper: &'a str,
    parameters: String,
    heads: Vec<Head<'a>>,
    rows: Vec<Row<'a>>,
    plots: Vec<String>,
}

#[derive(Serialize)]
struct Head<'a> {
    name: &'a str,
    better: &'static str,
}

#[derive(Serialize)]
struct Row<'a> {
    method: &'a str,
    cells: Vec<Cell>,
}

#[derive(Serialize, Default)]
struct Cell {
    text: String,
    is_best: bool,
    /// Pictures on which it is defined, if those are not all.
    pictures: Option<usize>,
}

pub fn render(evaluation: &Evaluation) -> Result<String> {
    let metrics = evaluation.metrics.iter().map(metric).collect::<Result<Vec<_>>>()?;
    let made_by = &evaluation.made_by;
    let mut environment = Environment::new();
    environment.add_template("page.html", TEMPLATE).context("the page's template")?;
    let page = environment.get_template("page.html")?.render(context! {
        counts => evaluation.counts.sentence(),
        model => &made_by.model,
        verdict => verdict(evaluation),
        reliability => evaluation.reliability_rows(),
        metrics => Serde(metrics),
        command => &made_by.command,
        version => made_by.version,
        device => &made_by.device,
        seed => made_by.seed,
        weights => &made_by.weights_sha256,
    });
    page.context("the page")
}

/// The short answer.
pub fn verdict(evaluation: &Evaluation) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(sanity) = evaluation.metrics.iter().find(|metric| metric.name == CascadingRandomization::NAME) {
        let likeness = |reading: &ReadingReport, method: &str| {
            let found = reading.methods.iter().find(|measured| measured.method == method)?;
            found.summary.mean
        };
        for MethodEntry { name: method, by_sign } in &evaluation.methods {
            // Of maps that are read by magnitude, either the values or the magnitudes staying as they were is enough.
            let counts = |reading: &&ReadingReport| match sanity.short(reading) {
                "Spearman" => true,
                "Spearman of magnitudes" => !by_sign,
                _ => false,
            };
            let orders = sanity.readings.iter().filter(counts);
            let Some(largest) = orders.filter_map(|reading| likeness(reading, method)).reduce(f64::max) else {
                continue;
            };
            sentences.push(match largest >= ALIKE {
                true => format!(
                    "{method} hardly depends on the weights: its maps stay {} alike (rank correlation) when they become random.",
                    number(largest)
                ),
                false => format!("{method} depends on the weights ({} alike when they become random).", number(largest)),
            });
        }
    }
    let count = |trust: Trust| evaluation.reliability.metrics.iter().filter(|metric| metric.trust == trust).count();
    let all = evaluation.reliability.metrics.len();
    sentences.push(format!(
        "Of {all} readings, pictures agree on the order of the methods for {} and mostly for {}; for {} they disagree, and {} cannot be told.",
        count(Trust::Reliable),
        count(Trust::Tentative),
        count(Trust::Unreliable),
        count(Trust::Unknown)
    ));
    sentences
}

fn metric(report: &MetricReport) -> Result<Metric<'_>> {
    let heads = report.readings.iter().map(|reading| {
        let short = report.short(reading);
        Head { name: if short.is_empty() { "mean" } else { short }, better: reading.better() }
    });
    let best: Vec<Option<f64>> = report.readings.iter().map(best).collect();
    let row = |method: &MethodReport| {
        let cells = report.readings.iter().zip(&best).map(|(reading, best)| {
            let Some(measured) = reading.methods.iter().find(|other| other.method == method.method) else {
                return Cell::default();
            };
            Cell {
                text: measured.cell(),
                is_best: measured.summary.mean.is_some() && measured.summary.mean == *best,
                pictures: Some(measured.summary.pictures).filter(|_| measured.summary.undefined > 0),
            }
        });
        Row { method: method.method, cells: cells.collect() }
    };
    Ok(Metric {
        name: report.name,
        question: report.question,
        paper: report.paper,
        parameters: report.parameters.to_string(),
        heads: heads.collect(),
        rows: report.readings[0].methods.iter().map(row).collect(),
        plots: report.readings.iter().filter_map(curves).map(|plot| Ok(plot.svg(860, 320)?)).collect::<Result<_>>()?,
    })
}

/// The best mean, where there are several.
fn best(reading: &ReadingReport) -> Option<f64> {
    let means: Vec<f64> = reading.methods.iter().filter_map(|method| method.summary.mean).collect();
    if means.len() < 2 {
        return None;
    }
    means.into_iter().reduce(match reading.direction {
        Direction::Higher => f64::max,
        Direction::Lower => f64::min,
    })
}

/// The mean curves of a reading, if it has some.
fn curves(reading: &ReadingReport) -> Option<LinePlot> {
    let with_curve: Vec<_> =
        reading.methods.iter().filter_map(|method| Some((method.method, method.curve.as_ref()?))).collect();
    let (_, first) = with_curve.first()?;
    let series = with_curve.iter().map(|(method, curve)| Series {
        name: (*method).into(),
        // Names stand at 0, 1, 2, …
        x: if curve.ticks.is_empty() {
            curve.x.clone()
        } else {
            (0..curve.x.len()).map(|index| index as f64).collect()
        },
        y: curve.y.iter().map(|summary| summary.mean).collect(),
        band: curve.y.iter().map(|summary| summary.interval).collect(),
    });
    Some(LinePlot {
        title: reading.name.clone(),
        x_label: first.x_label.clone(),
        y_label: first.y_label.clone(),
        ticks: first.ticks.clone(),
        series: series.collect(),
    })
}
