//! The command line.

use std::{path::PathBuf, str::FromStr};

use burnsight::{MicroBatcher, zoo};
use clap::{Args, Parser, Subcommand, builder::FalseyValueParser};

/// Which pixels made the model say that, and should you believe the map?
#[derive(Debug, Parser)]
#[command(name = "burnsight", version, about, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Draw which pixels speak for a class, one picture per method, and a comparison of all
    Explain(Box<ExplainArguments>),
    /// Ask whether the maps are to be believed: does the map depend on the weights, does the score depend on the pixels
    Evaluate(Box<EvaluateArguments>),
    /// List the methods: what each is for, what it costs, where it comes from
    Methods,
    /// List the metrics of `evaluate`: what each asks, what it costs, where it comes from
    Metrics,
    /// List the models, or fetch the weights of one
    Models {
        #[command(subcommand)]
        command: Option<ModelsCommand>,
    },
    /// List the devices that this build can compute on
    Devices,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models (what `burnsight models` does)
    List,
    /// Download the weights of a model
    ///
    /// They go to the platform's cache folder, or to that of the environment variable BURNSIGHT_CACHE, and are checked by
    /// SHA-256. A download that was interrupted goes on where it was.
    Fetch(FetchArguments),
    /// Print a model's layers, shapes and parameters, and which methods work on it
    Inspect(InspectArguments),
    /// Fit the patterns that pattern-net and pattern-attribution need to pictures
    ///
    /// They belong to the model and to the pictures: take the kind that the model was trained on, a thousand or more, and
    /// as many of every class. The file is found when it lies beside the model's own.
    FitPatterns(Box<FitPatternsArguments>),
}

/// What to fit patterns to.
#[derive(Debug, Args)]
pub struct FitPatternsArguments {
    /// Pictures, or folders of pictures
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Fit to so many of them, drawn at random
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub pictures: usize,
    /// Start of the random numbers that draw them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// What the pictures are, in words: is written into the file
    #[arg(long, value_name = "TEXT", default_value = "pictures")]
    pub data: String,
    /// Pictures computed at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub batch: usize,
    /// The file to write; beside the model's own (for the built-in model, in the working folder) unless given
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where to compute (see `burnsight devices`)
    #[arg(long, value_name = "NAME", default_value = default_device())]
    pub device: String,
    /// Leave out pictures with more pixels than this
    #[arg(long, value_name = "N", default_value_t = zoo::DEFAULT_MAX_PIXELS)]
    pub max_pixels: u64,
    #[command(flatten)]
    pub model: ModelArguments,
}

/// What to look at.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// A model's name, or a file: .onnx, .safetensors or .pth
    #[arg(value_name = "NAME|FILE")]
    pub model: PathBuf,
    /// Size of the model's input, in pixels, for ONNX files that leave it open
    #[arg(long, value_name = "N|WxH")]
    pub size: Option<Size>,
    /// Where to compute (see `burnsight devices`)
    #[arg(long, value_name = "NAME", default_value = default_device())]
    pub device: String,
}

/// What to fetch, and from where.
#[derive(Debug, Args)]
pub struct FetchArguments {
    /// The model (see `burnsight models`)
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Fetch from URL/<file> instead of torchvision's server
    #[arg(long, value_name = "URL", env = "BURNSIGHT_MIRROR")]
    pub mirror: Option<String>,
    /// Open no connection: only look whether the weights are there
    #[arg(long, env = "BURNSIGHT_OFFLINE", value_parser = FalseyValueParser::new())]
    pub offline: bool,
}

/// The model to explain, and what its file does not say.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArguments {
    /// The model to explain: a name (see `burnsight models`), or any classifier as an ONNX file
    #[arg(long, value_name = "NAME|FILE.onnx", default_value = zoo::BUILT_IN)]
    pub model: String,
    /// Explain the VGG in this file instead: .safetensors, or .pth of torch's save
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub weights: Option<PathBuf>,
    /// Names of the model's classes: one per line, or a JSON array
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Size of the model's input, in pixels
    #[arg(long, value_name = "N|WxH")]
    pub size: Option<Size>,
    /// Length of a picture's shorter side before its middle is cut out; the longer side of --size if that is given
    #[arg(long, value_name = "N")]
    pub resize: Option<usize>,
    /// Mean of the training pictures' colours, on the scale 0 to 1
    #[arg(long, value_name = "R,G,B")]
    pub mean: Option<Colour>,
    /// Standard deviation of the training pictures' colours
    #[arg(long, value_name = "R,G,B")]
    pub std: Option<Colour>,
}

/// Height and width.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub [usize; 2]);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| {
            text.trim().parse::<usize>().map_err(|_| "write 224, or 320x240 for width × height".to_string())
        };
        match text.split_once(['x', '×']) {
            Some((width, height)) => Ok(Self([side(height)?, side(width)?])),
            None => side(text).map(|side| Self([side, side])),
        }
    }
}

