//! What `explain` and `evaluate` have in common before the first picture.

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use anyhow::Result;
use burn::tensor::Device;
use burnsight::{MicroBatcher, Seed, device, zoo::Model};

use crate::{
    arguments::{MethodArguments, ModelArguments},
    choice,
    methods::{METHODS, Method},
    model,
    settings::{BaselineChoice, Rules, Settings},
};

/// What can be refused before the model is loaded.
pub struct Setup {
    methods: Vec<&'static Method>,
    /// Those that were given, and those that stand behind `--method` by mistake.
    pub paths: Vec<PathBuf>,
    rules: Rules,
    baseline: Option<BaselineChoice>,
}

/// The model, and methods that are ready to explain it.
pub struct Opened {
    pub methods: Vec<&'static Method>,
    pub settings: Settings,
    pub model: Model,
    pub device: Device,
}

impl Setup {
    pub fn new(arguments: &MethodArguments, paths: &[PathBuf]) -> Result<Self> {
        let (methods, stray) = choice::choose("method", &arguments.names, &METHODS)?;
        let paths = paths.iter().cloned().chain(stray).collect();
        let rules = Rules::parse(&arguments.rules, &methods)?;
        Ok(Self { methods, paths, rules, baseline: BaselineChoice::parse(&arguments.baseline)? })
    }

    pub fn open(self, arguments: &MethodArguments, model: &ModelArguments, batches: MicroBatcher) -> Result<Opened> {
        let device = device::open(&arguments.device)?;
        let model = model::open(model, &device)?;
        for note in &model.notes {
            writeln!(stdout(), "note on {}: {note}", model.name)?;
        }
        if let Some(layer) = &arguments.layer {
            model.network.find(layer)?;
        }
        let settings = Settings {
            layer: arguments.layer.clone(),
            seed: Seed(arguments.seed),
            samples: arguments.samples,
            steps: arguments.steps,
            largest_gap: arguments.largest_gap,
            rules: self.rules,
            patterns: model::patterns(&model, arguments.patterns.as_deref())?,
            ..Settings::new(&model, batches)
        };
        let settings = settings.with_baseline(self.baseline.as_ref(), &model, arguments.max_pixels, &device)?;
        self.methods.iter().try_for_each(|method| (method.check)(&settings))?;
        Ok(Opened { methods: self.methods, settings, model, device })
    }
}
