use burn::tensor::{Tensor, TensorData};
use burnsight_core::{Classifier, Error, Result, Target, read, select_images};
use burnsight_network::{BatchNorm, Convolution, Layer, Linear, Network, NodeId};
use serde_json::{Value, json};

use crate::{Direction, Metric, Reading, Subject, rebuild::rebuild, robustness::norms};

/// Implementation invariance: do two networks that compute the same function get the same map?
///
/// The network is written down in other ways that give the same logits for every picture, and explained again:
///
/// ```text
/// folded      every batch norm is folded into the layer before it
/// rescaled    hidden channel k is c_k times as large and read with weights 1 / c_k times as large, c_k = ¼, ½, 1, 2 or 4
/// split       every hidden channel is there twice, and read with weights 2w and −w instead of w
///
/// value    = ‖A' − A‖ / ‖A‖          A   map of the network as it is        A'   map of the rewritten one
/// ```
///
/// The axiom of Sundararajan et al. 2017, <https://arxiv.org/abs/1703.01365>. The lower the better; one reading for
/// each way. Everything that is computed from the function alone gets 0 up to rounding: gradients, integrated
/// gradients, occlusion. What treats positive and negative weights or relevance apart does not survive the split:
/// deconvnet, guided backpropagation, LRP with γ or αβ.
///
/// Undefined for a map of zeros, where nothing can be rewritten in that way, and where rounding moves a logit by more
/// than 10⁻⁴ of the largest.
///
/// # Cost
/// Three times the method, and six forward passes per picture.
///
/// # When it misleads
/// It is an axiom, not a measure: that a map depends on the weights and not only on the function may be what is asked
/// for, when it is the network that is to be understood. And 0 says nothing about faithfulness.
///
/// # Where ours differs
/// The paper states the axiom and gives an example for DeepLIFT and LRP; no library measures it, and the three ways
/// are ours. Hidden channels are rewritten between a convolution or linear layer (with or without a batch norm) and
/// the next one, where nothing but a ReLU, pools, dropout and a flattening lies in between and nothing else reads
/// them.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImplementationInvariance;

impl ImplementationInvariance {
    /// The name in the tool; readings add the way in which the network was rewritten.
    pub const NAME: &str = "implementation-invariance";

    /// How much a logit may move, as a share of the picture's largest.
    const TOLERANCE: f64 = 1e-4;
}

impl Metric for ImplementationInvariance {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365"
    }

    fn parameters(&self) -> Value {
        json!({})
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let network = subject.network(Self::NAME)?;
        if let unit @ Target::Unit { .. } = subject.target() {
            return Err(Error::target(
                unit,
                "in the same function of other layers it is another unit: explain a class",
            ));
        }
        let ways = [("folded", folded(network)), ("rescaled", rescaled(network)?), ("split", split(network)?)];
        let reading = |(way, rewritten): (&str, Option<Network>)| {
            let values = match rewritten {
                Some(rewritten) => distances(subject, network, &rewritten)?,
                None => vec![None; subject.count()],
            };
            Ok(Reading::new(format!("{}, {way}", Self::NAME), Direction::Lower, values))
        };
        ways.into_iter().map(reading).collect()
    }
}

fn distances(subject: &Subject<'_>, network: &Network, rewritten: &Network) -> Result<Vec<Option<f64>>> {
    let mut distances = Vec::with_capacity(subject.count());
    subject.batches().run(subject.count(), 1, |rows| {
        let of = || rows.iter().map(|row| row.image);
        let images = select_images(subject.images(), of());
        let before = read(network.logits(images.clone())?)?;
        let after = read(rewritten.logits(images.clone())?)?;
        let map = select_images(&subject.attribution().map.clone().inner(), of());
        let target = subject.target().select(of());
        let again = subject.explain_on(ImplementationInvariance::NAME, rewritten, images, &target)?.map.inner();
        let moved = norms(&read(again - map.clone())?, rows.len());
        let norms = norms(&read(map)?, rows.len());
        let logits = before.len() / rows.len();
        let pictures = before.chunks(logits).zip(after.chunks(logits)).zip(moved.into_iter().zip(norms));
        distances.extend(pictures.map(|((before, after), (moved, norm))| {
            let is_defined = norm > 0.0 && is_same(before, after);
            is_defined.then(|| moved / norm).filter(|distance| distance.is_finite())
        }));
        Ok(())
    })?;
    Ok(distances)
}

