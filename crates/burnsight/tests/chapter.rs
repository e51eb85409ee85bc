//! The examples that *Interpretable Machine Learning* (Molnar, chapter "Pixel Attribution") works out by hand.
#![cfg(feature = "all-methods")]
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor};
use burnsight::{
    Attributor, DeconvNet, DeepLiftConfig, GuidedBackprop, IntegratedGradientsConfig, Target, VanillaGradient,
    network::{Layer, Linear, Network},
};
use burnsight_testkit::nets;

fn map(method: &impl Attributor<Network>, network: &Network, picture: Tensor<4>) -> Vec<f32> {
    method.attribute(network, picture, &Target::Class(0)).unwrap().map.into_data().iter().collect()
}

/// X = (1, 0; −1, −10) goes through a ReLU and R = (0.4, 1.1; −0.5, −0.1) comes back to it, which a linear layer with
/// these weights hands back. The gradient asks where X was positive, DeconvNet where R is, guided backpropagation both.
#[test]
fn relu() {
    let device = Device::default();
    let picture = || Tensor::from_data([[[[1.0, 0.0], [-1.0, -10.0]]]], &device);
    let weights = Tensor::from_data([[0.4, 1.1, -0.5, -0.1]], &device);
    let network = nets::chain([
        ("relu", Layer::Relu),
        ("flatten", Layer::Flatten),
        ("logit", Layer::Linear(Linear::new(weights, None))),
    ]);

    let trace = network.record(picture()).unwrap();
    let activated: Vec<f32> =
        trace.activation(network.find("relu").unwrap()).clone().flatten().into_data().iter().collect();
    assert_eq!(activated, [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(map(&VanillaGradient, &network, picture()), [0.4, 0.0, 0.0, 0.0]);
    assert_eq!(map(&DeconvNet, &network, picture()), [0.4, 1.1, 0.0, 0.0]);
    assert_eq!(map(&GuidedBackprop, &network, picture()), [0.4, 0.0, 0.0, 0.0]);
}

/// The saturation problem: y = 1 − ReLU(1 − x₁ − x₂) stays at 1 from x₁ + x₂ = 1 on, and there no pixel seems to matter.
#[test]
fn saturation() {
    let device = Device::default();
    let network = nets::saturation(&device, DType::F32);
    for (picture, score, gradient) in [([0.25, 0.5], 0.75, [1.0, 1.0]), ([1.0, 0.75], 1.0, [0.0, 0.0])] {
        let picture = Tensor::<4>::from_data([[[picture]]], &device);
        let answer = VanillaGradient.attribute(&network, picture.clone(), &Target::Top).unwrap();
        assert_eq!(answer.scores, [score]);
        assert_eq!(map(&VanillaGradient, &network, picture), gradient);
    }
}

/// What the chapter has against the gradient there, other methods answer: compared with (0, 0), where y = 0, the pixels
/// (1, ¾) raised y by 1. Up to x₁ + x₂ = 1, after 1 / 1¾ of the way, both slopes are 1: 1 / 1¾ · (1, ¾) = (4/7, 3/7).
#[test]
fn saturation_is_seen_through() {
    let device = Device::default();
    let network = nets::saturation(&device, DType::F32);
    let picture = || Tensor::from_data([[[[1.0, 0.75]]]], &device);
    assert_eq!(map(&VanillaGradient, &network, picture()), [0.0, 0.0]);
    let config = IntegratedGradientsConfig { steps: 1000, ..IntegratedGradientsConfig::default() };
    let integrated = map(&config.init().unwrap(), &network, picture());
    let deeplift = map(&DeepLiftConfig::default().init().unwrap(), &network, picture());
    for (map, error) in [(integrated, 2e-3), (deeplift, 1e-6)] {
        assert!((map[0] - 4.0 / 7.0).abs() < error && (map[1] - 3.0 / 7.0).abs() < error, "{map:?}");
    }
}
