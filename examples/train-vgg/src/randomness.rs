//! Random numbers, each with its own stream of the seed: none depends on how many were drawn before it, so a resumed run
//! draws what the whole run would have drawn.

use burnsight::Seed;
use rand::Rng;

/// What random numbers are for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Fresh weights, by number of the tensor.
    Weights,
    /// Shuffled labels.
    Labels,
    /// The order of the pictures, by epoch.
    Order,
    /// Which features are dropped, by epoch and step.
    Dropout,
    /// How a picture is changed, by epoch and picture.
    Augmentation,
}

/// The stream for one purpose, epoch and index. There is room for a million epochs and 10¹² indices.
pub fn stream(purpose: Purpose, epoch: usize, index: usize) -> u64 {
    ((purpose as u64) << 60) | ((epoch as u64) << 40) | index as u64
}

/// The generator of that stream.
pub fn generator(seed: u64, purpose: Purpose, epoch: usize, index: usize) -> impl Rng {
    Seed(seed).stream(stream(purpose, epoch, index))
}
