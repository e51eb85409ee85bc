//! The suite accepts a method that is right and names what is wrong with one that is not.
#![allow(clippy::unwrap_used)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use burn::tensor::{DType, Device, Tensor};
use burnsight_core::{Attribution, Attributor, Classifier, Differentiable, Result, Seed, Target};
use burnsight_network::{ExactGradient, Network, Trace, TraceAttributor};
use burnsight_testkit::{conformance, nets, trace_conformance};

/// What a method may get wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    SwappedAxes,
    LeakingBatch,
    Unseeded,
    NotFinite,
    Silent,
    WrongScores,
    WrongClass,
    DeafToTarget,
    Unpinned,
    Nameless,
    AcceptsAnything,
    WrongRefusal,
    WrongTrace,
}

/// The gradient, with a fault.
struct Faulty {
    fault: Fault,
    calls: AtomicU64,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self { fault, calls: AtomicU64::new(0) }
    }
}

impl Attributor<Network> for Faulty {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        let fault = self.fault;
        let swapped = match target {
            Target::Contrast { class, against } if fault == Fault::WrongClass => {
                Target::Contrast { class: *against, against: *class }
            }
            Target::Class(_) | Target::Classes(_) | Target::Weighted(_) if fault == Fault::DeafToTarget => {
                let scores = target.score(network.logits(images.clone())?)?.values;
                let top = network.gradient(images, &Target::Class(0))?;
                let mut attribution = top.into_attribution("deaf");
                attribution.scores = scores;
                return Ok(attribution);
            }
            Target::Class(class) if fault == Fault::AcceptsAnything => Target::Class(class % 5),
            other => other.clone(),
        };
        if fault == Fault::WrongRefusal {
            swapped
                .pin(&Tensor::zeros([images.dims()[0].max(1), 5], &images.device()))
                .map_err(|error| burnsight_core::Error::Backend(error.to_string()))?;
        }
        let mut attribution = network.gradient(images, &swapped)?.into_attribution("faulty");
        let map = attribution.map;
        let device = map.device();
        attribution.map = match fault {
            Fault::SwappedAxes => map.swap_dims(2, 3),
            Fault::LeakingBatch => map.clone() + map.mean_dim(0),
            Fault::Unseeded => {
                let noise =
                    Seed(self.calls.fetch_add(1, Ordering::Relaxed)).normal(0, [1], &device).into_scalar::<f32>();
                map * (1.0 + 1e-3 * noise)
            }
            Fault::NotFinite => map / 0.0,
            Fault::Silent => map.zeros_like(),
            _ => map,
        };
        match fault {
            Fault::WrongScores => attribution.scores.iter_mut().for_each(|score| *score *= 1.01),
            Fault::Unpinned => attribution.target = target.clone(),
            Fault::Nameless => attribution.provenance.method.clear(),
            _ => {}
        }
        Ok(attribution)
    }
}

impl TraceAttributor for Faulty {
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        let mut attribution = trace.input_gradient(target, &ExactGradient)?.into_attribution("faulty");
        if self.fault == Fault::WrongTrace {
            attribution.map = attribution.map * 1.0001;
        }
        Ok(attribution)
    }
}

fn run(fault: Fault) {
    let device = Device::default();
    let network = nets::small_vgg(&device, DType::F32);
    let images = || nets::pictures([3, 3, 11, 9], &device, DType::F32);
    conformance(&Faulty::new(fault), &network, images());
    trace_conformance(&Faulty::new(fault), &network, images());
}

#[test]
fn a_correct_method_passes() {
    run(Fault::None);
}

#[test]
fn every_fault_is_named() {
    for (fault, expected) in [
        (Fault::SwappedAxes, "shape"),
        (Fault::LeakingBatch, "another map alone"),
        (Fault::Unseeded, "the same call twice"),
        (Fault::NotFinite, "not finite"),
        (Fault::Silent, "every map is zero"),
        (Fault::WrongScores, "the model says"),
        (Fault::WrongClass, "class 4 against class 0: scores"),
        (Fault::DeafToTarget, "different maps"),
        (Fault::Unpinned, "not pinned"),
        (Fault::Nameless, "names no method"),
        (Fault::AcceptsAnything, "class 5 was accepted"),
        (Fault::WrongRefusal, "should be refused as a target"),
        (Fault::WrongTrace, "a shared trace and a run of its own"),
    ] {
        let panic = catch_unwind(AssertUnwindSafe(|| run(fault))).expect_err("the fault went unnoticed");
        let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        let message =
            if message.is_empty() { panic.downcast_ref::<&str>().unwrap_or(&"").to_string() } else { message };
        assert!(message.contains(expected), "{fault:?}: {message}");
    }
}
