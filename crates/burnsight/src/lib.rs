#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub use burnsight_core::{
    Attribution, Attributor, AutodiffModel, Baseline, Classifier, Completeness, Differentiable, Error, InputGradient,
    MicroBatcher, Moments, Provenance, Result, Row, Score, Seed, Target, read,
};
pub use burnsight_device as device;
pub use burnsight_module as module;
pub use burnsight_network as network;

#[cfg(feature = "blur-integrated-gradients")]
pub use burnsight_blur_integrated_gradients::{BlurIntegratedGradients, BlurIntegratedGradientsConfig};
#[cfg(feature = "deconvnet")]
pub use burnsight_deconvnet::DeconvNet;
#[cfg(feature = "deep-taylor")]
pub use burnsight_deep_taylor::DeepTaylor;
#[cfg(feature = "deeplift")]
pub use burnsight_deeplift::{DeepLift, DeepLiftConfig, DeepLiftRule};
#[cfg(feature = "excitation-backprop")]
pub use burnsight_excitation_backprop::ExcitationBackprop;
#[cfg(feature = "expected-gradients")]
pub use burnsight_expected_gradients::{ExpectedGradients, ExpectedGradientsConfig};
#[cfg(feature = "grad-cam")]
pub use burnsight_grad_cam::GradCam;
#[cfg(feature = "guided-backprop")]
pub use burnsight_guided_backprop::GuidedBackprop;
#[cfg(feature = "guided-grad-cam")]
pub use burnsight_guided_grad_cam::GuidedGradCam;
#[cfg(feature = "guided-integrated-gradients")]
pub use burnsight_guided_integrated_gradients::{GuidedIntegratedGradients, GuidedIntegratedGradientsConfig};
#[cfg(feature = "input-x-gradient")]
pub use burnsight_input_x_gradient::InputXGradient;
#[cfg(feature = "integrated-gradients")]
pub use burnsight_integrated_gradients::{IntegratedGradients, IntegratedGradientsConfig, Quadrature};
#[cfg(feature = "lrp")]
pub use burnsight_lrp::{Composite, LayerRelevance, Layers, Lrp, LrpConfig, PixelBounds, Rule};
#[cfg(feature = "pattern-attribution")]
pub use burnsight_pattern_attribution::PatternAttribution;
#[cfg(feature = "pattern-net")]
pub use burnsight_pattern_net::{PatternEstimator, PatternNet, Patterns};
#[cfg(feature = "smoothgrad")]
pub use burnsight_smoothgrad::{SmoothGrad, SmoothGradConfig, Statistic};
#[cfg(feature = "vanilla-gradient")]
pub use burnsight_vanilla_gradient::VanillaGradient;

#[cfg(feature = "evaluation")]
pub use burnsight_evaluation as evaluation;
#[cfg(feature = "zoo")]
pub use burnsight_onnx as onnx;
#[cfg(feature = "zoo")]
pub use burnsight_vgg as vgg;
#[cfg(feature = "visualization")]
pub use burnsight_visualization as visualization;
#[cfg(feature = "zoo")]
pub use burnsight_zoo as zoo;
