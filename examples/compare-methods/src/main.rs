//! Pictures explained by every method side by side, all methods from one recorded forward pass per picture.

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use burn::tensor::{Device, activation::softmax};
use burnsight::{
    Attribution, Attributor, DeconvNet, GradCam, GuidedBackprop, GuidedGradCam, InputXGradient, SmoothGradConfig,
    Target, VanillaGradient, device,
    network::{Trace, TraceAttributor},
    read,
    visualization::{Blend, Montage, MontageCell, MontageRow, Overlay, SaliencyMap, Style},
    zoo::{self, Model, Picture},
};
use clap::Parser;

const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../images");

/// Side of each cell of the sheet, in pixels.
const CELL: u32 = 120;

/// Draws every method's map of some pictures on one sheet.
#[derive(Parser)]
struct Arguments {
    /// Pictures, or folders of pictures
    #[arg(default_value = PICTURES)]
    pictures: Vec<PathBuf>,
    /// The sheet to write
    #[arg(long, default_value = "comparison.png")]
    out: PathBuf,
}

/// A method and how its maps are drawn.
struct Method {
    name: &'static str,
    style: Style,
    explain: fn(&Trace<'_>, &Target) -> burnsight::Result<Attribution>,
}

fn methods() -> [Method; 7] {
    // Guided maps in their own colours: their fine structure would be lost among the picture's.
    let alone = Overlay { opacity: 1.0, blend: Blend::Uniform, ..Overlay::default() };
    let own_colors = || Style { overlay: alone, ..Style::channels() };
    let method = |name, style, explain| Method { name, style, explain };
    [
        method("Vanilla gradient", Style::sequential(), |trace, target| VanillaGradient.attribute_trace(trace, target)),
        method("Input × gradient", Style::diverging(), |trace, target| InputXGradient.attribute_trace(trace, target)),
        method("DeconvNet", own_colors(), |trace, target| DeconvNet.attribute_trace(trace, target)),
        method("Guided backprop", own_colors(), |trace, target| GuidedBackprop.attribute_trace(trace, target)),
        method("Grad-CAM", Style::sequential(), |trace, target| GradCam::new().attribute_trace(trace, target)),
        method("Guided Grad-CAM", own_colors(), |trace, target| GuidedGradCam::new().attribute_trace(trace, target)),
        // Noisy copies of the picture need forward passes of their own.
        method("SmoothGrad", Style::sequential(), |trace, target| {
            let smoothgrad = SmoothGradConfig::default().wrap(VanillaGradient)?;
            smoothgrad.attribute(trace.network(), trace.images(), target)
        }),
    ]
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let device = device::open("flex")?;
    let model = zoo::load(zoo::BUILT_IN, &device)?;
    let methods = methods();

    let mut rows = Vec::new();
    for path in zoo::find_pictures(&arguments.pictures)? {
        let row = explain(&path, &model, &methods, &device).with_context(|| path.display().to_string())?;
        writeln!(stdout(), "{}", row.caption.join(" "))?;
        rows.push(row);
    }
    let names = methods.iter().map(|method| method.name.into()).collect();
    let sheet = Montage { cell: CELL, methods: names, rows }.render()?;
    sheet.save(&arguments.out).with_context(|| format!("cannot write {}", arguments.out.display()))?;
    writeln!(stdout(), "wrote {}", arguments.out.display())?;
    Ok(())
}

/// One row of the sheet: what the model sees in the picture, and which pixels made it say so.
fn explain(path: &Path, model: &Model, methods: &[Method], device: &Device) -> Result<MontageRow> {
    let picture = Picture::open(path, zoo::DEFAULT_MAX_PIXELS)?.rgb;
    let prepared = model.preprocessing.apply(&picture, device)?;
    let trace = model.network.record(prepared.tensor)?;

    let probabilities = read(softmax(trace.logits(), 1))?;
    let (class, probability) =
        probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).context("the model has no classes")?;
    let label = model.labels.name(class).unwrap_or("unnamed class");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let caption = vec![name.into(), format!("{label} {:.1} %", probability * 100.0)];

    let cell = |method: &Method| -> Result<MontageCell> {
        let attribution = (method.explain)(&trace, &Target::Class(class))?;
        let drawing = method.style.draw(&SaliencyMap::of(&attribution, 0)?)?;
        Ok(MontageCell::new(&drawing, drawing.over(&picture, prepared.view)?))
    };
    let cells = methods.iter().map(cell).collect::<Result<_>>()?;
    Ok(MontageRow { picture, caption, cells })
}
