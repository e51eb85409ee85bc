//! What came out, drawn.

use anyhow::Result;
use burnsight::{
    Attributor, Error, Target,
    evaluation::RandomizedNetworks,
    network::Network,
    visualization::{Montage, MontageCell, MontageRow, SaliencyMap},
};

use super::{Job, Source};
use crate::{explainer::Explainer, output};

/// Side of a cell of the figures with maps, in pixels.
const CELL: u32 = 144;

impl Job<'_> {
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
