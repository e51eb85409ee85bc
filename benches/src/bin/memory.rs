//! The most memory that a gradient of VGG-16 takes, against its weights and one trace. In a process of its own, because
//! memory once used is not always given back.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor};
use burnsight::{
    Target,
    network::{ExactGradient, Layer, Network},
};
use burnsight_benches::{Subject, devices, forget_peak_memory, memory, peak_memory, settle};

fn main() -> Result<()> {
    let unknown = "no /proc/self/status: this figure is taken on Linux only";
    let (backend, device) = devices().into_iter().next().context("no backend is compiled in")?;
    let network = Subject::Vgg16.network(&device)?;
    let picture = Subject::Vgg16.picture(&device);
    settle(&device);
    let (before, loading) = (memory().context(unknown)?, peak_memory().context(unknown)?);
    anyhow::ensure!(forget_peak_memory(), "cannot reset the peak: /proc/self/clear_refs is not writable");
    let trace_bytes = gradient(&network, picture, &device)?;
    let peak = peak_memory().context(unknown)?;

    let weights = weight_bytes(&network);
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    let mut out = stdout();
    writeln!(out, "{backend}, VGG-16, one picture of 224 × 224; MB")?;
    writeln!(out, "weights               {:8.1}", megabytes(weights))?;
    writeln!(out, "one trace             {:8.1}", megabytes(trace_bytes))?;
    writeln!(
        out,
        "process, loaded       {:8.1}  (peak while the weights were drawn {:.1})",
        megabytes(before),
        megabytes(loading)
    )?;
    writeln!(out, "process, peak         {:8.1}  during record and input gradient", megabytes(peak))?;
    writeln!(out, "peak / (weights + trace)  {:.2}", peak as f64 / (weights + trace_bytes) as f64)?;
    Ok(())
}

/// Records and walks back; returns what the trace takes.
fn gradient(network: &Network, picture: Tensor<4>, device: &Device) -> Result<usize> {
    let trace = network.record(picture)?;
    let gradient = trace.input_gradient(&Target::Class(0), &ExactGradient)?;
    settle(device);
    drop(gradient);
    Ok(trace.bytes())
}

fn weight_bytes(network: &Network) -> usize {
    let numbers = |layer: &Layer| match layer {
        Layer::Convolution(layer) => count(&layer.weight) + layer.bias.as_ref().map_or(0, count),
        Layer::Linear(layer) => count(&layer.weight) + layer.bias.as_ref().map_or(0, count),
        _ => 0,
    };
    network.nodes().map(|(_, node)| numbers(node.layer())).sum::<usize>() * size_of::<f32>()
}

fn count<const D: usize>(tensor: &Tensor<D>) -> usize {
    tensor.shape().num_elements()
}
