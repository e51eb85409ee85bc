//! The GPU backend computes what the CPU computes. Runs on a software adapter too (Mesa's lavapipe).
#![cfg(all(feature = "wgpu", feature = "flex", feature = "all-methods"))]
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor};
use burnsight::{
    Attributor, Classifier, Composite, DeconvNet, DeepLiftConfig, DeepLiftRule, DeepTaylor, ExcitationBackprop,
    GradCam, GuidedBackprop, GuidedGradCam, InputXGradient, IntegratedGradientsConfig, LrpConfig, PixelBounds,
    SmoothGrad, SmoothGradConfig, Target, VanillaGradient, device, network::Network,
};
use burnsight_testkit::{Residual, nets, relative_l2, values};

fn open() -> [Device; 2] {
    [device::open("flex").unwrap(), device::open("wgpu").unwrap()]
}

/// Every method on both devices, for two pictures of odd size.
fn agree(net: fn(&Device, DType) -> Network) {
    let compute = |device: &Device| -> Vec<(&str, Vec<f64>)> {
        let network = net(device, DType::F32);
        let images = || nets::pictures([2, 3, 13, 17], device, DType::F32);
        let smooth: SmoothGrad<VanillaGradient> =
            SmoothGradConfig { samples: 3, ..SmoothGradConfig::default() }.wrap(VanillaGradient).unwrap();
        let methods: [(&str, &dyn Attributor<Network>); 7] = [
            ("vanilla gradient", &VanillaGradient),
            ("input x gradient", &InputXGradient),
            ("DeconvNet", &DeconvNet),
            ("guided backprop", &GuidedBackprop),
            ("Grad-CAM", &GradCam::new()),
            ("guided Grad-CAM", &GuidedGradCam::new()),
            ("SmoothGrad", &smooth),
        ];
        let maps = methods.map(|(name, method)| {
            (name, values(method.attribute(&network, images(), &Target::Classes(vec![1, 2])).unwrap().map))
        });
        [vec![("logits", values(network.logits(images()).unwrap()))], maps.to_vec()].concat()
    };
    let [flex, wgpu] = open();
    for ((name, on_flex), (_, on_wgpu)) in compute(&flex).into_iter().zip(compute(&wgpu)) {
        let difference = relative_l2(&on_wgpu, &on_flex);
        eprintln!("{name}: {difference:.1e}");
        assert!(difference < 1e-3, "{name}: relative L2 {difference}");
    }
}

#[test]
fn a_chain_agrees() {
    agree(nets::small_vgg);
}

#[test]
fn branches_agree() {
    agree(nets::branches);
}

/// The path and relevance methods, on a network with a skip connection.
#[test]
fn path_and_relevance_methods_agree() {
    let lrp = |composite| LrpConfig { composite, ..LrpConfig::default() }.init().unwrap();
    let bounds = PixelBounds { low: vec![-4.0; 3], high: vec![4.0; 3] };
    let deeplift = |rule| DeepLiftConfig { rule, ..DeepLiftConfig::default() }.init().unwrap();
    let steps = IntegratedGradientsConfig { steps: 3, ..IntegratedGradientsConfig::default() };
    let methods: [(&str, &dyn Attributor<Network>); 7] = [
        ("integrated gradients", &steps.init().unwrap()),
        ("DeepLIFT, Rescale", &deeplift(DeepLiftRule::Rescale)),
        ("DeepLIFT, RevealCancel", &deeplift(DeepLiftRule::RevealCancel)),
        ("LRP, epsilon-plus", &lrp(Composite::epsilon_plus())),
        ("LRP, epsilon-gamma-box", &lrp(Composite::epsilon_gamma_box(0.25, bounds))),
        ("deep Taylor", &DeepTaylor::unbounded()),
        ("excitation backprop", &ExcitationBackprop::new().contrastive()),
    ];
    let [flex, wgpu] = open();
    for (name, method) in methods {
        let compute = |device: &Device| {
            let (_, network) = Residual::with_network([13, 17], device);
            let images = nets::pictures([2, 3, 13, 17], device, DType::F32);
            values(method.attribute(&network, images, &Target::Classes(vec![1, 2])).unwrap().map)
        };
        let difference = relative_l2(&compute(&wgpu), &compute(&flex));
        eprintln!("{name}: {difference:.1e}");
        assert!(difference < 1e-3, "{name}: relative L2 {difference}");
    }
}

/// A Burn module that calls our ReLU: an operation with a backward of its own, compiled for each backend.
#[test]
fn rules_on_a_module_agree() {
    let compute = |device: &Device| {
        let model = Residual::with_network([13, 17], device).0.into_model();
        let images = nets::pictures([2, 3, 13, 17], device, DType::F32);
        let guided = GuidedBackprop.attribute(&model, images.clone(), &Target::Classes(vec![1, 2])).unwrap().map;
        let deconvnet = DeconvNet.attribute(&model, images, &Target::Classes(vec![1, 2])).unwrap().map;
        [values(guided), values(deconvnet)]
    };
    let [flex, wgpu] = open();
    for (on_flex, on_wgpu) in compute(&flex).iter().zip(compute(&wgpu)) {
        let difference = relative_l2(&on_wgpu, on_flex);
        assert!(difference < 1e-3, "relative L2 {difference}");
    }
}

#[test]
fn an_index_beyond_the_devices_is_an_error() {
    let refused = device::open("wgpu:99").unwrap_err().to_string();
    assert!(refused.contains("`device` is wgpu:99") && refused.contains("device"), "{refused}");
}

/// The order in which a GPU answers must not matter to what is read.
#[test]
fn readback_is_the_result() {
    let [_, wgpu] = open();
    let x = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 4.0]], &wgpu);
    assert_eq!(values(x.clone().matmul(x)), [7.0, 10.0, 15.0, 22.0]);
}

/// Run with `VK_DRIVER_FILES=/dev/null __EGL_VENDOR_LIBRARY_FILENAMES=/dev/null`, which hide Vulkan and OpenGL.
#[test]
#[ignore = "needs a machine, or an environment, without a GPU"]
fn without_a_gpu_the_device_is_an_error() {
    let refused = device::open("wgpu").unwrap_err().to_string();
    assert!(refused.contains("wgpu") && refused.contains("driver"), "{refused}");
}
