//! The methods the tool offers: one entry each.

use burnsight::{
    Attribution, Attributor, BlurIntegratedGradients, Composite, DeconvNet, DeepLift, DeepTaylor, ExcitationBackprop,
    ExpectedGradients, GradCam, GuidedBackprop, GuidedGradCam, GuidedIntegratedGradients, InputXGradient,
    IntegratedGradients, LayerRelevance, Lrp, PatternAttribution, PatternNet, Result, SmoothGrad, Target,
    VanillaGradient,
    network::{Trace, TraceAttributor},
    visualization::{Blend, Overlay, Style},
};

use crate::{choice::Named, settings::Settings};

/// A method as the tool knows it.
pub struct Method {
    pub name: &'static str,
    /// The question it answers.
    pub question: &'static str,
    /// Passes through the network per picture, after the forward pass that all methods share.
    pub cost: &'static str,
    pub paper: &'static str,
    /// Whether the chapter demonstrates it: the default choice.
    pub in_chapter: bool,
    /// Whether it hands back something of its own at ReLUs, and the gradient everywhere else.
    pub replaces_relu: bool,
    /// The names of its rules, the default first.
    pub rules: &'static [&'static str],
    /// How its maps are drawn.
    pub style: fn(&Settings) -> Style,
    /// How many changed pictures it looks at, for the progress bar.
    pub samples: fn(&Settings) -> usize,
    /// Refuses what it would refuse, before any picture is read.
    pub check: fn(&Settings) -> Result<()>,
    pub explain: Explain<Attribution>,
    /// Where relevance stays on its way through the layers, for methods that share it out.
    pub books: Option<Explain<Vec<LayerRelevance>>>,
}

/// What is made of a recorded pass.
type Explain<T> = fn(&Settings, &Trace<'_>, &Target) -> Result<T>;

impl Named for Method {
    fn name(&self) -> &'static str {
        self.name
    }

    fn by_default(&self) -> bool {
        self.in_chapter
    }
}

/// What most entries have in common.
const PLAIN: Method = Method {
    name: "",
    question: "",
    cost: "1 backward",
    paper: "",
    in_chapter: false,
    replaces_relu: false,
    rules: &[],
    style: |_| Style::sequential(),
    samples: |_| 0,
    check: |_| Ok(()),
    explain: |_, trace, target| VanillaGradient.attribute_trace(trace, target),
    books: None,
};

/// The map's own colours instead of the picture's: its fine structure would be lost among the picture's.
fn own_colors(_: &Settings) -> Style {
    let style = Style::channels();
    Style { overlay: Overlay { opacity: 1.0, blend: Blend::Uniform, ..style.overlay }, ..style }
}

/// For and against.
fn diverging(_: &Settings) -> Style {
    Style::diverging()
}

