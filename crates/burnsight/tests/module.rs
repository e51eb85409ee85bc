//! A Burn module that calls `burnsight::module` gets the maps that the same layers get as a network.
#![cfg(all(feature = "flex", feature = "all-methods"))]
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device, Tensor};
use burnsight::{
    Attributor, AutodiffModel, Classifier, DeconvNet, Error, GradCam, GuidedBackprop, GuidedGradCam, InputXGradient,
    SmoothGrad, SmoothGradConfig, Target, VanillaGradient, module::relu, network::Network,
};
use burnsight_testkit::{Residual, conformance, nets, relative_l2, values};

/// The same sums in another order.
const TOLERANCE: f64 = 1e-5;

const SIZE: [usize; 2] = [9, 12];

fn pictures() -> Tensor<4> {
    nets::pictures([2, 3, SIZE[0], SIZE[1]], &Device::flex(), DType::F32)
}

fn smooth<A>(inner: A) -> SmoothGrad<A> {
    SmoothGradConfig { samples: 3, ..Default::default() }.wrap(inner).unwrap()
}

/// Runs a check on every method, with its name and its counterpart for networks: CAMs take another layer's name there.
fn each_method<F: Fn(Tensor<4>) -> Tensor<2>>(
    mut check: impl FnMut(&str, &dyn Attributor<AutodiffModel<F>>, &dyn Attributor<Network>),
) {
    check("vanilla gradient", &VanillaGradient, &VanillaGradient);
    check("input x gradient", &InputXGradient, &InputXGradient);
    check("guided backprop", &GuidedBackprop, &GuidedBackprop);
    check("DeconvNet", &DeconvNet, &DeconvNet);
    for layer in ["last_relu", "sum", "relu"] {
        check("Grad-CAM", &GradCam::with_layer(layer), &GradCam::with_layer(layer));
        check("guided Grad-CAM", &GuidedGradCam::with_layer(layer), &GuidedGradCam::with_layer(layer));
    }
    check("SmoothGrad", &smooth(VanillaGradient), &smooth(VanillaGradient));
    check("SmoothGrad of guided backprop", &smooth(GuidedBackprop), &smooth(GuidedBackprop));
    check("SmoothGrad of Grad-CAM", &smooth(GradCam::with_layer("sum")), &smooth(GradCam::with_layer("sum")));
}

#[test]
fn a_module_gets_the_maps_of_its_layers() {
    let (module, network) = Residual::with_network(SIZE, &Device::flex());
    let model = module.into_model();
    let logits = (values(model.logits(pictures()).unwrap()), values(network.logits(pictures()).unwrap()));
    assert!(relative_l2(&logits.0, &logits.1) < TOLERANCE);
    let targets =
        [Target::Top, Target::Classes(vec![3, 1]), Target::Contrast { class: 2, against: 0 }, Target::Class(0)];
    for target in targets {
        each_method(|name, on_module, on_network| {
            let ours = on_module.attribute(&model, pictures(), &target).unwrap();
            let theirs = on_network.attribute(&network, pictures(), &target).unwrap();
            let difference = relative_l2(&values(ours.map), &values(theirs.map));
            assert!(difference < TOLERANCE, "{name}, {target}: relative L2 {difference:e}");
            assert_eq!(ours.provenance.parameters, theirs.provenance.parameters, "{name}");
        });
    }
}

#[test]
fn every_method_conforms_on_a_module() {
    let model = Residual::with_network(SIZE, &Device::flex()).0.into_model();
    each_method(|_, on_module, _| conformance(on_module, &model, pictures()));
}

/// The rule of one explanation is gone in the next, even when the model panicked in between.
#[test]
fn explanations_do_not_influence_each_other() {
    let model = Residual::with_network(SIZE, &Device::flex()).0.into_model();
    let map =
        |method: &dyn Attributor<_>| method.attribute(&model, pictures(), &Target::Class(2)).unwrap().map.into_data();
    let (gradient, guided, deconvnet) = (map(&VanillaGradient), map(&GuidedBackprop), map(&DeconvNet));
    assert!(gradient != guided && guided != deconvnet && deconvnet != gradient);
    let panics = AutodiffModel::from_closure(|images: Tensor<4>| -> Tensor<2> {
        let [rows, ..] = relu(images).dims();
        panic!("after a ReLU on {rows} pictures")
    });
    for _ in 0..2 {
        map(&GradCam::with_layer("sum"));
        catch_unwind(AssertUnwindSafe(|| GuidedBackprop.attribute(&panics, pictures(), &Target::Top))).unwrap_err();
        assert_eq!(map(&VanillaGradient), gradient);
        assert_eq!(map(&DeconvNet), deconvnet);
        assert_eq!(map(&GuidedBackprop), guided);
    }
}

#[test]
fn refusals_name_the_function_to_call() {
    let plain = AutodiffModel::from_closure(|images: Tensor<4>| {
        burn::tensor::activation::relu(images).sum_dim(3).sum_dim(2).flatten(1, 3)
    });
    let refused = |method: &dyn Attributor<_>| method.attribute(&plain, pictures(), &Target::Top).unwrap_err();
    let methods: [(&dyn Attributor<_>, &str); 4] = [
        (&GuidedBackprop, "module::relu"),
        (&DeconvNet, "module::relu"),
        (&GradCam::new(), "module::watch"),
        (&GuidedGradCam::with_layer("relu"), "module::relu"),
    ];
    for (method, function) in methods {
        let error = refused(method);
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(function), "{error}");
    }
    let model = Residual::with_network(SIZE, &Device::flex()).0.into_model();
    for (cam, value) in [(GradCam::new(), "not given"), (GradCam::with_layer("norm"), "norm")] {
        let error = cam.attribute(&model, pictures(), &Target::Top).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }), "{error}");
        assert_eq!(error.to_string(), format!("`layer` is {value}: the model watches relu, sum, last_relu"));
    }
}
