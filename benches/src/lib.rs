#![doc = include_str!("../README.md")]

mod bare;
mod memory;
mod subject;

pub use bare::BareVgg;
pub use memory::{forget_peak_memory, memory, peak_memory};
pub use subject::{Subject, devices, settle};

use std::time::{Duration, Instant};

/// How long each of some works takes over `repetitions`, run in turns: what slows the machine down for a while slows all
/// of them.
pub fn in_turns<const N: usize>(repetitions: usize, mut works: [&mut dyn FnMut(); N]) -> [Timing; N] {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    works.iter_mut().for_each(|work| work()); // Warm caches and allocators.
    for _ in 0..repetitions.max(1) {
        for (work, times) in works.iter_mut().zip(&mut times) {
            let start = Instant::now();
            work();
            times.push(start.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort();
        Timing { median: times[times.len() / 2], fastest: times[0] }
    })
}

/// What some repetitions of a work took.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Half of them took longer.
    pub median: Duration,
    /// The one that was disturbed least.
    pub fastest: Duration,
}
