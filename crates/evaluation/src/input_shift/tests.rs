#![allow(clippy::unwrap_used)]
use burn::tensor::{DType, Device};
use burnsight_core::{Attributor, AutodiffModel, Baseline, MicroBatcher, Target};
use burnsight_grad_cam::GradCam;
use burnsight_guided_backprop::GuidedBackprop;
use burnsight_input_x_gradient::InputXGradient;
use burnsight_integrated_gradients::{IntegratedGradients, IntegratedGradientsConfig};
use burnsight_network::{AveragePool, BatchNorm, Convolution, Layer, Network, NetworkBuilder, NodeId, Pad, Select};
use burnsight_testkit::{
    nets::{self, Draw},
    relative_l2, values,
};
use burnsight_vanilla_gradient::VanillaGradient;

use super::*;
use crate::rebuild::rebuild;

/// One number per channel.
const SHIFT: [f32; 3] = [-1.7, 0.4, 2.5];

fn networks(dtype: DType) -> Vec<(&'static str, Network, Tensor<4>)> {
    let device = Device::default();
    let pictures = |height, width| nets::pictures([3, 3, height, width], &device, dtype);
    let weight = nets::pictures([1, 1, 2, 12], &device, dtype).reshape([2, 12]);
    // All that may stand before the first weights: a part of the picture in another order of its channels, a border, a norm.
    let mut draw = Draw::new(3, &device, dtype);
    let before = nets::chain([
        ("colours", Layer::Select(Select { axis: 1, indices: vec![2, 0, 1] })),
        ("rows", Layer::Select(Select { axis: 2, indices: (1..6).collect() })),
        ("border", Layer::Pad(Pad { axis: 3, before: 0, after: 2, value: 0.5 })),
        ("dropout", Layer::Dropout),
        ("conv", Layer::Convolution(draw.convolution([6, 1, 3, 3]).with_groups(3).with_padding([1, 2]))),
        ("flatten", Layer::Flatten),
        ("logits", Layer::Linear(draw.linear([4, 6 * 5 * 12]))),
    ]);
    let norm = nets::chain([
        ("norm", Layer::BatchNorm(draw.batch_norm(3))),
        ("conv", Layer::Convolution(draw.convolution([4, 3, 3, 3]).with_padding([1, 1]))),
        ("flatten", Layer::Reshape { shape: vec![4 * 7 * 8] }),
        ("logits", Layer::Linear(draw.linear([4, 4 * 7 * 8]))),
    ]);
    let flat_norm = Layer::BatchNorm(BatchNorm { epsilon: 1e-3, ..draw.batch_norm(12) });
    let flat = nets::chain([
        ("flatten", Layer::Flatten),
        ("norm", flat_norm),
        ("logits", Layer::Linear(draw.linear([3, 12]))),
    ]);
    vec![
        ("VGG", nets::small_vgg(&device, dtype), pictures(9, 8)),
        ("branches", nets::branches(&device, dtype), pictures(13, 11)),
        ("linear", nets::linear(weight), pictures(2, 2)),
        ("before", before, pictures(7, 8)),
        ("norm", norm, pictures(7, 8)),
        ("flat norm", flat, pictures(2, 2)),
        ("two readers", two_readers(dtype), pictures(7, 8)),
    ]
}

/// The pictures are read by two convolutions, one without a bias.
fn two_readers(dtype: DType) -> Network {
    let mut draw = Draw::new(4, &Device::default(), dtype);
    let mut net = NetworkBuilder::new();
    let input = net.input();
    let mut add = |name, layer, inputs: &[NodeId]| net.add(name, layer, inputs).unwrap();
    let wide = draw.convolution([4, 3, 5, 5]).with_padding([2, 2]).with_stride([1, 2]);
    let narrow = Convolution { bias: None, ..draw.convolution([4, 3, 3, 1]) };
    let narrow = narrow.with_dilation([2, 1]).with_padding([2, 0]).with_stride([1, 2]);
    let wide = add("wide", Layer::Convolution(wide), &[input]);
    let narrow = add("narrow", Layer::Convolution(narrow), &[input]);
    let sum = add("sum", Layer::Sum, &[wide, narrow]);
    add("flatten", Layer::Flatten, &[sum]);
    net.build().unwrap()
}

fn with(shift: &[f32], pictures: &Tensor<4>) -> Tensor<4> {
    pictures.clone() + InputShift { shift: shift.to_vec() }.added_to(pictures).unwrap()
}

fn means(network: &Network, method: &dyn Attributor<Network>, pictures: &Tensor<4>, shift: &[f32]) -> [f64; 2] {
    let subject = Subject::of_network(network, method, pictures.clone(), &Target::Class(1)).unwrap();
    let readings = InputShift { shift: shift.to_vec() }.measure(&subject).unwrap();
    [0, 1].map(|index| crate::Summary::of(&readings[index].values).mean.unwrap())
}

