//! Forward pass and input gradient: ours against the same layers in bare Burn.

use burn::tensor::{Device, Tensor};
use burnsight::{Classifier, Differentiable, Target, network::Network};
use burnsight_benches::{BareVgg, Subject, devices, settle};
use divan::Bencher;

fn main() {
    divan::main();
}

/// Everything that must not be timed.
struct Setting {
    network: Network,
    picture: Tensor<4>,
    device: Device,
}

fn setting(subject: Subject) -> Setting {
    let (_, device) = devices().into_iter().next().expect("a backend is compiled in");
    let network = subject.network(&device).expect("the weights are good");
    Setting { network, picture: subject.picture(&device), device }
}

/// Both subjects, by name.
const SUBJECTS: [&str; 2] = ["built-in", "vgg16"];

fn subject(name: &str) -> Subject {
    Subject::ALL.into_iter().find(|subject| subject.name() == name).expect("a known name")
}

/// `Network::logits`
#[divan::bench(args = SUBJECTS, sample_count = 10, sample_size = 1)]
fn forward_ours(bencher: Bencher<'_, '_>, name: &str) {
    let Setting { network, picture, device } = setting(subject(name));
    bencher.with_inputs(|| picture.clone()).bench_values(|picture| {
        let logits = network.logits(picture).expect("the picture fits");
        settle(&device);
        logits
    });
}

/// The same layers in bare Burn.
#[divan::bench(args = SUBJECTS, sample_count = 10, sample_size = 1)]
fn forward_bare(bencher: Bencher<'_, '_>, name: &str) {
    let Setting { network, picture, device } = setting(subject(name));
    let bare = BareVgg::new(&network);
    bencher.with_inputs(|| picture.clone()).bench_values(|picture| {
        let logits = bare.forward(picture);
        settle(&device);
        logits
    });
}

/// `Network::record` and the reverse walk with the exact gradient.
#[divan::bench(args = SUBJECTS, sample_count = 10, sample_size = 1)]
fn gradient_ours(bencher: Bencher<'_, '_>, name: &str) {
    let Setting { network, picture, device } = setting(subject(name));
    bencher.with_inputs(|| picture.clone()).bench_values(|picture| {
        let answer = network.gradient(picture, &Target::Class(0)).expect("the picture fits");
        settle(&device);
        answer
    });
}

/// Burn's autodiff.
#[divan::bench(args = SUBJECTS, sample_count = 10, sample_size = 1)]
fn gradient_bare(bencher: Bencher<'_, '_>, name: &str) {
    let Setting { network, picture, device } = setting(subject(name));
    let bare = BareVgg::new(&network);
    bencher.with_inputs(|| picture.clone()).bench_values(|picture| {
        let gradient = bare.gradient(picture);
        settle(&device);
        gradient
    });
}
