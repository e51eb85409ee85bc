//! One picture of the built-in model by the path and relevance methods, for `peer.py` to compare: a line per method, its name
//! and the median of some repetitions in milliseconds.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use burnsight::{
    Attributor, Composite, DeepLift, IntegratedGradientsConfig, LrpConfig, Target, VanillaGradient, network::Network,
};
use burnsight_benches::{Subject, devices, in_turns, settle};

const REPETITIONS: usize = 5;

fn main() -> Result<()> {
    let (_, device) = devices().into_iter().next().context("no backend is compiled in")?;
    let (network, picture): (Network, Tensor<4>) =
        (Subject::BuiltIn.network(&device)?, Subject::BuiltIn.picture(&device));
    let integrated = IntegratedGradientsConfig::default().init()?;
    let lrp = |composite| LrpConfig { composite, ..LrpConfig::default() }.init();
    let methods: [(&str, &dyn Attributor<Network>); 5] = [
        ("vanilla-gradient", &VanillaGradient),
        ("integrated-gradients", &integrated),
        ("deeplift", &DeepLift::default()),
        ("lrp epsilon-plus", &lrp(Composite::epsilon_plus())?),
        ("lrp epsilon-alpha2-beta1", &lrp(Composite::epsilon_alpha2_beta1())?),
    ];
    for (name, method) in methods {
        let [timing] = in_turns(
            REPETITIONS,
            [&mut || {
                method.attribute(&network, picture.clone(), &Target::Class(0)).expect("the method works on a VGG");
                settle(&device);
            }],
        );
        writeln!(stdout(), "{name}\t{:.2}", timing.median.as_secs_f64() * 1000.0)?;
    }
    Ok(())
}
