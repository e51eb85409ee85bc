//! Every method from picture to map, on every backend that was compiled in.

use std::fmt;

use burn::tensor::{Device, Tensor};
use burnsight::{
    Attribution, Attributor, Composite, DeconvNet, DeepLiftConfig, DeepLiftRule, DeepTaylor, GradCam, GuidedBackprop,
    GuidedGradCam, InputXGradient, IntegratedGradientsConfig, LrpConfig, Result, SmoothGradConfig, Target,
    VanillaGradient, network::Network,
};
use burnsight_benches::{Subject, devices, settle};
use divan::Bencher;

fn main() {
    divan::main();
}

type Explain = fn(&Network, Tensor<4>) -> Result<Attribution>;

const METHODS: [(&str, Explain); 13] = [
    ("vanilla-gradient", |network, picture| VanillaGradient.attribute(network, picture, &Target::Class(0))),
    ("input-x-gradient", |network, picture| InputXGradient.attribute(network, picture, &Target::Class(0))),
    ("deconvnet", |network, picture| DeconvNet.attribute(network, picture, &Target::Class(0))),
    ("guided-backprop", |network, picture| GuidedBackprop.attribute(network, picture, &Target::Class(0))),
    ("grad-cam", |network, picture| GradCam::new().attribute(network, picture, &Target::Class(0))),
    ("guided-grad-cam", |network, picture| GuidedGradCam::new().attribute(network, picture, &Target::Class(0))),
    ("smoothgrad, 4 samples", |network, picture| {
        let config = SmoothGradConfig { samples: 4, ..SmoothGradConfig::default() };
        config.wrap(VanillaGradient)?.attribute(network, picture, &Target::Class(0))
    }),
    ("integrated-gradients, 4 steps", |network, picture| {
        let config = IntegratedGradientsConfig { steps: 4, ..IntegratedGradientsConfig::default() };
        config.init()?.attribute(network, picture, &Target::Class(0))
    }),
    ("deeplift, rescale", |network, picture| deeplift(DeepLiftRule::Rescale, network, picture)),
    ("deeplift, reveal-cancel", |network, picture| deeplift(DeepLiftRule::RevealCancel, network, picture)),
    ("lrp, epsilon-plus", |network, picture| lrp(Composite::epsilon_plus(), network, picture)),
    ("lrp, epsilon-alpha2-beta1", |network, picture| lrp(Composite::epsilon_alpha2_beta1(), network, picture)),
    ("deep-taylor", |network, picture| DeepTaylor::unbounded().attribute(network, picture, &Target::Class(0))),
];

fn deeplift(rule: DeepLiftRule, network: &Network, picture: Tensor<4>) -> Result<Attribution> {
    DeepLiftConfig { rule, ..DeepLiftConfig::default() }.init()?.attribute(network, picture, &Target::Class(0))
}

fn lrp(composite: Composite, network: &Network, picture: Tensor<4>) -> Result<Attribution> {
    LrpConfig { composite, ..LrpConfig::default() }.init()?.attribute(network, picture, &Target::Class(0))
}

/// One line of the table.
#[derive(Clone)]
struct Case {
    backend: &'static str,
    device: Device,
    method: &'static str,
    explain: Explain,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.backend, self.method)
    }
}

fn cases() -> Vec<Case> {
    let on = |(backend, device): (&'static str, Device)| {
        METHODS.map(|(method, explain)| Case { backend, device: device.clone(), method, explain })
    };
    devices().into_iter().flat_map(on).collect()
}

fn explain(bencher: Bencher<'_, '_>, subject: Subject, case: &Case) {
    let network = subject.network(&case.device).expect("the weights are good");
    let picture = subject.picture(&case.device);
    bencher.with_inputs(|| picture.clone()).bench_values(|picture| {
        let attribution = (case.explain)(&network, picture).expect("the method works on a VGG");
        settle(&case.device);
        attribution
    });
}

#[divan::bench(args = cases(), sample_count = 10, sample_size = 1)]
fn built_in(bencher: Bencher<'_, '_>, case: &Case) {
    explain(bencher, Subject::BuiltIn, case);
}

#[divan::bench(args = cases(), sample_count = 3, sample_size = 1)]
fn vgg16(bencher: Bencher<'_, '_>, case: &Case) {
    explain(bencher, Subject::Vgg16, case);
}
