//! `methods`, `models`, `devices`: what is there, what it costs, what it is for.

use std::io::{Write, stdout};

use anyhow::Result;
use burnsight::{device, zoo};

use crate::{evaluate::METRICS, methods::METHODS};

/// Prints rows with the columns aligned, the first row as the heading.
pub fn print(rows: &[Vec<String>]) -> Result<()> {
    write(&mut stdout().lock(), rows)
}

/// The same to any place.
pub fn write(out: &mut impl Write, rows: &[Vec<String>]) -> Result<()> {
    let columns = rows[0].len();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(String::from).to_vec()
}

pub fn methods() -> Result<()> {
    let mut rows = vec![row(["METHOD", "DEFAULT", "COST PER PICTURE", "PAPER", "QUESTION IT ANSWERS"])];
    rows.extend(METHODS.iter().map(|method| {
        let default = if method.in_chapter { "yes" } else { "" };
        row([method.name, default, method.cost, method.paper, method.question])
    }));
    print(&rows)?;
    let mut out = stdout().lock();
    writeln!(out, "\nThe cost comes on top of one forward pass, which all methods share.")?;
    writeln!(out, "\nRules (--rule), the default first:")?;
    for method in METHODS.iter().filter(|method| !method.rules.is_empty()) {
        writeln!(out, "  {}: {}", method.name, method.rules.join(", "))?;
    }
    Ok(())
}

pub fn metrics() -> Result<()> {
    let mut rows =
        vec![row(["METRIC", "DEFAULT", "COST PER PICTURE AND METHOD", "NEEDS", "PAPER", "QUESTION IT ASKS"])];
    rows.extend(METRICS.iter().map(|metric| {
        let default = if metric.by_default { "yes" } else { "" };
        row([metric.name, default, metric.cost, metric.needs.words(), metric.paper, metric.question])
    }));
    print(&rows)
}

pub fn models() -> Result<()> {
    let mut rows = vec![row(["MODEL", "INPUT", "CLASSES", "PARAMETERS", "ACCURACY", "SAYS", "WEIGHTS"])];
    let models = zoo::models()?;
    let cache = zoo::Cache::of_platform().ok();
    for model in &models {
        let weights = match model.download {
            None => "built in".into(),
            Some(_) if cache.as_ref().is_some_and(|cache| cache.find(&model.name).is_ok_and(|path| path.is_some())) => {
                "fetched".into()
            }
            Some(bytes) => format!("{:.0} MB to fetch", bytes as f64 / 1e6),
        };
        let [height, width] = model.size;
        rows.push(row([
            &model.name,
            &format!("{width}×{height}"),
            &model.classes.to_string(),
            &model.parameters.to_string(),
            &format!("{:.1} %", model.accuracy * 100.0),
            &model.accuracy_source,
            &weights,
        ]));
    }
    print(&rows)?;
    let mut out = stdout().lock();
    let about = |model: &zoo::Description| {
        let zoo::Description { architecture, intended_use, licence, .. } = model;
        format!("{architecture}.\nFor: {intended_use}.\nLicence: {licence}.")
    };
    for alike in models.chunk_by(|a, b| about(a) == about(b)) {
        let names: Vec<&str> = alike.iter().map(|model| model.name.as_str()).collect();
        writeln!(out, "\n{}: {}", names.join(", "), about(&alike[0]))?;
    }
    writeln!(out, "\n`burnsight models fetch NAME` fetches weights; `explain --weights FILE` takes your own VGG.")?;
    Ok(())
}

pub fn devices() -> Result<()> {
    let mut rows = vec![row(["DEVICE", "STATE", "COMPUTES ON"])];
    for backend in device::BACKENDS {
        if !backend.compiled {
            let state = format!("not in this build: --features {}", backend.name);
            rows.push(row([backend.name, &state, backend.description]));
            continue;
        }
        match device::list(backend) {
            Ok(devices) if devices.is_empty() => rows.push(row([backend.name, "none found", backend.description])),
            Ok(devices) => rows.extend((0..devices.len()).map(|index| {
                let name = if devices.len() == 1 { backend.name.into() } else { format!("{}:{index}", backend.name) };
                row([&name, "ready", backend.description])
            })),
            Err(error) => rows.push(row([backend.name, &error.to_string(), backend.description])),
        }
    }
    print(&rows)
}
