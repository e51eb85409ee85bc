//! LRP rule by rule, and what is made of its rules, against zennit. `zennit/generate.py` made the fixtures and says how.
#![cfg(all(feature = "all-methods", feature = "zoo"))]
#![allow(clippy::unwrap_used)]

mod reference;

use burn::tensor::DType;
use burnsight::{
    Composite, DeepTaylor, ExcitationBackprop, Layers, LrpConfig, PixelBounds, Rule,
    network::{Network, TraceAttributor},
};
use reference::{DOUBLE, Fixture, Precision, SINGLE, builtin, random_vgg, residual, small};

const ALPHA2_BETA1: Rule = Rule::AlphaBeta { alpha: 2.0, beta: 1.0 };

/// z⁺ behind the first layer, but w² for a layer that reads values of both signs.
fn deep_taylor(rule: Rule, signed: Option<&str>) -> Composite {
    let composite = Composite::uniform(Rule::ZPlus).with(Layers::First, rule);
    match signed {
        Some(layer) => composite.with(Layers::Named(layer.into()), Rule::WSquare),
        None => composite,
    }
}

/// Rules in which biases can take part.
fn with_biases(bounds: &PixelBounds) -> Vec<(&'static str, Composite)> {
    vec![
        ("epsilon", Composite::uniform(Rule::Epsilon(1e-6))),
        ("epsilon large", Composite::uniform(Rule::Epsilon(0.25))),
        ("gamma", Composite::uniform(Rule::Gamma(0.25))),
        ("alpha-beta 2 1", Composite::uniform(ALPHA2_BETA1)),
        ("epsilon-plus", Composite::epsilon_plus()),
        ("epsilon-plus-flat", Composite::epsilon_plus().with_flat_first()),
        ("epsilon-alpha2-beta1", Composite::epsilon_alpha2_beta1()),
        ("epsilon-alpha2-beta1-flat", Composite::epsilon_alpha2_beta1().with_flat_first()),
        ("epsilon-gamma-box", Composite::epsilon_gamma_box(0.25, bounds.clone())),
    ]
}

/// Rules that know no biases, and presets.
fn others(bounds: &PixelBounds, signed: Option<&str>) -> Vec<(&'static str, Composite)> {
    vec![
        ("z-plus", Composite::uniform(Rule::ZPlus)),
        ("w-square", Composite::uniform(Rule::WSquare)),
        ("flat", Composite::uniform(Rule::Flat)),
        ("deep-taylor", deep_taylor(Rule::WSquare, signed)),
        ("deep-taylor bounded", deep_taylor(Rule::ZBox(bounds.clone()), signed)),
        ("preset-a", Composite::preset_a()),
        ("preset-b", Composite::preset_b()),
    ]
}

/// A network of `nets.py` and what the fixture has of it.
struct Case<'a> {
    fixture: &'a str,
    network: Network,
    /// Where excitation backprop ends.
    inner: &'a str,
    /// The layer behind the first that reads values of both signs.
    signed: Option<&'a str>,
    /// Whether there are maps without biases.
    without_biases: bool,
}

impl Case<'_> {
    fn compare(&self) {
        let fixture = Fixture::read(self.fixture);
        [SINGLE, DOUBLE].into_iter().for_each(|precision| self.compare_in(&fixture, precision));
    }

    fn compare_in(&self, fixture: &Fixture, precision: Precision) {
        let network = &self.network.cast(precision.dtype);
        let target = fixture.target();
        let trace = network.record(fixture.images(precision.dtype)).unwrap();
        fixture.check("logits", trace.logits(), precision);
        let bound = |name| fixture.data(name).iter().collect();
        let bounds = PixelBounds { low: bound("low"), high: bound("high") };
        let check = |what: &str, method: &dyn TraceAttributor| {
            fixture.check_map(what, method.attribute_trace(&trace, &target).unwrap(), precision);
        };
        let check_rule = |what: &str, composite, biases| {
            check(what, &LrpConfig { composite, biases }.init().unwrap());
        };
        for (what, composite) in with_biases(&bounds).into_iter().chain(others(&bounds, self.signed)) {
            check_rule(what, composite, true);
        }
        // Without biases, sums come close to 0. A small ε then makes maps of any size, in torch too, and γ makes maps
        // that are beyond single precision.
        let too_much = |what: &str| what == "epsilon" || what.contains("gamma") && precision.dtype == DType::F32;
        let without = with_biases(&bounds).into_iter().filter(|(what, _)| self.without_biases && !too_much(what));
        for (what, composite) in without {
            check_rule(&format!("{what}, no biases"), composite, false);
        }

        // Deep Taylor shares out positive scores only.
        if fixture.scores().iter().all(|score| *score > 0.0) {
            check("deep-taylor", &DeepTaylor::unbounded());
            check("deep-taylor bounded", &DeepTaylor::bounded(bounds).unwrap());
        }
        let excitation = ExcitationBackprop::new();
        check("excitation-backprop", &excitation);
        check("excitation-backprop contrastive", &excitation.clone().contrastive());
        check(&format!("excitation-backprop of {}", self.inner), &excitation.with_layer(self.inner));
    }
}

#[test]
fn builtin_model() {
    let (fixture, network) = ("zennit/builtin", builtin());
    Case { fixture, network, inner: "features.14", signed: None, without_biases: false }.compare();
}

/// Batch norms, which zennit merges into the convolutions before them.
#[test]
fn random_model() {
    let (fixture, network) = ("zennit/random", random_vgg());
    Case { fixture, network, inner: "features.13", signed: None, without_biases: true }.compare();
}

#[test]
fn residual_model() {
    let (fixture, network) = ("zennit/residual", residual());
    Case { fixture, network, inner: "block1.relu2", signed: Some("logits"), without_biases: true }.compare();
}

/// The first picture's score is negative.
#[test]
fn small_model() {
    let (fixture, network) = ("zennit/small", small());
    Case { fixture, network, inner: "max", signed: None, without_biases: true }.compare();
}