fn is_same(before: &[f32], after: &[f32]) -> bool {
    let largest = before.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
    let allowed = ImplementationInvariance::TOLERANCE * f64::from(largest);
    before.iter().zip(after).all(|(before, after)| f64::from((before - after).abs()) <= allowed)
}

fn folded(network: &Network) -> Option<Network> {
    let folded = network.fold_batch_norms();
    let is_shorter = folded.nodes().len() < network.nodes().len();
    is_shorter.then_some(folded)
}

fn rescaled(network: &Network) -> Result<Option<Network>> {
    rewritten(network, |hidden, layers| {
        // Powers of two: no product is rounded.
        let scale = |channel: usize| 2f32.powi((channel % 5) as i32 - 2);
        let scales: Vec<f32> = (0..hidden.channels).map(scale).collect();
        let last = hidden.norm.unwrap_or(hidden.layer);
        layers[last] = with_outputs_scaled(&layers[last], &scales);
        let recips: Vec<f32> = scales.iter().map(|scale| scale.recip()).collect();
        layers[hidden.reader] = with_inputs_scaled(&layers[hidden.reader], &recips);
    })
}

fn split(network: &Network) -> Result<Option<Network>> {
    rewritten(network, |hidden, layers| {
        for index in [Some(hidden.layer), hidden.norm].into_iter().flatten() {
            layers[index] = with_outputs_twice(&layers[index]);
        }
        layers[hidden.reader] = with_inputs_twice(&layers[hidden.reader]);
    })
}

/// The network with other layers at the same places, or none when no channels can be rewritten.
fn rewritten(network: &Network, mut rewrite: impl FnMut(&Hidden, &mut [Layer])) -> Result<Option<Network>> {
    let hidden: Vec<Hidden> = network.nodes().filter_map(|(id, _)| Hidden::behind(network, id)).collect();
    if hidden.is_empty() {
        return Ok(None);
    }
    let mut layers: Vec<Layer> = network.nodes().map(|(_, node)| node.layer().clone()).collect();
    hidden.iter().for_each(|hidden| rewrite(hidden, &mut layers));
    // The input is there already.
    let mut layers = layers.into_iter().skip(1);
    let rebuilt = rebuild(network, |builder, _, node, inputs| {
        builder.add(node.name(), layers.next().expect("one for every layer"), inputs)
    });
    rebuilt.map(Some)
}

/// Channels that one layer makes and one other reads, in nodes of the network.
struct Hidden {
    layer: usize,
    norm: Option<usize>,
    reader: usize,
    channels: usize,
}

impl Hidden {
    fn behind(network: &Network, layer: NodeId) -> Option<Self> {
        let index_of = |id: NodeId| network.nodes().position(|(other, _)| other == id);
        let channels = match network.node(layer).layer() {
            // Twice the outputs of a grouped one would be read by other groups.
            Layer::Convolution(convolution) if convolution.groups == 1 => convolution.weight.dims()[0],
            Layer::Linear(linear) => linear.weight.dims()[0],
            _ => return None,
        };
        let is_linear = matches!(network.node(layer).layer(), Layer::Linear(_));
        let (mut norm, mut has_relu, mut is_flat, mut at) = (None, false, is_linear, layer);
        loop {
            let mut readers = network.readers(at);
            let (Some(reader), None) = (readers.next(), readers.next()) else { return None };
            at = reader;
            match network.node(at).layer() {
                Layer::BatchNorm(_) if !has_relu && norm.is_none() => norm = Some(index_of(at)?),
                Layer::Relu => has_relu = true,
                Layer::Dropout => {}
                // Behind a linear layer on tokens these would mix up its channels with something else.
                Layer::MaxPool(_) | Layer::AveragePool(_) | Layer::AdaptiveAveragePool(_) if !is_linear => {}
                Layer::Flatten if !is_linear => is_flat = true,
                Layer::Convolution(reader) if has_relu && reader.groups == 1 => break,
                // On a map it would be about columns and not channels.
                Layer::Linear(_) if has_relu && is_flat => break,
                _ => return None,
            }
        }
        Some(Self { layer: index_of(layer)?, norm, reader: index_of(at)?, channels })
    }
}

