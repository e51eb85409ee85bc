//! What burnsight costs on top of Burn, and what sharing a forward pass saves.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use burn::tensor::Device;
use burnsight::{
    Attributor, Classifier, DeconvNet, Differentiable, GradCam, GuidedBackprop, GuidedGradCam, InputXGradient, Target,
    VanillaGradient,
    network::{Network, TraceAttributor},
};
use burnsight_benches::{BareVgg, Subject, Timing, devices, in_turns, settle};

const TARGET: Target = Target::Class(0);

fn main() -> Result<()> {
    let (backend, device) = devices().into_iter().next().context("no backend is compiled in")?;
    let mut out = stdout();
    writeln!(out, "{backend}; milliseconds, median (fastest)")?;
    for (subject, repetitions) in [(Subject::BuiltIn, 41), (Subject::Vgg16, 15)] {
        let network = subject.network(&device)?;
        against_burn(&mut out, subject, &network, &device, repetitions)?;
        sharing(&mut out, subject, &network, &device, repetitions.div_ceil(4))?;
    }
    Ok(())
}

fn against_burn(
    out: &mut impl Write,
    subject: Subject,
    network: &Network,
    device: &Device,
    repetitions: usize,
) -> Result<()> {
    let picture = subject.picture(device);
    let bare = BareVgg::new(network);
    let forward = in_turns(
        repetitions,
        [
            &mut || {
                network.logits(picture.clone()).expect("the picture fits");
                settle(device);
            },
            &mut || {
                bare.forward(picture.clone());
                settle(device);
            },
        ],
    );
    row(out, subject, "forward", ["burnsight", "bare Burn"], forward)?;
    let gradient = in_turns(
        repetitions,
        [
            &mut || {
                network.gradient(picture.clone(), &TARGET).expect("the picture fits");
                settle(device);
            },
            &mut || {
                bare.gradient(picture.clone());
                settle(device);
            },
        ],
    );
    row(out, subject, "input gradient", ["burnsight", "bare Burn"], gradient)
}

/// The six methods that need one forward pass: from one trace, and each from its own.
fn sharing(
    out: &mut impl Write,
    subject: Subject,
    network: &Network,
    device: &Device,
    repetitions: usize,
) -> Result<()> {
    let picture = subject.picture(device);
    let times = in_turns(
        repetitions,
        [
            &mut || {
                let trace = network.record(picture.clone()).expect("the picture fits");
                let (grad_cam, guided_grad_cam) = (GradCam::new(), GuidedGradCam::new());
                let methods: [&dyn TraceAttributor; 6] =
                    [&VanillaGradient, &InputXGradient, &DeconvNet, &GuidedBackprop, &grad_cam, &guided_grad_cam];
                for method in methods {
                    method.attribute_trace(&trace, &TARGET).expect("the method works on a VGG");
                }
                settle(device);
            },
            &mut || {
                let (grad_cam, guided_grad_cam) = (GradCam::new(), GuidedGradCam::new());
                let methods: [&dyn Attributor<Network>; 6] =
                    [&VanillaGradient, &InputXGradient, &DeconvNet, &GuidedBackprop, &grad_cam, &guided_grad_cam];
                for method in methods {
                    method.attribute(network, picture.clone(), &TARGET).expect("the method works on a VGG");
                }
                settle(device);
            },
        ],
    );
    row(out, subject, "six methods", ["one forward", "six forwards"], times)
}

fn row(out: &mut impl Write, subject: Subject, what: &str, names: [&str; 2], times: [Timing; 2]) -> Result<()> {
    let text = |Timing { median, fastest }: Timing| {
        format!("{:.1} ({:.1})", 1000.0 * median.as_secs_f64(), 1000.0 * fastest.as_secs_f64())
    };
    let [a, b] = times;
    let median = a.median.as_secs_f64() / b.median.as_secs_f64();
    let fastest = a.fastest.as_secs_f64() / b.fastest.as_secs_f64();
    let [first, second] = names;
    let (subject, a, b) = (subject.name(), text(a), text(b));
    writeln!(out, "{subject:8}  {what:14}  {first} {a}, {second} {b}, ratio {median:.2} ({fastest:.2})")?;
    Ok(())
}
