//! Burn keeps a recorded forward pass for ever if no backward follows it: none of ours may be left behind.
#![cfg(all(target_os = "linux", feature = "flex", feature = "all-methods"))]
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor};
use burnsight::{
    Attributor, AutodiffModel, Classifier, DeconvNet, GradCam, GuidedBackprop, GuidedGradCam, Target, VanillaGradient,
};
use burnsight_testkit::{Residual, nets};

const SIZE: [usize; 2] = [96, 128];

/// One recorded forward pass holds at least 6 layers of 6 channels of 96 × 128 numbers: 1.8 MB.
const RECORDING: usize = 6 * 6 * SIZE[0] * SIZE[1] * 4;

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn memory_does_not_grow() {
    let device = Device::flex();
    let pictures = || nets::pictures([1, 3, SIZE[0], SIZE[1]], &device, DType::F32);
    // Each alone: the backward of a later explanation would clear up what was left.
    let check = |what: &str, explain: &dyn Fn()| {
        explain();
        let before = resident();
        (0..50).for_each(|_| explain());
        let grown = resident().saturating_sub(before);
        assert!(grown < 10 * RECORDING, "{what}: {grown} bytes more after 50 times, one recording has {RECORDING}");
    };
    let model = Residual::with_network(SIZE, &device).0.into_model();
    let methods: [(&str, &dyn Attributor<_>); 5] = [
        ("vanilla gradient", &VanillaGradient),
        ("guided backprop", &GuidedBackprop),
        ("DeconvNet", &DeconvNet),
        ("Grad-CAM", &GradCam::with_layer("sum")),
        ("guided Grad-CAM", &GuidedGradCam::with_layer("last_relu")),
    ];
    for (name, method) in methods {
        check(name, &|| drop(method.attribute(&model, pictures(), &Target::Top).unwrap()));
        let refused = format!("{name} of a class that does not exist");
        check(&refused, &|| drop(method.attribute(&model, pictures(), &Target::Class(9)).unwrap_err()));
    }
    let none = GradCam::with_layer("none");
    check("Grad-CAM without a layer", &|| drop(none.attribute(&model, pictures(), &Target::Top).unwrap_err()));
    check("logits", &|| drop(model.logits(pictures()).unwrap()));

    let recorded = |images: Tensor<4>| (0..6).fold(images.repeat_dim(1, 2), |x, _| burn::tensor::activation::relu(x));
    let plain = AutodiffModel::from_closure(|images| recorded(images).mean_dim(3).flatten(1, 3));
    check("guided backprop without our ReLU", &|| {
        drop(GuidedBackprop.attribute(&plain, pictures(), &Target::Top).unwrap_err());
    });
    let wrong = AutodiffModel::from_closure(|images| recorded(images).flatten(0, 2));
    check("logits of the wrong shape", &|| {
        drop(VanillaGradient.attribute(&wrong, pictures(), &Target::Top).unwrap_err());
    });
}
