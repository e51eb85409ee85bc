#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub use burnsight_core::{
    Attribution, Attributor, AutodiffModel, Baseline, Classifier, Completeness, Differentiable, Error, InputGradient,
    MicroBatcher, Moments, Provenance, Result, Row, Score, Seed, Target, read,
};
pub use burnsight_device as device;
pub use burnsight_module as module;
pub use burnsight_network as network;

#[cfg(feature = "deconvnet")]
pub use burnsight_deconvnet::DeconvNet;
#[cfg(feature = "grad-cam")]
pub use burnsight_grad_cam::GradCam;
#[cfg(feature = "guided-backprop")]
pub use burnsight_guided_backprop::GuidedBackprop;
#[cfg(feature = "guided-grad-cam")]
pub use burnsight_guided_grad_cam::GuidedGradCam;
#[cfg(feature = "input-x-gradient")]
pub use burnsight_input_x_gradient::InputXGradient;
#[cfg(feature = "smoothgrad")]
pub use burnsight_smoothgrad::{SmoothGrad, SmoothGradConfig, Statistic};
#[cfg(feature = "vanilla-gradient")]
pub use burnsight_vanilla_gradient::VanillaGradient;

#[cfg(feature = "zoo")]
pub use burnsight_onnx as onnx;
#[cfg(feature = "zoo")]
pub use burnsight_vgg as vgg;
#[cfg(feature = "visualization")]
pub use burnsight_visualization as visualization;
#[cfg(feature = "zoo")]
pub use burnsight_zoo as zoo;
