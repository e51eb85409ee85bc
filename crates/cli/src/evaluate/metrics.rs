//! The metrics the tool offers: one entry each.

use burnsight::{
    Result, Seed,
    evaluation::Metric,
    network::Network,
    zoo::{Model, Preprocessing},
};

use crate::choice::Named;

/// A metric as the tool knows it.
pub struct MetricEntry {
    pub name: &'static str,
    /// The question it asks of a map.
    pub question: &'static str,
    pub paper: &'static str,
    /// Passes per picture and method, in words.
    pub cost: &'static str,
    pub needs: Needs,
    pub by_default: bool,
    pub build: for<'a> fn(&MetricSettings<'a>) -> Result<Box<dyn Metric + 'a>>,
    /// Passes through the network per picture, about, given those of the method: for the progress bar.
    pub passes: fn(usize, &Model) -> usize,
}

/// What a metric cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Pictures and a model.
    Nothing,
    /// A mask of the object for every picture.
    Masks,
    /// A twin of the model trained on random labels.
    Twin,
}

/// What metrics have to know.
pub struct MetricSettings<'a> {
    pub seed: Seed,
    pub preprocessing: &'a Preprocessing,
    pub twin: Option<&'a Network>,
}

impl Needs {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Masks => "masks",
            Self::Twin => "--twin",
        }
    }
}

impl Named for MetricEntry {
    fn name(&self) -> &'static str {
        self.name
    }

    fn by_default(&self) -> bool {
        self.by_default
    }
}

pub const METRICS: [MetricEntry; 0] = [];