/// As a tensor of the same kind as `like`.
fn vector(values: Vec<f32>, like: Tensor<1>) -> Tensor<1> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), (&like.device(), like.dtype()))
}

fn with_outputs_scaled(layer: &Layer, scales: &[f32]) -> Layer {
    let out = scales.len();
    let scaled = |values: &Tensor<1>| values.clone() * vector(scales.to_vec(), values.clone());
    match layer {
        Layer::Convolution(layer) => {
            let scales = vector(scales.to_vec(), layer.weight.clone().flatten(0, 3)).reshape([out, 1, 1, 1]);
            let bias = layer.bias.as_ref().map(scaled);
            Layer::Convolution(Convolution { weight: layer.weight.clone() * scales, bias, ..layer.clone() })
        }
        Layer::Linear(layer) => {
            let scales = vector(scales.to_vec(), layer.weight.clone().flatten(0, 1)).reshape([out, 1]);
            Layer::Linear(Linear::new(layer.weight.clone() * scales, layer.bias.as_ref().map(scaled)))
        }
        Layer::BatchNorm(norm) => {
            let (weight, bias) = (scaled(&norm.weight), scaled(&norm.bias));
            Layer::BatchNorm(BatchNorm { weight, bias, ..norm.clone() })
        }
        other => other.clone(),
    }
}

fn with_inputs_scaled(layer: &Layer, scales: &[f32]) -> Layer {
    match layer {
        Layer::Convolution(layer) => {
            let scales = vector(scales.to_vec(), layer.weight.clone().flatten(0, 3)).reshape([1, scales.len(), 1, 1]);
            Layer::Convolution(Convolution { weight: layer.weight.clone() * scales, ..layer.clone() })
        }
        Layer::Linear(layer) => {
            let [_, features] = layer.weight.dims();
            // Flattened, a channel is as many features in a row as its map has places.
            let places = features / scales.len();
            let scales = scales.iter().flat_map(|scale| vec![*scale; places]).collect();
            let scales = vector(scales, layer.weight.clone().flatten(0, 1)).reshape([1, features]);
            Layer::Linear(Linear::new(layer.weight.clone() * scales, layer.bias.clone()))
        }
        other => other.clone(),
    }
}

fn with_outputs_twice(layer: &Layer) -> Layer {
    match layer {
        Layer::Convolution(layer) => {
            let (weight, bias) = (twice(&layer.weight), layer.bias.as_ref().map(twice));
            Layer::Convolution(Convolution { weight, bias, ..layer.clone() })
        }
        Layer::Linear(layer) => Layer::Linear(Linear::new(twice(&layer.weight), layer.bias.as_ref().map(twice))),
        Layer::BatchNorm(norm) => {
            let BatchNorm { weight, bias, mean, variance, epsilon } = norm;
            let (weight, bias, mean, variance) = (twice(weight), twice(bias), twice(mean), twice(variance));
            Layer::BatchNorm(BatchNorm { weight, bias, mean, variance, epsilon: *epsilon })
        }
        other => other.clone(),
    }
}

fn twice<const D: usize>(values: &Tensor<D>) -> Tensor<D> {
    Tensor::cat(vec![values.clone(), values.clone()], 0)
}

/// 2w for the first copy of the channels and −w for the second.
fn with_inputs_twice(layer: &Layer) -> Layer {
    match layer {
        Layer::Convolution(layer) => {
            let weight = Tensor::cat(vec![layer.weight.clone() * 2.0, layer.weight.clone().neg()], 1);
            Layer::Convolution(Convolution { weight, ..layer.clone() })
        }
        Layer::Linear(layer) => {
            let weight = Tensor::cat(vec![layer.weight.clone() * 2.0, layer.weight.clone().neg()], 1);
            Layer::Linear(Linear::new(weight, layer.bias.clone()))
        }
        other => other.clone(),
    }
}
