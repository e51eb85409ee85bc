//! What is measured, and where.

use burn::tensor::{Device, Tensor};
use burnsight::{
    Seed, device,
    network::{Network, RandomParameters},
    vgg::{Depth, VggConfig},
    zoo,
};

/// A network with a picture of its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The zoo's model: VGG-11 at half width, 10 classes, 160 × 160 pixels.
    BuiltIn,
    /// VGG-16 as in the paper, with random weights: 138 million weights, 1000 classes, 224 × 224 pixels.
    Vgg16,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::BuiltIn, Self::Vgg16];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Vgg16 => "vgg16",
        }
    }

    /// The network.
    ///
    /// # Errors
    /// Those of the device; the weights are known to be good.
    pub fn network(self, device: &Device) -> burnsight::Result<Network> {
        match self {
            Self::BuiltIn => Ok(zoo::load(zoo::BUILT_IN, device)?.network),
            Self::Vgg16 => VggConfig::new(Depth::Vgg16).build(RandomParameters::new(Seed(0), device)),
        }
    }

    /// One picture of noise, `[1, 3, h, w]`: what is in it makes no difference to the cost.
    pub fn picture(self, device: &Device) -> Tensor<4> {
        let side = match self {
            Self::BuiltIn => 160,
            Self::Vgg16 => 224,
        };
        Seed(1).normal(0, [1, 3, side, side], device)
    }
}

/// The first device of every backend that was compiled in and works on this machine.
pub fn devices() -> Vec<(&'static str, Device)> {
    let compiled = device::BACKENDS.into_iter().filter(|backend| backend.compiled);
    let open = |backend: device::Backend| match device::open(backend.name) {
        Ok(device) => Some((backend.name, device)),
        Err(error) => {
            eprintln!("{} is left out: {error}", backend.name);
            None
        }
    };
    compiled.filter_map(open).collect()
}

/// Waits until the device has done everything it was asked to do: a GPU would else be timed at taking orders.
pub fn settle(device: &Device) {
    device.sync().expect("the device works");
}