#[test]
fn the_shifted_network_is_the_same_function_up_to_the_border() {
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-5)] {
        for (name, network, pictures) in networks(dtype) {
            let logits = values(network.logits(pictures.clone()).unwrap());
            for shift in [&[-1.7][..], &[0.3; 3], &SHIFT] {
                let shifted = shifted_network(&network, shift).unwrap();
                let distance = relative_l2(&values(shifted.logits(with(shift, &pictures)).unwrap()), &logits);
                assert!(distance < tolerance, "{name}, {dtype:?}, {shift:?}: {distance}");
                // And it is not the network that it was.
                let distance = relative_l2(&values(shifted.logits(pictures.clone()).unwrap()), &logits);
                assert!(distance > 1e-3, "{name}, {dtype:?}, {shift:?}: {distance}");
            }
        }
    }
}

#[test]
fn a_border_of_zeros_would_be_another_function() {
    let (_, network, pictures) = networks(DType::F64).remove(0);
    let shifted = shifted_network(&network, &[1.0]).unwrap();
    let careless = rebuild(&network, |builder, _, node, inputs| match node.layer().clone() {
        Layer::Convolution(convolution) if node.name() == "features.0" => {
            let Layer::Convolution(absorbed) = shifted.node(shifted.find("features.0")?).layer().clone() else {
                unreachable!("it still is a convolution");
            };
            let convolution = Convolution { bias: absorbed.bias, ..convolution };
            builder.add(node.name(), Layer::Convolution(convolution), inputs)
        }
        layer => builder.add(node.name(), layer, inputs),
    });
    let careless = careless.unwrap().logits(pictures.clone() + 1.0).unwrap();
    let logits = network.logits(pictures.clone()).unwrap();
    assert!(relative_l2(&values(careless.clone()), &values(logits.clone())) > 1e-2);
    assert!(check_equal(logits.clone(), careless.clone()).unwrap_err().to_string().contains("make the shift smaller"));
    check_equal(logits.clone(), shifted.logits(pictures + 1.0).unwrap()).unwrap();
    // One wrong picture is enough, however large the logits of the others are; and so is one that is not a number.
    let loud = |tensor: Tensor<2>| Tensor::cat(vec![logits.clone() * 1e6, tensor], 0);
    assert!(check_equal(loud(logits.clone()), loud(careless)).is_err());
    assert!(check_equal(logits.clone(), logits * f32::NAN).is_err());
}

#[test]
fn gradients_stay_and_products_with_the_input_change() {
    for (dtype, tolerance) in [(DType::F64, 1e-6), (DType::F32, 1e-4)] {
        for (_, network, pictures) in networks(dtype).into_iter().take(2) {
            for shift in [&[-1.0][..], &SHIFT] {
                let distance = |method: &dyn Attributor<Network>| means(&network, method, &pictures, shift);
                let unchanged: [(&dyn Attributor<Network>, _); 3] = [
                    (&VanillaGradient, "gradient"),
                    (&GuidedBackprop, "guided backprop"),
                    (&GradCam::new(), "Grad-CAM"),
                ];
                for (method, name) in unchanged {
                    let [distance, correlation] = distance(method);
                    // Grad-CAM cuts off at 0, and rounding says which of many equal values are the larger.
                    assert!(distance < tolerance && correlation > 0.99, "{name}: {distance} {correlation}");
                }
                let integrated = IntegratedGradientsConfig { steps: 10, ..Default::default() }.init().unwrap();
                for (method, name) in [(&InputXGradient as &dyn Attributor<Network>, "product"), (&integrated, "IG")] {
                    let [distance, correlation] = distance(method);
                    assert!(distance > 0.1 && correlation < 0.99, "{name}: {distance} {correlation}");
                }
            }
        }
    }
}

#[test]
fn integrated_gradients_stay_where_the_baseline_moves_too() {
    let integrated = |baseline: Baseline| -> IntegratedGradients {
        IntegratedGradientsConfig { steps: 10, baseline, ..Default::default() }.init().unwrap()
    };
    let (_, network, pictures) = networks(DType::F64).remove(0);
    // A blurred picture is shifted as the picture is.
    let [distance, correlation] = means(&network, &integrated(Baseline::Blurred { sigma: 2.0 }), &pictures, &SHIFT);
    assert!(distance < 1e-6 && correlation > 0.999_99, "{distance} {correlation}");
    // Zero, shifted by hand.
    let shifted = shifted_network(&network, &SHIFT).unwrap();
    let map = integrated(Baseline::Zero).attribute(&network, pictures.clone(), &Target::Class(1)).unwrap().map;
    let moved = integrated(Baseline::Color(SHIFT.to_vec()));
    let moved = moved.attribute(&shifted, with(&SHIFT, &pictures), &Target::Class(1)).unwrap().map;
    assert!(relative_l2(&values(moved), &values(map)) < 1e-6);
}

