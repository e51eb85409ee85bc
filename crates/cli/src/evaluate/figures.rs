//! What came out, drawn.

use anyhow::Result;
use burn::tensor::Tensor;
use burnsight::{
    Attributor, Error, Target, VanillaGradient,
    evaluation::{Attack, Fragility, RandomizedNetworks, Subject},
    network::Network,
    visualization::{IntervalPlot, IntervalRow, Montage, MontageCell, MontageRow, SaliencyMap},
};
use image::{Rgb, RgbImage, imageops};

use super::{
    Job, Source,
    report::{Evaluation, ReadingReport},
};
use crate::{explainer::Explainer, output};

/// Side of a cell of the figures with maps, in pixels.
const CELL: u32 = 144;

/// Columns of `evaluation.png`, and the width of one in pixels.
const COLUMNS: usize = 3;
const PANEL: u32 = 620;

/// Every reading as a panel: a dot with its interval for each method. Panels of many readings stand in one picture.
pub fn panels(evaluation: &Evaluation) -> burnsight::Result<RgbImage> {
    let readings: Vec<&ReadingReport> = evaluation.metrics.iter().flat_map(|metric| &metric.readings).collect();
    let rows = readings.iter().map(|reading| reading.methods.len()).max().unwrap_or(0) as u32;
    let height = 110 + 26 * rows.max(4);
    let columns = readings.len().min(COLUMNS) as u32;
    let mut sheet =
        RgbImage::from_pixel(columns * PANEL, height * readings.len().div_ceil(COLUMNS) as u32, Rgb([255; 3]));
    for (index, reading) in readings.iter().enumerate() {
        let rows = reading.methods.iter().map(|method| IntervalRow {
            name: method.method.into(),
            mean: method.summary.mean,
            interval: method.summary.interval,
        });
        let plot = IntervalPlot { title: reading.name.clone(), x_label: reading.better().into(), rows: rows.collect() };
        let (left, top) = ((index % COLUMNS) as u32 * PANEL, (index / COLUMNS) as u32 * height);
        imageops::replace(&mut sheet, &plot.image(PANEL, height)?, left.into(), top.into());
    }
    Ok(sheet)
}

impl Job<'_> {
    /// What the attacks of Ghorbani et al. do: one picture, and each method's map of it before and after.
    pub fn fragility_figure(&self, source: &Source) -> Result<()> {
        let picture = source.prepare(self.model, self.arguments.methods.max_pixels, &self.device)?;
        let network = &self.model.network;
        let target = Target::Top.pin(&network.record(picture.tensor.clone())?.logits())?;
        let attacks = Fragility { seed: self.settings.seed, ..Fragility::default() };
        let largest = attacks.epsilons.iter().copied().fold(0.0, f32::max);
        let gradient = Subject::of_network(network, &VanillaGradient, picture.tensor.clone(), &target)?;
        let mut versions = vec![("unchanged".to_string(), picture.tensor.clone())];
        for attack in Attack::ALL {
            self.progress.set_message(format!("{}, fragility.png", attack.name()));
            let (changed, kept) = attacks.attack(&gradient, attack, largest)?;
            let class = if kept[0] { "class kept" } else { "class changed" };
            versions.push((format!("{}, {class}", attack.name()), changed));
        }
        let mut rows = Vec::new();
        for method in &self.methods {
            let explainer = Explainer { method, settings: self.settings };
            let draw = |(_, version): &(String, Tensor<4>)| {
                let attribution = explainer.attribute(network, version.clone(), &target)?;
                let drawing = (method.style)(self.settings).draw(&SaliencyMap::of(&attribution, 0)?)?;
                Ok(MontageCell::new(&drawing, drawing.over(&picture.picture, picture.view)?))
            };
            match versions.iter().map(draw).collect::<burnsight::Result<Vec<_>>>() {
                Err(Error::Unsupported { .. }) => continue,
                cells => {
                    let caption = vec![method.name.into()];
                    rows.push(MontageRow { picture: picture.picture.clone(), caption, cells: cells? });
                }
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let methods = versions.into_iter().map(|(name, _)| name).collect();
        output::png(&self.arguments.out.join("fragility.png"), &Montage { cell: CELL, methods, rows }.render()?)
    }

    /// The figure of Adebayo et al.: one picture, a row per method, and how its map changes when the weights become random from
    /// the logits down.
    pub fn sanity_figure(&self, source: &Source) -> Result<()> {
        let picture = source.prepare(self.model, self.arguments.methods.max_pixels, &self.device)?;
        let network = &self.model.network;
        let random = || RandomizedNetworks::cascading(network, None, self.settings.seed);
        let headings = std::iter::once("unchanged".to_string()).chain(random()?.layers()).collect();
        let target = Target::Top.pin(&network.record(picture.tensor.clone())?.logits())?;
        let mut rows: Vec<MontageRow> = Vec::new();
        for method in &self.methods {
            self.progress.set_message(format!("{}, sanity.png", method.name));
            let explainer = Explainer { method, settings: self.settings };
            let draw = |network: &Network| {
                let attribution = explainer.attribute(network, picture.tensor.clone(), &target)?;
                let drawing = (method.style)(self.settings).draw(&SaliencyMap::of(&attribution, 0)?)?;
                Ok(MontageCell::new(&drawing, drawing.over(&picture.picture, picture.view)?))
            };
            let unchanged = match draw(network) {
                Err(Error::Unsupported { .. }) => continue,
                cell => cell?,
            };
            let random = random()?.map(|random| draw(&random.network));
            let cells = std::iter::once(Ok(unchanged)).chain(random).collect::<burnsight::Result<_>>()?;
            rows.push(MontageRow { picture: picture.picture.clone(), caption: vec![method.name.into()], cells });
        }
        if rows.is_empty() {
            return Ok(());
        }
        output::png(&self.arguments.out.join("sanity.png"), &Montage { cell: CELL, methods: headings, rows }.render()?)
    }
}
