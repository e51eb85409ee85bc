//! The command line.

use std::path::PathBuf;

use burnsight::{MicroBatcher, zoo};
use clap::{Args, Parser, Subcommand};

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
    /// List the methods: what each is for, what it costs, where it comes from
    Methods,
    /// List the models
    Models,
    /// List the devices that this build can compute on
    Devices,
}

/// Writes OUT/<picture>/<method>.png and .json, and OUT/comparison.png.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// Pictures, or folders of pictures
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The model to explain (see `burnsight models`)
    #[arg(long, value_name = "NAME", default_value = zoo::BUILT_IN)]
    pub model: String,
    /// Methods, or `all` (see `burnsight methods`); the chapter's unless given
    #[arg(long = "method", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub methods: Vec<String>,
    /// The class to explain: `top` for each picture's own top class, an index, or a label
    #[arg(long, value_name = "top|INDEX|LABEL", default_value = "top")]
    pub target: String,
    /// Explain the target's score minus this class's score: why that and not this?
    #[arg(long, value_name = "INDEX|LABEL")]
    pub against: Option<String>,
    /// The layer that Grad-CAM looks at; the last convolution unless given
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    /// Where to compute (see `burnsight devices`)
    #[arg(long, value_name = "NAME", default_value = default_device())]
    pub device: String,
    /// Start of the random numbers of methods that sample
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Samples of methods that sample
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub samples: usize,
    /// Noisy pictures computed at once: more is faster on a GPU and needs more memory
    #[arg(long, value_name = "N", default_value_t = MicroBatcher::DEFAULT_SIZE)]
    pub batch: usize,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "burnsight-out")]
    pub out: PathBuf,
    /// Also write each map and the preprocessed picture as .npy (float32, [channels, height, width])
    #[arg(long)]
    pub raw: bool,
    /// Refuse pictures with more pixels than this
    #[arg(long, value_name = "N", default_value_t = zoo::DEFAULT_MAX_PIXELS)]
    pub max_pixels: u64,
}

/// The first backend that was compiled in.
fn default_device() -> &'static str {
    let compiled = burnsight::device::BACKENDS.iter().find(|backend| backend.compiled);
    compiled.map_or("flex", |backend| backend.name)
}
