//! Models: networks with what it takes to use them.

use std::{
    fs::File,
    path::{Path, PathBuf},
    thread,
};

use burn::tensor::Device;
use burnsight_core::{Error, Result};
use burnsight_network::{Network, WeightFile};
use burnsight_vgg::VggConfig;

use crate::{BUILT_IN, Cache, Card, InputCard, Labels, Preprocessing, built_in, sum, torchvision};

/// A network with what it takes to use it.
#[derive(Debug, Clone)]
pub struct Model {
    /// The name in the tool, or of the file.
    pub name: String,
    /// The weight file; none for what is built in.
    pub file: Option<PathBuf>,
    /// SHA-256 of the weight file, in hexadecimal.
    pub sha256: String,
    /// The layers.
    pub network: Network,
    /// How pictures are prepared for it.
    pub preprocessing: Preprocessing,
    /// Names of its classes.
    pub labels: Labels,
    /// What was assumed about it, one sentence each.
    pub notes: Vec<String>,
}

/// What is known about a model before its weights are loaded: a row of the tool's table.
#[derive(Debug, Clone)]
pub struct Description {
    /// The name to ask for.
    pub name: String,
    /// What kind of network it is.
    pub architecture: String,
    /// Number of weights.
    pub parameters: usize,
    /// Number of classes.
    pub classes: usize,
    /// Height and width of its input, in pixels.
    pub size: [usize; 2],
    /// Share of validation pictures it gets right at that size.
    pub accuracy: f64,
    /// Who says so.
    pub accuracy_source: String,
    /// What there is to fetch, in bytes; nothing for what is built in.
    pub download: Option<u64>,
    /// What it is for, and what not.
    pub intended_use: String,
    /// The licence of the weights.
    pub licence: String,
}

/// The models that can be asked for by name.
///
/// # Errors
/// [`Error::Model`] when a card cannot be read.
pub fn models() -> Result<Vec<Description>> {
    let torchvision = torchvision::MODELS.iter().map(torchvision::Entry::description);
    Ok(std::iter::once(built_in::description()?).chain(torchvision).collect())
}

/// The model of that name, on a device: built in, or from the platform's [`Cache`]. Nothing is downloaded.
///
/// # Errors
/// [`Error::Parameter`] for an unknown name, listing those there are; [`Error::Model`] when its weights have not been
/// fetched, saying how, or are not what they should be.
pub fn load(name: &str, device: &Device) -> Result<Model> {
    if name == BUILT_IN {
        return built_in::load(device);
    }
    let entry = torchvision::find(name)?;
    let path = Cache::of_platform()?.require(name)?;
    load_file(&path, &entry.card(), device).map_err(|error| match error {
        Error::Model { model, problem } => {
            Error::model(model, format!("{problem}; `burnsight models fetch {name}` fetches it anew"))
        }
        other => other,
    })
}

/// A model from a file, on a device: any classifier as `.onnx`, or a VGG of any depth, width and head as `.safetensors` or
/// `.pth`, whose architecture is recognised from the shapes. What `settings` leave open is taken from the [`Card`] beside the
/// file, then from the file itself, then assumed, with a note.
///
/// # Errors
/// [`Error::Model`] when the file is not whole, is not a VGG or has an operation that is not supported, holds NaN, or is not
/// what a card says it is; [`Error::Parameter`] for a setting out of range. Nothing is loaded then.
pub fn load_file(path: &Path, settings: &Card, device: &Device) -> Result<Model> {
    let file = path.display().to_string();
    let sidecar = Card::beside(path)?.unwrap_or_default();
    let size = settings.input.size.or(sidecar.input.size);
    // The sum takes as long as the rest: both at once.
    let (sum, loaded) = thread::scope(|scope| {
        let sum = scope.spawn(|| File::open(path).and_then(sum::sha256));
        let loaded = match is_onnx(path) {
            true => onnx(path, size, device),
            false => WeightFile::open(path, device).and_then(|weights| vgg(&file, weights)).map(|vgg| (vgg, None)),
        };
        (sum.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), loaded)
    });
    if let Ok(sum) = &sum {
        for stated in [&settings.sha256, &sidecar.sha256].into_iter().flatten() {
            sum::check(&file, sum, stated)?;
        }
    }
    let ((network, classes), own_size) = loaded?;
    let sha256 = sum.map_err(|error| Error::model(&file, format!("cannot be read: {error}")))?;
    let own = Card { input: InputCard { size: own_size, ..InputCard::default() }, ..Card::default() };
    let card = settings.clone().or(sidecar).or(own);
    let stem = || path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let name = card.name.clone().unwrap_or_else(stem);
    let (labels, preprocessing, mut notes) = card.complete(&name, classes)?;
    notes.extend(
        network.trailing_softmax().map(|softmax| format!("{softmax} at the end is set aside: logits are explained")),
    );
    Ok(Model { name, file: Some(path.to_path_buf()), sha256, network, preprocessing, labels, notes })
}

impl Model {
    /// The same model with other labels or preprocessing, as far as the card says so.
    ///
    /// # Errors
    /// As [`Card::complete`].
    pub fn with_settings(self, settings: &Card) -> Result<Self> {
        let card = settings.clone().or((self.labels.clone(), self.preprocessing.clone()).into());
        let (labels, preprocessing, _) = card.complete(&self.name, self.labels.len())?;
        Ok(Self { labels, preprocessing, ..self })
    }
}

/// Whether a file is an ONNX file, by its name.
pub fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
}

/// A network with its number of classes.
type Classes = (Network, usize);

/// The network of an ONNX file and the size of its pictures.
fn onnx(path: &Path, size: Option<[usize; 2]>, device: &Device) -> Result<(Classes, Option<[usize; 2]>)> {
    let model = burnsight_onnx::open(path, size, device)?;
    let [channels, height, width] = model.input;
    if channels != 3 {
        let problem =
            format!("it reads pictures of {channels} colour, and pictures are prepared in three: use the library");
        return Err(Error::model(path.display(), problem));
    }
    let shapes = model.network.shapes(model.input)?;
    let output = model.network.nodes().position(|(id, _)| id == model.network.output());
    let classes = output.map_or(0, |output| shapes[output].iter().product());
    Ok(((model.network, classes), Some([height, width])))
}

/// The network of a file and its number of classes.
pub(crate) fn vgg(file: &str, weights: WeightFile) -> Result<Classes> {
    let config = VggConfig::recognise(&weights.shapes()).map_err(|error| match error {
        Error::Model { problem, .. } => Error::model(file, format!("not a VGG: {problem}")),
        other => other,
    })?;
    Ok((config.build(weights)?, config.classes))
}
