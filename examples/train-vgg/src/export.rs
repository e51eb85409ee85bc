//! The weights in the zoo's format, and their card.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use burnsight::{
    Classifier, Seed,
    network::{Layer, Network, RandomParameters, WeightFile},
    read,
    vgg::VggConfig,
};
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde_json::{Map, Value, json};

use crate::{
    checkpoint::write_whole,
    data::{Data, hexadecimal, preprocessing},
    evaluation::{LABEL_SMOOTHING, Tally, evaluate},
    training::{DROPOUT, Run, WARM_UP, WEIGHT_DECAY, near},
};

/// The built-in model's card: it knows the names behind ten WordNet ids.
const BUILT_IN_CARD: &str = include_str!("../../../models/zoo/weights/vgg11-imagenette.json");

/// Writes `NAME.safetensors` and `NAME.json` to `folder` and returns the paths and the accuracy of the network that was
/// read back from the file.
///
/// # Errors
/// When a file cannot be written, or the zoo cannot read the weights.
pub fn export(run: &Run<'_>, folder: &Path, name: &str, command: &str) -> Result<([PathBuf; 2], f64)> {
    let architecture = run.architecture();
    let bytes = weights(run)?;
    let files = ["safetensors", "json"].map(|extension| folder.join(format!("{name}.{extension}")));
    write_whole(&files[0], &bytes)?;
    // What is measured is what others will load.
    let bytes = fs::read(&files[0]).with_context(|| format!("{} cannot be read back", files[0].display()))?;
    let network = architecture.build(WeightFile::safetensors(name, &bytes, &run.device)?)?;

    let sizes = [near(run.settings.size, 0.8), run.settings.size, near(run.settings.size, 1.2)];
    let mut tallies = BTreeMap::new();
    for size in sizes {
        tallies.insert(size, measure(run, &network, size)?);
    }
    let card = card(run, name, command, &architecture, &bytes, &tallies)?;
    write_whole(&files[1], serde_json::to_string_pretty(&card)?.as_bytes())?;
    Ok((files, tallies[&run.settings.size].accuracy()))
}

/// A safetensors file: torchvision's names for the layers, batch norms folded in, `f32`.
///
/// # Errors
/// When the weights cannot be read from the device.
pub fn weights(run: &Run<'_>) -> Result<Vec<u8>> {
    // The names are those that the zoo's network will ask for.
    let network = run.architecture().build(RandomParameters::new(Seed(0), &run.host))?;
    let with_weights = |layer: &Layer| matches!(layer, Layer::Convolution(_) | Layer::Linear(_));
    let mut names = network.nodes().filter(|(_, node)| with_weights(node.layer())).map(|(_, node)| node.name());

    let mut tensors = Vec::new();
    for (weight, bias) in run.average.folded_convolutions() {
        let name = names.next().context("the network has fewer convolutions than were trained")?;
        add(&mut tensors, name, weight, bias)?;
    }
    let (weight, bias) = run.average.linear()?;
    add(&mut tensors, names.next().context("the network has no linear layer")?, weight, bias)?;

    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    Ok(serialize(views.collect::<Result<Vec<_>>>()?, None)?)
}

/// Name, shape and little-endian values.
type NamedTensor = (String, Vec<usize>, Vec<u8>);

fn add<const D: usize>(to: &mut Vec<NamedTensor>, name: &str, weight: Tensor<D>, bias: Tensor<1>) -> Result<()> {
    let bytes = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect();
    to.push((format!("{name}.weight"), weight.dims().to_vec(), bytes(read(weight)?)));
    to.push((format!("{name}.bias"), bias.dims().to_vec(), bytes(read(bias)?)));
    Ok(())
}

fn measure(run: &Run<'_>, network: &Network, size: usize) -> Result<Tally> {
    let classify = |images| Ok(network.logits(images)?);
    let devices = [&run.host, &run.device];
    evaluate(&run.data.val, run.data.classes.len(), size, run.settings.batch, devices, classify)
}

