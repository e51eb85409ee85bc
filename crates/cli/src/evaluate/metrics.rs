//! The metrics the tool offers: one entry each.

use burnsight::{
    Error, Result, Seed,
    evaluation::{
        CascadingRandomization, DataRandomization, Deletion, IndependentRandomization, Insertion,
        IntersectionOverUnion, MassAccuracy, Metric, PointingGame, RankAccuracy,
    },
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

pub const METRICS: [MetricEntry; 9] = [
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
        name: Deletion::NAME,
        question: "does the probability fall fast when the strongest pixels go first?",
        paper: "Petsiuk et al. 2018",
        cost: "25 forward",
        by_default: true,
        build: |_| Ok(Box::new(Deletion::default())),
        passes: |method, _| method + Deletion::default().steps / 2,
        ..PLAIN
    },
    MetricEntry {
        name: Insertion::NAME,
        question: "does it rise fast when they come first into a blurred picture?",
        paper: "Petsiuk et al. 2018",
        cost: "25 forward",
        by_default: true,
        build: |_| Ok(Box::new(Insertion::default())),
        passes: |method, _| method + Insertion::default().steps / 2,
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