/// One number per colour.
#[derive(Debug, Clone, Copy)]
pub struct Colour(pub [f32; 3]);

impl FromStr for Colour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split(',').map(|number| number.trim().parse());
        let numbers: Option<Vec<f32>> = numbers.collect::<Result<_, _>>().ok();
        let colour = numbers.and_then(|numbers| numbers.try_into().ok());
        colour.map(Self).ok_or_else(|| "write three numbers, as in 0.485,0.456,0.406".into())
    }
}

/// Writes OUT/<picture>/<method>.png and .json, and OUT/comparison.png.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// Pictures, or folders of pictures
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The class to explain: `top` for each picture's own top class, an index, or a label
    #[arg(long, value_name = "top|INDEX|LABEL", default_value = "top")]
    pub target: String,
    /// Explain the target's score minus this class's score: why that and not this?
    #[arg(long, value_name = "INDEX|LABEL")]
    pub against: Option<String>,
    #[command(flatten)]
    pub methods: MethodArguments,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "burnsight-out")]
    pub out: PathBuf,
    /// Also write each map and the preprocessed picture as .npy (float32, [channels, height, width])
    #[arg(long)]
    pub raw: bool,
    /// Leave out the line that says whether each map is to be believed; explaining then takes half the time
    #[arg(long)]
    pub no_verdict: bool,
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Writes OUT/evaluation.json, .csv, .html and .png.
#[derive(Debug, Args)]
pub struct EvaluateArguments {
    /// Pictures, or folders of pictures
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Metrics, or `all` (see `burnsight metrics`)
    #[arg(long = "metric", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub metrics: Vec<String>,
    /// Every PATH holds one folder of pictures per class, named as the class; or as many folders as classes, in order
    #[arg(long)]
    pub class_folders: bool,
    /// Evaluate on so many of the pictures, drawn at random
    #[arg(long, value_name = "N")]
    pub pictures: Option<usize>,
    /// Where the objects are: DIR/<picture>.png, or DIR/<folder of the picture>/<picture>.png, white on black
    #[arg(long, value_name = "DIR")]
    pub masks: Option<PathBuf>,
    /// Evaluate also on so many drawn scenes of every object that can be drawn, whose masks are exact
    #[arg(long, value_name = "N")]
    pub scenes: Option<usize>,
    /// A twin of the model that was trained on random labels, for data-randomization
    #[arg(long, value_name = "FILE")]
    pub twin: Option<PathBuf>,
    #[command(flatten)]
    pub methods: MethodArguments,
    /// The folder to write to; what was measured there before is not measured again
    #[arg(long, value_name = "DIR", default_value = "burnsight-evaluation")]
    pub out: PathBuf,
    #[command(flatten)]
    pub model: ModelArguments,
}

/// Which methods, and how they go about it.
#[derive(Debug, Args)]
pub struct MethodArguments {
    /// Methods, or `all` (see `burnsight methods`); the chapter's unless given
    #[arg(long = "method", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub names: Vec<String>,
    /// The layer that Grad-CAM looks at, the last convolution (or the norm before the last attention) unless given; the
    /// layer that excitation-backprop goes down to, the pixels unless given
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    /// Where to compute (see `burnsight devices`)
    #[arg(long, value_name = "NAME", default_value = default_device())]
    pub device: String,
    /// Start of the random numbers of whatever samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Samples of methods that sample; each method's own number unless given
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Steps of methods that follow a path; each method's own number unless given
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Double the steps of integrated-gradients until the map adds up to this share of the score difference (0.01: 1 %)
    #[arg(long, value_name = "SHARE")]
    pub largest_gap: Option<f64>,
    /// What pictures are compared with: zero (the mean colour, the default of most methods), black, white, noise, blur,
    /// blur:PIXELS, or a picture or folder of pictures. Pictures may be given several times
    #[arg(long, value_name = "NAME|PATH")]
    pub baseline: Vec<String>,
    /// Rules of the methods that have several, see `burnsight methods`
    #[arg(long = "rule", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub rules: Vec<String>,
    /// Patterns of the model, for pattern-net and pattern-attribution; those that come with it, or lie beside its file,
    /// unless given (see `burnsight models fit-patterns`)
    #[arg(long, value_name = "FILE")]
    pub patterns: Option<PathBuf>,
    /// Changed pictures computed at once: more is faster on a GPU and needs more memory
    #[arg(long, value_name = "N", default_value_t = MicroBatcher::DEFAULT_SIZE)]
    pub batch: usize,
    /// Refuse pictures with more pixels than this
    #[arg(long, value_name = "N", default_value_t = zoo::DEFAULT_MAX_PIXELS)]
    pub max_pixels: u64,
}

/// The first backend that was compiled in.
fn default_device() -> &'static str {
    let compiled = burnsight::device::BACKENDS.iter().find(|backend| backend.compiled);
    compiled.map_or("flex", |backend| backend.name)
}
