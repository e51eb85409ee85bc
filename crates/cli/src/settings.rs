//! What the command line says about the methods.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor};
use burnsight::{
    Baseline, BlurIntegratedGradients, BlurIntegratedGradientsConfig, Composite, DeepLift, DeepLiftConfig,
    DeepLiftRule, DeepTaylor, Error, ExcitationBackprop, ExpectedGradients, ExpectedGradientsConfig,
    GuidedIntegratedGradients, GuidedIntegratedGradientsConfig, IntegratedGradients, IntegratedGradientsConfig, Lrp,
    LrpConfig, MicroBatcher, Patterns, PixelBounds, Quadrature, Seed, SmoothGrad, SmoothGradConfig, VanillaGradient,
    zoo::{self, Model, Picture, Preprocessing},
};

use serde::de::DeserializeOwned;

use crate::methods::{METHODS, Method};

/// Names of the baselines that are no pictures.
pub const BASELINES: &str = "zero, black, white, noise, blur or blur:PIXELS";

/// What `--baseline` names.
#[derive(Debug, Clone)]
pub enum BaselineChoice {
    Zero,
    Black,
    White,
    Noise,
    /// By so many pixels, or an eighth of the shorter side.
    Blur(Option<f64>),
    Pictures(Vec<PathBuf>),
}

impl BaselineChoice {
    /// `None` where nothing was said, and each method has its own.
    pub fn parse(names: &[String]) -> Result<Option<Self>> {
        let keyword = |name: &str| match name {
            "zero" => Some(Ok(Self::Zero)),
            "black" => Some(Ok(Self::Black)),
            "white" => Some(Ok(Self::White)),
            "noise" => Some(Ok(Self::Noise)),
            "blur" => Some(Ok(Self::Blur(None))),
            _ => {
                let pixels = name.strip_prefix("blur:")?;
                let refuse = || Error::parameter("baseline", name, "write blur:8 for a blur by 8 pixels");
                Some(pixels.parse().map(|pixels| Self::Blur(Some(pixels))).map_err(|_| refuse()))
            }
        };
        match names {
            [] => Ok(None),
            [name] if keyword(name).is_some() => Ok(keyword(name).transpose()?),
            names => {
                for name in names {
                    if keyword(name).is_some() {
                        bail!("`--baseline` is {}: {name} cannot be mixed with others", names.join(" and "));
                    }
                    if !PathBuf::from(name).exists() {
                        let requirement = format!("no such file or folder; besides pictures there are {BASELINES}");
                        return Err(Error::parameter("baseline", name, &requirement).into());
                    }
                }
                Ok(Some(Self::Pictures(names.iter().map(PathBuf::from).collect())))
            }
        }
    }

    /// In the units of the model.
    fn of(&self, preprocessing: &Preprocessing, seed: Seed, max_pixels: u64, device: &Device) -> Result<Baseline> {
        let PixelBounds { low, high } = bounds(preprocessing);
        Ok(match self {
            Self::Zero => Baseline::Zero,
            Self::Black => Baseline::Color(low),
            Self::White => Baseline::Color(high),
            // Colours that exist in every channel.
            Self::Noise => Baseline::Noise {
                low: low.into_iter().fold(f32::NEG_INFINITY, f32::max),
                high: high.into_iter().fold(f32::INFINITY, f32::min),
                seed,
            },
            Self::Blur(sigma) => {
                let [height, width] = preprocessing.size;
                Baseline::Blurred { sigma: sigma.unwrap_or(height.min(width) as f64 / 8.0) }
            }
            Self::Pictures(paths) => {
                let prepare = |path: &PathBuf| -> Result<Tensor<4>> {
                    Ok(preprocessing.apply(&Picture::open(path, max_pixels)?.rgb, device)?.tensor)
                };
                let pictures = zoo::find_pictures(paths)?.iter().map(prepare).collect::<Result<Vec<_>>>()?;
                Baseline::Pictures(Tensor::cat(pictures, 0))
            }
        })
    }
}

