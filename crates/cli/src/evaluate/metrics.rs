//! The metrics the tool offers: one entry each.

use burnsight::{
    Error, Result, Seed,
    evaluation::{
        CascadingRandomization, CompletenessGap, Complexity, DataRandomization, Deletion, FaithfulnessCorrelation,
        Fragility, ImplementationInvariance, IndependentRandomization, Infidelity, InputShift, Insertion,
        IntersectionOverUnion, LocalLipschitz, MassAccuracy, MaxSensitivity, Metric, Monotonicity,
        MonotonicityCorrelation, PixelFlipping, PointingGame, RankAccuracy, Road, SensitivityN, Sparseness,
    },
    network::Network,
    zoo::Model,
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

/// What most entries have in common.
const PLAIN: MetricEntry = MetricEntry {
    name: "",
    question: "",
    paper: "",
    cost: "none",
    needs: Needs::Nothing,
    by_default: false,
    build: |_| Ok(Box::new(MassAccuracy)),
    passes: |method, _| method,
};

/// Layers that can be randomized.
fn layers(model: &Model) -> usize {
    model.network.layers_with_weights().len()
}

pub const METRICS: [MetricEntry; 24] = [
    MetricEntry {
        name: CascadingRandomization::NAME,
        question: "does the map change when the weights become random, from the logits down?",
        paper: "Adebayo et al. 2018",
        cost: "layers × the method",
        by_default: true,
        build: |settings| Ok(Box::new(CascadingRandomization { seed: settings.seed, layers: None })),
        passes: |method, model| method * layers(model),
        ..PLAIN
    },
    MetricEntry {
        name: IndependentRandomization::NAME,
        question: "does the map change when one layer becomes random?",
        paper: "Adebayo et al. 2018",
        cost: "layers × the method",
        build: |settings| Ok(Box::new(IndependentRandomization { seed: settings.seed, layers: None })),
        passes: |method, model| method * layers(model),
        ..PLAIN
    },
    MetricEntry {
        name: DataRandomization::NAME,
        question: "does the map differ from that of a network that learned random labels?",
        paper: "Adebayo et al. 2018",
        cost: "1 × the method",
        needs: Needs::Twin,
        build: |settings| {
            let problem = "it compares with a twin that was trained on random labels";
            let twin = settings.twin.ok_or_else(|| Error::unsupported(DataRandomization::NAME, problem))?;
            Ok(Box::new(DataRandomization { twin }))
        },
        ..PLAIN
    },
    MetricEntry {
        name: InputShift::NAME,
        question: "does it stay when the input is shifted and the first layer undoes it?",
        paper: "Kindermans et al. 2017",
        cost: "1 × the method",
        build: |_| Ok(Box::new(InputShift::default())),
        ..PLAIN
    },
    MetricEntry {
        name: ImplementationInvariance::NAME,
        question: "does it stay when the same function is built from other layers?",
        paper: "Sundararajan et al. 2017",
        cost: "3 × the method",
        build: |_| Ok(Box::new(ImplementationInvariance)),
        passes: |method, _| 3 * method,
        ..PLAIN
    },
    MetricEntry {
        name: CompletenessGap::NAME,
        question: "does it add up to what the method promises?",
        paper: "Sundararajan et al. 2017",
        by_default: true,
        build: |_| Ok(Box::new(CompletenessGap)),
        ..PLAIN
    },
    MetricEntry {
        name: Fragility::NAME,
        question: "does it survive changes of the picture that leave the class alone?",
        paper: "Ghorbani et al. 2019",
        cost: "12 × the method, 320 forward and backward",
        build: |settings| Ok(Box::new(Fragility { seed: settings.seed, ..Fragility::default() })),
        passes: |method, _| 12 * method + 320,
        ..PLAIN
    },
    MetricEntry {
        name: MaxSensitivity::NAME,
        question: "how much does it change with noise that nobody sees?",
        paper: "Yeh et al. 2019",
        cost: "10 × the method",
        by_default: true,
        build: |settings| Ok(Box::new(MaxSensitivity { seed: settings.seed, ..MaxSensitivity::default() })),
        passes: |method, _| 10 * method,
        ..PLAIN
    },
    MetricEntry {
        name: LocalLipschitz::NAME,
        question: "how fast does it change with the picture?",
        paper: "Alvarez-Melis & Jaakkola 2018",
        cost: "10 × the method",
        build: |settings| Ok(Box::new(LocalLipschitz { seed: settings.seed, ..LocalLipschitz::default() })),
        passes: |method, _| 10 * method,
        ..PLAIN
    },
    MetricEntry {
        name: Deletion::NAME,
        question: "does the probability fall fast when the strongest pixels go first?",
        paper: "Petsiuk et al. 2018",
        cost: "21 forward",
        by_default: true,
        build: |_| Ok(Box::new(Deletion::default())),
        passes: |method, _| method + Deletion::default().steps / 2,
        ..PLAIN
    },
    MetricEntry {
        name: Insertion::NAME,
        question: "does it rise fast when they come first into a blurred picture?",
        paper: "Petsiuk et al. 2018",
        cost: "21 forward",
        by_default: true,
        build: |_| Ok(Box::new(Insertion::default())),
        passes: |method, _| method + Insertion::default().steps / 2,
        ..PLAIN
    },
    MetricEntry {
        name: PixelFlipping::NAME,
        question: "does the score fall far when the strongest regions go?",
        paper: "Samek et al. 2017",
        cost: "51 forward",
        build: |_| Ok(Box::new(PixelFlipping::default())),
        passes: |method, _| method + PixelFlipping::default().steps / 2,
        ..PLAIN
    },
    MetricEntry {
        name: Road::NAME,
        question: "does the probability fall when pixels go so that one cannot see where?",
        paper: "Rong et al. 2022",
        cost: "18 forward, 18 sparse systems",
        build: |settings| Ok(Box::new(Road { seed: settings.seed, ..Road::default() })),
        passes: |method, _| method + 40,
        ..PLAIN
    },
    MetricEntry {
        name: Infidelity::NAME,
        question: "does it predict what happens to the score when squares of the picture change?",
        paper: "Yeh et al. 2019",
        cost: "100 forward",
        // Methods have different units: each is given the best factor.
        build: |settings| Ok(Box::new(Infidelity { seed: settings.seed, scaled: true, ..Infidelity::default() })),
        passes: |method, _| method + 50,
        ..PLAIN
    },
    MetricEntry {
        name: SensitivityN::NAME,
        question: "does the sum over n pixels predict what their removal does?",
        paper: "Ancona et al. 2018",
        cost: "800 forward",
        build: |settings| Ok(Box::new(SensitivityN { seed: settings.seed, ..SensitivityN::default() })),
        passes: |method, _| method + 400,
        ..PLAIN
    },
    MetricEntry {
        name: FaithfulnessCorrelation::NAME,
        question: "the same, for a fifth of the pixels",
        paper: "Bhatt et al. 2020",
        cost: "100 forward",
        build: |settings| {
            Ok(Box::new(FaithfulnessCorrelation { seed: settings.seed, ..FaithfulnessCorrelation::default() }))
        },
        passes: |method, _| method + 50,
        ..PLAIN
    },
    MetricEntry {
        name: Monotonicity::NAME,
        question: "does every further pixel raise the score, the weakest first?",
        paper: "Arya et al. 2019",
        cost: "51 forward",
        build: |_| Ok(Box::new(Monotonicity::default())),
        passes: |method, _| method + 25,
        ..PLAIN
    },
    MetricEntry {
        name: MonotonicityCorrelation::NAME,
        question: "do stronger pixels matter more to the score?",
        paper: "Nguyen & Martínez 2020",
        cost: "256 forward",
        build: |settings| {
            Ok(Box::new(MonotonicityCorrelation { seed: settings.seed, ..MonotonicityCorrelation::default() }))
        },
        passes: |method, _| method + 128,
        ..PLAIN
    },
    MetricEntry {
        name: Sparseness::NAME,
        question: "is it concentrated on few pixels?",
        paper: "Chalasani et al. 2020",
        by_default: true,
        build: |_| Ok(Box::new(Sparseness)),
        ..PLAIN
    },
    MetricEntry {
        name: Complexity::NAME,
        question: "how many pixels does it need?",
        paper: "Bhatt et al. 2020",
        build: |_| Ok(Box::new(Complexity)),
        ..PLAIN
    },
    MetricEntry {
        name: PointingGame::NAME,
        question: "does the strongest pixel lie on the object?",
        paper: "Zhang et al. 2018",
        needs: Needs::Masks,
        by_default: true,
        build: |_| Ok(Box::new(PointingGame::default())),
        ..PLAIN
    },
    MetricEntry {
        name: MassAccuracy::NAME,
        question: "which share of the positive relevance lies on the object?",
        paper: "Arras et al. 2022",
        needs: Needs::Masks,
        by_default: true,
        build: |_| Ok(Box::new(MassAccuracy)),
        ..PLAIN
    },
    MetricEntry {
        name: RankAccuracy::NAME,
        question: "of as many of the strongest pixels as the object has, which share lies on it?",
        paper: "Arras et al. 2022",
        needs: Needs::Masks,
        build: |_| Ok(Box::new(RankAccuracy)),
        ..PLAIN
    },
    MetricEntry {
        name: IntersectionOverUnion::NAME,
        question: "how well does the map, cut at a threshold, cover the object and nothing else?",
        paper: "Zhou et al. 2016",
        needs: Needs::Masks,
        build: |_| Ok(Box::new(IntersectionOverUnion::default())),
        ..PLAIN
    },
];
