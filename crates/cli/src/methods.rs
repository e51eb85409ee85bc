//! The methods the tool offers: one entry each.

use burnsight::{
    Attribution, Attributor, DeconvNet, GradCam, GuidedBackprop, GuidedGradCam, InputXGradient, MicroBatcher, Result,
    Seed, SmoothGrad, SmoothGradConfig, Target, VanillaGradient,
    network::{Trace, TraceAttributor},
    visualization::{Blend, Overlay, Style},
};

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
    /// How its maps are drawn.
    pub style: fn() -> Style,
    /// How many changed pictures it looks at, for the progress bar.
    pub samples: fn(&Settings) -> usize,
    pub explain: fn(&Settings, &Trace<'_>, &Target) -> Result<Attribution>,
}

/// What the command line says about the methods.
pub struct Settings {
    pub layer: Option<String>,
    pub seed: Seed,
    pub samples: usize,
    pub batches: MicroBatcher,
}

impl Settings {
    fn smoothgrad(&self) -> Result<SmoothGrad<VanillaGradient>> {
        let config = SmoothGradConfig { samples: self.samples, seed: self.seed, ..SmoothGradConfig::default() };
        Ok(config.wrap(VanillaGradient)?.with_batches(self.batches.clone()))
    }

    /// Checks what methods would refuse, before any picture is read.
    pub fn check(&self) -> Result<()> {
        self.smoothgrad().map(|_| ())
    }
}

/// The map's own colours instead of the picture's: its fine structure would be lost among the picture's.
fn own_colors() -> Style {
    let style = Style::channels();
    Style { overlay: Overlay { opacity: 1.0, blend: Blend::Uniform, ..style.overlay }, ..style }
}

fn none(_: &Settings) -> usize {
    0
}

pub const METHODS: [Method; 7] = [
    Method {
        name: VanillaGradient::NAME,
        question: "which pixels, changed a little, change the score most?",
        cost: "1 backward",
        paper: "Simonyan et al. 2013",
        in_chapter: true,
        replaces_relu: false,
        style: Style::sequential,
        samples: none,
        explain: |_, trace, target| VanillaGradient.attribute_trace(trace, target),
    },
    Method {
        name: InputXGradient::NAME,
        question: "how much would each pixel contribute if the model were linear?",
        cost: "1 backward",
        paper: "Shrikumar et al. 2016",
        in_chapter: false,
        replaces_relu: false,
        style: Style::diverging,
        samples: none,
        explain: |_, trace, target| InputXGradient.attribute_trace(trace, target),
    },
    Method {
        name: DeconvNet::NAME,
        question: "which structures excite the class? (does not see what the ReLUs switched off)",
        cost: "1 backward",
        paper: "Zeiler & Fergus 2014",
        in_chapter: true,
        replaces_relu: true,
        style: own_colors,
        samples: none,
        explain: |_, trace, target| DeconvNet.attribute_trace(trace, target),
    },
    Method {
        name: GuidedBackprop::NAME,
        question: "which fine structures excite the class? (close to an edge detector)",
        cost: "1 backward",
        paper: "Springenberg et al. 2015",
        in_chapter: true,
        replaces_relu: true,
        style: own_colors,
        samples: none,
        explain: |_, trace, target| GuidedBackprop.attribute_trace(trace, target),
    },
    Method {
        name: GradCam::NAME,
        question: "which region speaks for the class?",
        cost: "1 backward to the layer",
        paper: "Selvaraju et al. 2017",
        in_chapter: true,
        replaces_relu: false,
        style: Style::sequential,
        samples: none,
        explain: |settings, trace, target| {
            settings.layer.as_ref().map_or_else(GradCam::new, GradCam::with_layer).attribute_trace(trace, target)
        },
    },
    Method {
        name: GuidedGradCam::NAME,
        question: "which fine structures, in the region that speaks for the class?",
        cost: "2 backward",
        paper: "Selvaraju et al. 2017",
        in_chapter: true,
        replaces_relu: true,
        style: own_colors,
        samples: none,
        explain: |settings, trace, target| {
            let method = settings.layer.as_ref().map_or_else(GuidedGradCam::new, GuidedGradCam::with_layer);
            method.attribute_trace(trace, target)
        },
    },
    Method {
        name: SmoothGrad::<VanillaGradient>::NAME,
        question: "as vanilla-gradient, with the noise averaged out",
        cost: "samples + 1 forward and backward",
        paper: "Smilkov et al. 2017",
        in_chapter: true,
        replaces_relu: false,
        style: Style::sequential,
        samples: |settings| settings.samples,
        explain: |settings, trace, target| settings.smoothgrad()?.attribute(trace.network(), trace.images(), target),
    },
];
