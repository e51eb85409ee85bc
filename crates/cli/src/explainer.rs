//! A method of the table with its settings, as an attributor for whatever explains again.

use burn::tensor::Tensor;
use burnsight::{
    Attribution, Attributor, Result, Target, evaluation::PixelValue, network::Network, visualization::ChannelReduction,
};

use crate::{methods::Method, settings::Settings};

/// Explains a network by a method of the table.
pub struct Explainer<'a> {
    pub method: &'static Method,
    pub settings: &'a Settings,
}

impl Attributor<Network> for Explainer<'_> {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        (self.method.explain)(self.settings, &network.record(images)?, target)
    }
}

impl Explainer<'_> {
    /// Maps whose colours are summed for drawing say for or against; of the others the magnitude is drawn.
    pub fn pixel_value(&self) -> PixelValue {
        match (self.method.style)(self.settings).reduction {
            ChannelReduction::Sum => PixelValue::Signed,
            _ => PixelValue::Magnitude,
        }
    }
}