#[test]
fn linear_net_by_hand() {
    // Φ = x · w. Shifted: (x + 2) · w, which is w · 2 away: ‖2w‖ / ‖x · w‖ = 2 · 5 / √(9 + 64).
    let device = Device::default();
    let network = nets::linear(Tensor::from_data([[3.0, 4.0]], &device));
    let picture = Tensor::from_data([[[[1.0, 2.0]]]], &device);
    let subject = Subject::of_network(&network, &InputXGradient, picture, &Target::Class(0)).unwrap();
    let readings = InputShift { shift: vec![2.0] }.measure(&subject).unwrap();
    assert!((readings[0].values[0].unwrap() - 10.0 / 73.0f64.sqrt()).abs() < 1e-5);
    // Two pixels with the map 3, 8, then 9, 16: in the same order.
    assert!((readings[1].values[0].unwrap() - 1.0).abs() < 1e-12);
    // Two colours, 3 and 4 by 1 and −1: x · w = (3, 8) becomes (6, 4), which is (3, −4) away.
    let picture = Tensor::from_data([[[[1.0]], [[2.0]]]], &device);
    let subject = Subject::of_network(&network, &InputXGradient, picture, &Target::Class(0)).unwrap();
    let readings = InputShift { shift: vec![1.0, -1.0] }.measure(&subject).unwrap();
    assert!((readings[0].values[0].unwrap() - 5.0 / 73.0f64.sqrt()).abs() < 1e-5);
    // One pixel has no order, and a map of zeros no length.
    assert_eq!(readings[1].values, [None]);
    let black = Tensor::<4>::zeros([1, 2, 1, 1], &device);
    let subject = Subject::of_network(&network, &InputXGradient, black, &Target::Class(0)).unwrap();
    assert!(InputShift::default().measure(&subject).unwrap().iter().all(|reading| reading.values == [None]));
}

#[test]
fn a_pictures_value_does_not_depend_on_its_company() {
    let (_, network, pictures) = networks(DType::F64).remove(0);
    let measure = |pictures: Tensor<4>, batch: usize| {
        let subject = Subject::of_network(&network, &InputXGradient, pictures, &Target::Class(0)).unwrap();
        let subject = subject.with_batches(MicroBatcher::new(batch).unwrap());
        InputShift::default().measure(&subject).unwrap().into_iter().map(|reading| reading.values).collect::<Vec<_>>()
    };
    let (all, alone) = (measure(pictures.clone(), 3), measure(select_images(&pictures, [2]), 1));
    for (all, alone) in all.iter().zip(&alone) {
        assert!((all[2].unwrap() - alone[0].unwrap()).abs() < 1e-6);
    }
}

#[test]
fn what_cannot_be_shifted_is_named() {
    let device = Device::default();
    let refused = |network: &Network, shift: &[f32]| shifted_network(network, shift).unwrap_err().to_string();
    let pool = Layer::AveragePool(AveragePool {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [1, 1],
        count_include_pad: true,
        ceil_mode: false,
    });
    for (name, layer) in [("relu", Layer::Relu), ("pool", pool)] {
        let network = nets::chain([(name, layer), ("flatten", Layer::Flatten)]);
        assert!(refused(&network, &[1.0]).contains(&format!("layer {name} (")), "{}", refused(&network, &[1.0]));
    }
    // A linear layer on the columns of a map knows no channels: it can absorb one number, but not one for each.
    let columns = Layer::Linear(Draw::new(5, &device, DType::F32).linear([2, 3]));
    let columns = nets::chain([("columns", columns), ("flatten", Layer::Flatten)]);
    assert!(shifted_network(&columns, &[1.0]).is_ok());
    assert!(refused(&columns, &SHIFT).contains("layer columns (linear)"));
    let (_, network, pictures) = networks(DType::F64).remove(0);
    assert!(refused(&network, &[f32::NAN]).contains("`shift` is [NaN]"));
    assert!(refused(&network, &[]).contains("`shift` is []"));
    assert!(refused(&network, &[1.0, 2.0]).contains("the first layer reads 3"));
    let subject = Subject::of_network(&network, &VanillaGradient, pictures, &Target::Top).unwrap();
    let error = InputShift { shift: vec![1.0; 2] }.measure(&subject).unwrap_err().to_string();
    assert!(error.contains("each of the 3 channels"), "{error}");

    let model = AutodiffModel::from_closure(|images: Tensor<4>| images.flatten::<2>(1, 3));
    let pictures = nets::pictures([1, 1, 2, 2], &device, DType::F32);
    let subject = Subject::of_model(&model, &VanillaGradient, pictures, &Target::Top).unwrap();
    let error = InputShift::default().measure(&subject).unwrap_err().to_string();
    assert!(error.contains("input-shift") && error.contains("Network"), "{error}");
}