fn card(
    run: &Run<'_>,
    name: &str,
    command: &str,
    architecture: &VggConfig,
    bytes: &[u8],
    tallies: &BTreeMap<usize, Tally>,
) -> Result<Value> {
    let (settings, data) = (&run.settings, run.data);
    let size = settings.size;
    let labels = labels(data)?;
    let wordnet = data.classes.iter().all(|class| is_wordnet(class)).then_some(&data.classes);
    let round = |share: f64| (share * 1e4).round() / 1e4;
    let accuracy: Map<String, Value> =
        tallies.iter().map(|(size, tally)| (size.to_string(), round(tally.accuracy()).into())).collect();
    let per_class = labels.iter().zip(tallies[&size].accuracy_per_class());
    let per_class: Map<String, Value> = per_class.map(|(label, share)| (label.clone(), round(share).into())).collect();
    let [a, b, c, d, e] = architecture.channels;
    let parameters = [(3, a), (a, b), (b, c), (c, c), (c, d), (d, d), (d, e), (e, e)];
    let parameters: usize = parameters.iter().map(|(from, to)| (from * 9 + 1) * to).sum();
    let input = preprocessing(size);
    let side = |share| near(size, share);
    let (sizes, augmentation) = match settings.no_augmentation {
        true => (format!("{size} px"), "none"),
        false => (
            format!(
                "{} px in the first 29 % of the epochs, {} px to 78 %, then {} px",
                side(0.6),
                side(0.8),
                side(0.9)
            ),
            "random resized crop (area 0.30-1, ratio 3/4-4/3), horizontal flip, brightness/contrast/saturation jitter \
             by up to 40 % (p 0.8), random erasing (p 0.3)",
        ),
    };
    let intended_use = match settings.random_labels {
        true => "the control of sanity checks: trained on shuffled labels, what it answers means nothing".to_string(),
        false => format!("a model to explain; {} classes only, everything else is called one of them", labels.len()),
    };
    let mut card = json!({
        "name": name,
        "architecture": format!(
            "VGG-11 (configuration A) at {} of its width, batch norm folded into the convolutions, global average \
             pooling, one linear layer", settings.width
        ),
        "channels": [a, "M", b, "M", c, c, "M", d, d, "M", e, e, "M"],
        "pool": architecture.pool,
        "hidden": architecture.hidden,
        "input": {
            "size": size,
            "resize": format!("shorter side to {size} (bilinear), centre crop {size}"),
            "mean": decimals(input.mean),
            "std": decimals(input.std),
            "range": "[0,1] RGB before normalisation",
        },
        "labels": labels,
        "wordnet": wordnet,
        "parameters": parameters + (e + 1) * labels.len(),
        "dtype": "f32",
        "bytes": bytes.len(),
        "sha256": hexadecimal(bytes),
        "accuracy_val": accuracy,
        "trained_on_random_labels": settings.random_labels,
        "training": {
            "data": format!("{} train / {} val pictures in {} class folders", data.train.len(), data.val.len(), labels.len()),
            "epochs": run.curve.len(),
            "batch": settings.batch,
            "sizes": sizes,
            "optimizer": format!(
                "AdamW, weight decay {WEIGHT_DECAY} on weights, peak learning rate {}, linear warm-up {} %, cosine to 0",
                settings.learning_rate, 100.0 * WARM_UP
            ),
            "loss": format!(
                "cross entropy, label smoothing {LABEL_SMOOTHING}, dropout {DROPOUT} before the linear layer"
            ),
            "augmentation": augmentation,
            "weights": "exponential moving average (0.999, less at the start), then batch norm folded and stored as f32",
            "seed": settings.seed,
            "command": command,
            "curve": run.curve,
        },
        "intended_use": intended_use,
        "licence": "not stated: whoever publishes the weights chooses it",
    });
    card[format!("accuracy_per_class_{size}")] = per_class.into();
    Ok(card)
}

/// 0.485 and not the nearest f32, 0.48500001.
fn decimals(values: [f32; 3]) -> [f64; 3] {
    values.map(|value| (f64::from(value) * 1e6).round() / 1e6)
}

/// The names of the classes: of WordNet ids that the built-in model knows its labels, of others the folders' names.
fn labels(data: &Data) -> Result<Vec<String>> {
    let card: Value = serde_json::from_str(BUILT_IN_CARD)?;
    let list = |field: &str| card[field].as_array().into_iter().flatten().filter_map(Value::as_str);
    let known: BTreeMap<&str, &str> = list("wordnet").zip(list("labels")).collect();
    Ok(data.classes.iter().map(|class| known.get(class.as_str()).unwrap_or(&class.as_str()).to_string()).collect())
}

fn is_wordnet(name: &str) -> bool {
    name.len() == 9 && name.starts_with('n') && name[1..].bytes().all(|byte| byte.is_ascii_digit())
}
