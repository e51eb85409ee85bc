//! Whether memory grows over a thousand explanations, or as many as the argument says.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use burnsight::{Attributor, AutodiffModel, GradCam, GuidedBackprop, Target, VanillaGradient};
use burnsight_benches::{BareVgg, Subject, devices, memory, settle};

fn main() -> Result<()> {
    let explanations: usize = std::env::args().nth(1).map_or(Ok(1000), |count| count.parse())?;
    let every = explanations.div_ceil(10).max(1);
    let (backend, device) = devices().into_iter().next().context("no backend is compiled in")?;
    let network = Subject::BuiltIn.network(&device)?;
    let picture = Subject::BuiltIn.picture(&device);
    let bare = BareVgg::new(&network);
    let autodiff = AutodiffModel::from_closure(move |pictures| bare.forward(pictures));

    let explain = |method: usize| -> burnsight::Result<()> {
        let picture = picture.clone();
        match method {
            0 => VanillaGradient.attribute(&network, picture, &Target::Top),
            1 => GuidedBackprop.attribute(&network, picture, &Target::Top),
            2 => GradCam::new().attribute(&network, picture, &Target::Top),
            _ => VanillaGradient.attribute(&autodiff, picture, &Target::Top),
        }?;
        settle(&device);
        Ok(())
    };
    let mut out = stdout();
    writeln!(
        out,
        "{backend}; vanilla gradient, guided backprop, Grad-CAM, vanilla gradient by Burn's autodiff in turns"
    )?;
    writeln!(out, "explanations  resident MB")?;
    for done in 1..=explanations {
        explain(done % 4)?;
        if done % every == 0 {
            let resident = memory().context("no /proc/self/status: this figure is taken on Linux only")?;
            writeln!(out, "{done:12}  {:11.1}", resident as f64 / 1e6)?;
        }
    }
    Ok(())
}