/// Black and white, as the model gets them.
fn bounds(preprocessing: &Preprocessing) -> PixelBounds {
    PixelBounds { low: preprocessing.color([0.0; 3]), high: preprocessing.color([1.0; 3]) }
}

/// Which method goes by which of its rules.
#[derive(Debug, Clone, Default)]
pub struct Rules(BTreeMap<&'static str, String>);

impl Rules {
    /// The rules that were named, each for the method that has it; one at most for each of `methods`.
    pub fn parse(names: &[String], methods: &[&'static Method]) -> Result<Self> {
        let mut rules = BTreeMap::new();
        for name in names {
            let Some(method) = METHODS.iter().find(|method| method.rules.contains(&name.as_str())) else {
                let with_rules = METHODS.iter().filter(|method| !method.rules.is_empty());
                let known: Vec<String> =
                    with_rules.map(|method| format!("{}: {}", method.name, method.rules.join(", "))).collect();
                let requirement = format!("no method has such a rule. There are\n  {}", known.join("\n  "));
                return Err(Error::parameter("rule", name, &requirement).into());
            };
            if methods.iter().all(|chosen| chosen.name != method.name) {
                let requirement = format!("it is a rule of {0}, add --method {0}", method.name);
                return Err(Error::parameter("rule", name, &requirement).into());
            }
            if let Some(other) = rules.insert(method.name, name.clone()) {
                let requirement = format!("{} already goes by {other}: name one rule for each method", method.name);
                return Err(Error::parameter("rule", name, &requirement).into());
            }
        }
        Ok(Self(rules))
    }

    fn of(&self, method: &str) -> Option<&str> {
        self.0.get(method).map(String::as_str)
    }
}

/// The variant of an enumeration that is written like this in reports.
fn by_name<T: DeserializeOwned>(name: &str) -> burnsight::Result<T> {
    serde_json::from_value(name.into()).map_err(|error| Error::parameter("rule", name, &error.to_string()))
}

/// What the command line says about the methods, and what they have to know about the model. What it leaves open is each
/// method's own default.
#[derive(Debug, Clone)]
pub struct Settings {
    pub layer: Option<String>,
    pub seed: Seed,
    pub samples: Option<usize>,
    pub steps: Option<usize>,
    pub largest_gap: Option<f64>,
    pub baseline: Option<Baseline>,
    pub bounds: PixelBounds,
    pub rules: Rules,
    pub patterns: Option<Patterns>,
    pub batches: MicroBatcher,
}

impl Settings {
    /// Every method's defaults.
    pub fn new(model: &Model, batches: MicroBatcher) -> Self {
        Self {
            layer: None,
            seed: Seed(0),
            samples: None,
            steps: None,
            largest_gap: None,
            baseline: None,
            bounds: bounds(&model.preprocessing),
            rules: Rules::default(),
            patterns: None,
            batches,
        }
    }

    /// The same with a baseline for the methods that have one.
    pub fn with_baseline(
        self,
        choice: Option<&BaselineChoice>,
        model: &Model,
        max_pixels: u64,
        device: &Device,
    ) -> Result<Self> {
        let baseline =
            choice.map(|choice| choice.of(&model.preprocessing, self.seed, max_pixels, device)).transpose()?;
        Ok(Self { baseline, ..self })
    }

    /// How many baselines a picture is compared with.
    pub fn baselines(&self) -> usize {
        self.baseline.as_ref().map_or(1, Baseline::count)
    }

    fn baseline(&self) -> Baseline {
        self.baseline.clone().unwrap_or_default()
    }

    pub fn smoothgrad(&self) -> burnsight::Result<SmoothGrad<VanillaGradient>> {
        let default = SmoothGradConfig::default();
        let samples = self.samples.unwrap_or(default.samples);
        let config = SmoothGradConfig { samples, seed: self.seed, ..default };
        Ok(config.wrap(VanillaGradient)?.with_batches(self.batches.clone()))
    }

    pub fn smoothgrad_samples(&self) -> usize {
        self.samples.unwrap_or(SmoothGradConfig::default().samples)
    }

    pub fn integrated_gradients(&self) -> burnsight::Result<IntegratedGradients> {
        let quadrature = match self.rules.of(IntegratedGradients::NAME) {
            Some(name) => by_name(name)?,
            None => Quadrature::default(),
        };
        let config = IntegratedGradientsConfig {
            steps: self.integrated_gradients_steps(),
            quadrature,
            baseline: self.baseline(),
            largest_gap: self.largest_gap,
        };
        Ok(config.init()?.with_batches(self.batches.clone()))
    }

    pub fn integrated_gradients_steps(&self) -> usize {
        self.steps.unwrap_or(IntegratedGradientsConfig::default().steps)
    }

    pub fn expected_gradients(&self) -> burnsight::Result<ExpectedGradients> {
        let default = ExpectedGradientsConfig::default();
        let config = ExpectedGradientsConfig {
            samples: self.expected_gradients_samples(),
            baselines: self.baseline.clone().unwrap_or(default.baselines),
            seed: self.seed,
        };
        Ok(config.init()?.with_batches(self.batches.clone()))
    }

    pub fn expected_gradients_samples(&self) -> usize {
        self.samples.unwrap_or(ExpectedGradientsConfig::default().samples)
    }

    pub fn blur_integrated_gradients(&self) -> burnsight::Result<BlurIntegratedGradients> {
        let default = BlurIntegratedGradientsConfig::default();
        let config = BlurIntegratedGradientsConfig { steps: self.blur_integrated_gradients_steps(), ..default };
        Ok(config.init()?.with_batches(self.batches.clone()))
    }

    pub fn blur_integrated_gradients_steps(&self) -> usize {
        self.steps.unwrap_or(BlurIntegratedGradientsConfig::default().steps)
    }

    pub fn guided_integrated_gradients(&self) -> burnsight::Result<GuidedIntegratedGradients> {
        let default = GuidedIntegratedGradientsConfig::default();
        let config = GuidedIntegratedGradientsConfig {
            steps: self.guided_integrated_gradients_steps(),
            baseline: self.baseline(),
            ..default
        };
        Ok(config.init()?.with_batches(self.batches.clone()))
    }

    pub fn guided_integrated_gradients_steps(&self) -> usize {
        self.steps.unwrap_or(GuidedIntegratedGradientsConfig::default().steps)
    }

    pub fn deeplift(&self) -> burnsight::Result<DeepLift> {
        let rule = match self.rules.of(DeepLift::NAME) {
            Some(name) => by_name(name)?,
            None => DeepLiftRule::default(),
        };
        let config = DeepLiftConfig { rule, baseline: self.baseline() };
        Ok(config.init()?.with_batches(self.batches.clone()))
    }

    pub fn lrp(&self) -> burnsight::Result<Lrp> {
        let mut config = LrpConfig::default();
        if let Some(name) = self.rules.of(Lrp::NAME) {
            config.composite = Composite::named(name, Some(&self.bounds))?;
        }
        config.init()
    }

    pub fn deep_taylor(&self) -> burnsight::Result<DeepTaylor> {
        match self.rules.of(DeepTaylor::NAME) {
            Some("unbounded") => Ok(DeepTaylor::unbounded()),
            _ => DeepTaylor::bounded(self.bounds.clone()),
        }
    }

    pub fn is_contrastive(&self) -> bool {
        self.rules.of(ExcitationBackprop::NAME) == Some("contrastive")
    }

    pub fn excitation_backprop(&self) -> ExcitationBackprop {
        let method = self.layer.iter().fold(ExcitationBackprop::new(), |method, layer| method.with_layer(layer));
        if self.is_contrastive() { method.contrastive() } else { method }
    }

    /// The patterns that were fitted to the model.
    pub fn patterns(&self, method: &str) -> burnsight::Result<Patterns> {
        let problem = "there are no patterns of it: fit them with `burnsight models fit-patterns`, or name a file with --patterns";
        self.patterns.clone().ok_or_else(|| Error::unsupported(method, problem))
    }
}
