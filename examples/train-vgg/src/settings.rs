//! What is asked for.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, Parser};
use serde::{Deserialize, Serialize};

/// Trains the architecture of burnsight's built-in model, a narrow VGG-11, on a folder of class folders
#[derive(Parser, Debug, Clone)]
#[command(name = "train-vgg", version)]
pub struct Arguments {
    /// A folder with the folders `train` and `val`, each with one folder of pictures per class
    pub data: PathBuf,
    /// Where checkpoint, curve, weights and card go
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The model's name, which is also that of its files [default: vgg11, or vgg11-random-labels]
    #[arg(long)]
    pub name: Option<String>,
    /// Where to compute: flex, wgpu, cuda:1 … (`burnsight devices` lists them)
    #[arg(long, default_value = "flex")]
    pub device: String,
    /// Go on from the checkpoint in `--out`
    #[arg(long)]
    pub resume: bool,
    #[command(flatten)]
    pub settings: Settings,
}

/// What decides the result, together with the pictures: a resumed run must have the same.
#[derive(Args, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// How often every training picture is seen
    #[arg(long, default_value_t = 45)]
    pub epochs: usize,
    /// Pictures per step
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// The highest learning rate, after the warm-up
    #[arg(long, default_value_t = 3e-3)]
    pub learning_rate: f64,
    /// Height and width of the model's input, in pixels; training begins with smaller pictures
    #[arg(long, default_value_t = 160)]
    pub size: usize,
    /// Channels, as a share of the paper's VGG-11; the built-in model has half
    #[arg(long, default_value_t = 0.5)]
    pub width: f64,
    /// Where all random numbers start
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Use only the first pictures of every class folder
    #[arg(long, value_name = "PICTURES_PER_CLASS")]
    pub limit: Option<usize>,
    /// Shuffle the training labels once: the control model of sanity checks
    #[arg(long)]
    pub random_labels: bool,
    /// Show every picture whole and unchanged, so that it is easier to learn by heart
    #[arg(long)]
    pub no_augmentation: bool,
}

impl Arguments {
    /// The name of the model and its files.
    pub fn name(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None if self.settings.random_labels => "vgg11-random-labels",
            None => "vgg11",
        }
    }

    /// # Errors
    /// Names the flag that is out of its range.
    pub fn check(&self) -> Result<()> {
        let name = self.name();
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !name.starts_with('.');
        ensure!(plain && !name.is_empty(), "`--name` is {name:?}: letters, digits, `-`, `_` and `.` make a file name");
        self.settings.check()
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        let Self { epochs, batch, learning_rate, size, width, limit, .. } = self;
        ensure!((1..=100_000).contains(epochs), "`--epochs` is {epochs}: must be from 1 to 100000");
        ensure!(
            (2..=65_536).contains(batch),
            "`--batch` is {batch}: must be from 2 to 65536, batch norm compares them"
        );
        let positive = learning_rate.is_finite() && *learning_rate > 0.0;
        ensure!(positive, "`--learning-rate` is {learning_rate}: must be positive and finite");
        ensure!(
            (32..=1024).contains(size),
            "`--size` is {size}: must be from 32, which five poolings halve to 1, to 1024"
        );
        ensure!(*width > 0.0 && *width <= 4.0, "`--width` is {width}: must be above 0 and at most 4");
        ensure!(*limit != Some(0), "`--limit` is 0: at least one picture per class is needed");
        Ok(())
    }
}