pub const METHODS: [Method; 17] = [
    Method {
        name: VanillaGradient::NAME,
        question: "which pixels, changed a little, change the score most?",
        paper: "Simonyan et al. 2013",
        in_chapter: true,
        ..PLAIN
    },
    Method {
        name: InputXGradient::NAME,
        question: "how much would each pixel contribute if the model were linear?",
        paper: "Shrikumar et al. 2016",
        style: diverging,
        explain: |_, trace, target| InputXGradient.attribute_trace(trace, target),
        ..PLAIN
    },
    Method {
        name: DeconvNet::NAME,
        question: "which structures excite the class? (does not see what the ReLUs switched off)",
        paper: "Zeiler & Fergus 2014",
        in_chapter: true,
        replaces_relu: true,
        style: own_colors,
        explain: |_, trace, target| DeconvNet.attribute_trace(trace, target),
        ..PLAIN
    },
    Method {
        name: GuidedBackprop::NAME,
        question: "which fine structures excite the class? (close to an edge detector)",
        paper: "Springenberg et al. 2015",
        in_chapter: true,
        replaces_relu: true,
        style: own_colors,
        explain: |_, trace, target| GuidedBackprop.attribute_trace(trace, target),
        ..PLAIN
    },
    Method {
        name: GradCam::NAME,
        question: "which region speaks for the class?",
        cost: "1 backward to the layer",
        paper: "Selvaraju et al. 2017",
        in_chapter: true,
        explain: |settings, trace, target| {
            settings.layer.as_ref().map_or_else(GradCam::new, GradCam::with_layer).attribute_trace(trace, target)
        },
        ..PLAIN
    },
    Method {
        name: GuidedGradCam::NAME,
        question: "which fine structures, in the region that speaks for the class?",
        cost: "2 backward",
        paper: "Selvaraju et al. 2017",
        in_chapter: true,
        replaces_relu: true,
        style: own_colors,
        explain: |settings, trace, target| {
            let method = settings.layer.as_ref().map_or_else(GuidedGradCam::new, GuidedGradCam::with_layer);
            method.attribute_trace(trace, target)
        },
        ..PLAIN
    },
    Method {
        name: SmoothGrad::<VanillaGradient>::NAME,
        question: "as vanilla-gradient, with the noise averaged out",
        cost: "samples + 1 forward and backward",
        paper: "Smilkov et al. 2017",
        in_chapter: true,
        samples: Settings::smoothgrad_samples,
        check: |settings| settings.smoothgrad().map(drop),
        explain: |settings, trace, target| settings.smoothgrad()?.attribute(trace.network(), trace.images(), target),
        ..PLAIN
    },
    Method {
        name: IntegratedGradients::NAME,
        question: "how much does each pixel contribute to the score, compared with a baseline?",
        cost: "steps forward and backward",
        paper: "Sundararajan et al. 2017",
        rules: &["gauss-legendre", "midpoint", "left", "right", "trapezoid"],
        style: diverging,
        samples: |settings| settings.baselines() * settings.integrated_gradients_steps(),
        check: |settings| settings.integrated_gradients().map(drop),
        explain: |settings, trace, target| {
            settings.integrated_gradients()?.attribute(trace.network(), trace.images(), target)
        },
        ..PLAIN
    },
    Method {
        name: ExpectedGradients::NAME,
        question: "the same, compared with many baselines",
        cost: "samples forward and backward",
        paper: "Erion et al. 2021",
        style: diverging,
        samples: Settings::expected_gradients_samples,
        check: |settings| settings.expected_gradients().map(drop),
        explain: |settings, trace, target| {
            settings.expected_gradients()?.attribute(trace.network(), trace.images(), target)
        },
        ..PLAIN
    },
    Method {
        name: BlurIntegratedGradients::NAME,
        question: "which details make the score rise while the picture comes into focus?",
        cost: "steps forward and backward",
        paper: "Xu et al. 2020",
        style: diverging,
        samples: Settings::blur_integrated_gradients_steps,
        check: |settings| settings.blur_integrated_gradients().map(drop),
        explain: |settings, trace, target| {
            settings.blur_integrated_gradients()?.attribute(trace.network(), trace.images(), target)
        },
        ..PLAIN
    },
    Method {
        name: GuidedIntegratedGradients::NAME,
        question: "as integrated-gradients, on a path that avoids steep places",
        cost: "steps forward and backward",
        paper: "Kapishnikov et al. 2021",
        style: diverging,
        samples: |settings| settings.baselines() * settings.guided_integrated_gradients_steps(),
        check: |settings| settings.guided_integrated_gradients().map(drop),
        explain: |settings, trace, target| {
            settings.guided_integrated_gradients()?.attribute(trace.network(), trace.images(), target)
        },
        ..PLAIN
    },
    Method {
        name: DeepLift::NAME,
        question: "how much does each pixel's difference from a baseline change the score?",
        cost: "2 forward, 2 backward",
        paper: "Shrikumar et al. 2017",
        rules: &["rescale", "reveal-cancel"],
        style: diverging,
        samples: Settings::baselines,
        check: |settings| settings.deeplift().map(drop),
        explain: |settings, trace, target| settings.deeplift()?.attribute_trace(trace, target),
        ..PLAIN
    },
    Method {
        name: Lrp::NAME,
        question: "how is the score shared out among the pixels, layer by layer?",
        cost: "1 backward of 1 to 4 times the usual",
        paper: "Bach et al. 2015",
        rules: &Composite::NAMES,
        style: diverging,
        check: |settings| settings.lrp().map(drop),
        explain: |settings, trace, target| settings.lrp()?.attribute_trace(trace, target),
        books: Some(|settings, trace, target| settings.lrp()?.conservation(trace, target)),
        ..PLAIN
    },
    Method {
        name: DeepTaylor::NAME,
        question: "the same, for what speaks for the class alone",
        cost: "1 backward of twice the usual",
        paper: "Montavon et al. 2017",
        rules: &["bounded", "unbounded"],
        check: |settings| settings.deep_taylor().map(drop),
        explain: |settings, trace, target| settings.deep_taylor()?.attribute_trace(trace, target),
        ..PLAIN
    },
    Method {
        name: ExcitationBackprop::NAME,
        question: "where does a random walk end that follows what excites the class?",
        cost: "1 backward of twice the usual (contrastive: 2)",
        paper: "Zhang et al. 2016",
        rules: &["marginal", "contrastive"],
        // The contrast has two signs, a probability has none.
        style: |settings| if settings.is_contrastive() { Style::diverging() } else { Style::sequential() },
        explain: |settings, trace, target| settings.excitation_backprop().attribute_trace(trace, target),
        ..PLAIN
    },
    Method {
        name: PatternNet::NAME,
        question: "which signal did the network detect? (by patterns fitted to data)",
        paper: "Kindermans et al. 2018",
        style: own_colors,
        explain: |settings, trace, target| {
            PatternNet::new(settings.patterns(PatternNet::NAME)?).attribute_trace(trace, target)
        },
        ..PLAIN
    },
    Method {
        name: PatternAttribution::NAME,
        question: "how much did each part of that signal count?",
        paper: "Kindermans et al. 2018",
        style: diverging,
        explain: |settings, trace, target| {
            PatternAttribution::new(settings.patterns(PatternAttribution::NAME)?).attribute_trace(trace, target)
        },
        ..PLAIN
    },
];
