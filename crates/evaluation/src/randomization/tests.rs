#![allow(clippy::unwrap_used)]
use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Device, Tensor};
use burnsight_core::{Attribution, Attributor, Classifier, MicroBatcher, Provenance, Target, read};
use burnsight_guided_backprop::GuidedBackprop;
use burnsight_network::Layer;
use burnsight_testkit::{Residual, nets};
use burnsight_vanilla_gradient::VanillaGradient;

use super::*;
use crate::{Direction, spearman};

/// A method that is any function of the network and the pictures.
struct Method<F>(F);

impl<F: Fn(&Network, Tensor<4>) -> Tensor<4>> Attributor<Network> for Method<F> {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        let logits = network.logits(images.clone())?;
        let target = target.pin(&logits)?;
        let scores = target.score(logits)?.values;
        let map = (self.0)(network, images);
        let provenance = Provenance::new("test", json!({}), &map.device());
        Ok(Attribution { map, scores, target, completeness: None, standard_error: None, provenance })
    }
}

fn pictures(count: usize) -> Tensor<4> {
    nets::pictures([count, 3, 48, 50], &Device::default(), DType::F32)
}

fn network() -> Network {
    nets::small_vgg(&Device::default(), DType::F32)
}

/// From the logits to the pictures.
const LAYERS: [&str; 6] = ["classifier.3", "classifier.0", "features.6", "features.3", "features.2", "features.0"];

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).into()).collect())
}

fn close(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() < 1e-9)
}

/// The weights of the only layer.
fn weights(network: &Network) -> Vec<f64> {
    match network.node(network.output()).layer() {
        Layer::Linear(layer) => read(layer.weight.clone()).unwrap().into_iter().map(f64::from).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_method_that_ignores_the_weights_stays_as_it_is() {
    let network = network();
    let edges = Method(|_: &Network, images: Tensor<4>| {
        let right = images.clone().slice([0..2, 0..3, 0..48, 1..50]) - images.slice([0..2, 0..3, 0..48, 0..49]);
        right.pad((0, 1, 0, 0), 0.0)
    });
    let edges = Subject::of_network(&network, &edges, pictures(2), &Target::Top).unwrap();
    let edges = edges.with_batches(MicroBatcher::new(2).unwrap());
    for metric in [&CascadingRandomization::default() as &dyn Metric, &IndependentRandomization::default()] {
        let readings = metric.measure(&edges).unwrap();
        assert_eq!(readings.len(), 4);
        for (reading, way) in readings.iter().zip(["Spearman", "Spearman of magnitudes", "SSIM", "HOG"]) {
            assert_eq!(reading.name, format!("{}, {way}", metric.name()));
            assert_eq!(reading.direction, Direction::Lower);
            assert!(reading.values.iter().all(|value| close(*value, 1.0)), "{reading:?}");
            let curve = reading.curve.as_ref().unwrap();
            assert_eq!(curve.ticks[0], "none");
            assert_eq!(curve.ticks[1..], LAYERS);
            assert!(curve.x.len() == 7 && curve.y.iter().all(|y| y.len() == 7));
        }
    }
}

/// The gradient of a linear network is its weights: old and new ones have the correlation that they have.
#[test]
fn gradient_of_a_linear_network_by_hand() {
    let weight = nets::pictures([1, 1, 1, 144], &Device::default(), DType::F32).reshape([1, 144]);
    let network = nets::linear(weight);
    let images = nets::pictures([3, 1, 12, 12], &Device::default(), DType::F32);
    let subject = Subject::of_network(&network, &VanillaGradient, images, &Target::Class(0)).unwrap();
    let fresh = network.randomized(&network.layers_with_weights(), Seed(5)).unwrap();
    let (old, new) = (weights(&network), weights(&fresh));
    let magnitudes = |weights: &[f64]| weights.iter().map(|weight| weight.abs()).collect::<Vec<_>>();
    let expected = [spearman(&old, &new).unwrap(), spearman(&magnitudes(&old), &magnitudes(&new)).unwrap()];
    assert!(expected[0].abs() < 0.3, "{expected:?}");

    let readings = CascadingRandomization { seed: Seed(5), layers: None }.measure(&subject).unwrap();
    for (reading, expected) in readings.iter().zip(expected) {
        assert!(reading.values.iter().all(|value| close(*value, expected)), "{reading:?} {expected}");
        // The unchanged network is drawn, and not in the mean.
        let y = &reading.curve.as_ref().unwrap().y[1];
        assert!(y.len() == 2 && close(y[0], 1.0) && close(y[1], expected));
    }
    // 12 × 12 holds two windows of SSIM each way and no block of HOG.
    assert!(readings[2].values[0].unwrap() < 0.9);
    assert_eq!(readings[3].values, [None; 3]);
    assert_eq!(readings[3].curve.as_ref().unwrap().y, [[None; 2]; 3]);
    // Where there is one layer, one at a time is all of them.
    let independent = IndependentRandomization { seed: Seed(5), layers: None }.measure(&subject).unwrap();
    assert_eq!(independent[0].values, readings[0].values);
    let twin = DataRandomization { twin: &fresh }.measure(&subject).unwrap();
    assert_eq!((twin[0].values.clone(), twin[0].curve.clone()), (readings[0].values.clone(), None));
    assert_eq!(twin[1].name, "data-randomization, Spearman of magnitudes");
}

#[test]
fn networks_have_the_layers_anew_that_they_say() {
    let network = network();
    let logits = |network: &Network| read(network.logits(pictures(1)).unwrap()).unwrap();
    let by_hand = |layers: &[&str]| {
        let layers: Vec<_> = layers.iter().map(|name| network.find(name).unwrap()).collect();
        logits(&network.randomized(&layers, Seed(1)).unwrap())
    };
    let mut cuts = 0;
    for (index, cut) in RandomizedNetworks::cascading(&network, None, Seed(1)).unwrap().enumerate() {
        assert_eq!(cut.layer, LAYERS[index]);
        assert_eq!(logits(&cut.network), by_hand(&LAYERS[..=index]));
        cuts += 1;
    }
    for (index, cut) in RandomizedNetworks::independent(&network, None, Seed(1)).unwrap().enumerate() {
        assert_eq!(cut.layer, LAYERS[index]);
        assert_eq!(logits(&cut.network), by_hand(&LAYERS[index..=index]));
        cuts += 1;
    }
    assert_eq!(cuts, 12);

    // Some cuts of a cascade reach as far as they would among all; the order of the names does not matter.
    let some = names(&["features.3", "classifier.0"]);
    let networks = RandomizedNetworks::cascading(&network, some.as_deref(), Seed(1)).unwrap();
    assert_eq!(networks.layers(), ["classifier.0", "features.3"]);
    assert_eq!(networks.len(), 2);
    let last = networks.last().unwrap();
    assert_eq!(logits(&last.network), by_hand(&LAYERS[..4]));
    let networks = RandomizedNetworks::independent(&network, some.as_deref(), Seed(1)).unwrap();
    assert_eq!(logits(&networks.last().unwrap().network), by_hand(&["features.3"]));
}

#[test]
fn some_cuts_are_those_of_all() {
    let network = network();
    let subject = Subject::of_network(&network, &VanillaGradient, pictures(2), &Target::Top).unwrap();
    let all = CascadingRandomization::default().measure(&subject).unwrap();
    let one = CascadingRandomization { layers: names(&["features.6"]), ..Default::default() };
    let one = one.measure(&subject).unwrap();
    for (all, one) in all.iter().zip(one) {
        let curve = all.curve.as_ref().unwrap();
        // none, classifier.3, classifier.0, features.6
        assert_eq!(one.values, [curve.y[0][3], curve.y[1][3]]);
        assert_eq!(one.curve.unwrap().ticks, ["none", "features.6"]);
        let mean = curve.y[0][1..].iter().map(|value| value.unwrap()).sum::<f64>() / 6.0;
        assert!(close(all.values[0], mean));
    }
}

/// Guided backpropagation keeps what is positive, whatever the weights are.
#[test]
fn guided_backprop_stays_more_than_the_gradient() {
    let network = network();
    let readings = |method: &dyn Attributor<Network>| {
        let subject = Subject::of_network(&network, method, pictures(8), &Target::Top).unwrap();
        CascadingRandomization::default().measure(&subject).unwrap()
    };
    let mean = |reading: &Reading| crate::Summary::of(&reading.values).mean.unwrap();
    let (gradient, guided) = (readings(&VanillaGradient), readings(&GuidedBackprop));
    for (gradient, guided) in gradient.iter().zip(&guided) {
        let (gradient, guided) = (mean(gradient), mean(guided));
        assert!(gradient + 0.15 < guided, "gradient {gradient}, guided {guided}");
    }
}

#[test]
fn pictures_and_batches_do_not_matter_and_progress_is_seen() {
    let network = network();
    let measured = |images: Tensor<4>, batch: usize| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let batches = MicroBatcher::new(batch).unwrap();
        let batches = batches.with_observer(move |done, of| sink.lock().unwrap().push((done, of)));
        let subject =
            Subject::of_network(&network, &GuidedBackprop, images, &Target::Top).unwrap().with_batches(batches);
        let readings = CascadingRandomization::default().measure(&subject).unwrap();
        let seen = seen.lock().unwrap().clone();
        (readings, seen)
    };
    let (one_by_one, seen) = measured(pictures(3), 1);
    assert_eq!((seen[0], seen.len(), seen[17]), ((1, 18), 18, (18, 18)));
    let (across_cuts, seen) = measured(pictures(3), 4);
    assert_eq!(seen.last(), Some(&(18, 18)));
    let (at_once, _) = measured(pictures(3), 100);
    let (alone, _) = measured(pictures(3).slice_dim(0, 2..3), 2);
    for way in 0..4 {
        for picture in 0..3 {
            let expected = one_by_one[way].values[picture].unwrap();
            for readings in [&across_cuts, &at_once] {
                assert!((readings[way].values[picture].unwrap() - expected).abs() < 1e-4);
            }
        }
        let expected = one_by_one[way].values[2].unwrap();
        assert!((alone[way].values[0].unwrap() - expected).abs() < 1e-4);
    }
}

/// Nothing, or not a number, as soon as classifier.0 is anew: the cut above it alone counts.
#[test]
fn constant_and_broken_maps_have_no_similarity() {
    let network = network();
    let is_anew = |network: &Network| match network.node(network.find("classifier.0").unwrap()).layer() {
        Layer::Linear(layer) => read(layer.bias.clone().unwrap()).unwrap().iter().all(|bias| *bias == 0.0),
        other => panic!("{other:?}"),
    };
    for blank in [0.0, f32::NAN] {
        let method =
            Method(|network: &Network, images: Tensor<4>| if is_anew(network) { images * 0.0 + blank } else { images });
        let subject = Subject::of_network(&network, &method, pictures(1), &Target::Top).unwrap();
        for reading in CascadingRandomization::default().measure(&subject).unwrap() {
            assert!(close(reading.values[0], 1.0));
            let y = &reading.curve.unwrap().y[0];
            assert!(close(y[0], 1.0) && close(y[1], 1.0) && y[2..].iter().all(Option::is_none), "{y:?}");
        }
    }
    let constant = Method(|_: &Network, images: Tensor<4>| images.ones_like());
    let subject = Subject::of_network(&network, &constant, pictures(2), &Target::Top).unwrap();
    for reading in IndependentRandomization::default().measure(&subject).unwrap() {
        assert_eq!(reading.values, [None, None]);
        assert_eq!(reading.curve.unwrap().y, [[None; 7]; 2]);
    }
}

#[test]
fn the_target_stays_that_of_the_original() {
    let network = network();
    let seen = Mutex::new(Vec::new());
    struct Targets<'a>(&'a Mutex<Vec<String>>);
    impl Attributor<Network> for Targets<'_> {
        fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
            self.0.lock().unwrap().push(target.to_string());
            VanillaGradient.attribute(network, images, target)
        }
    }
    let targets = Targets(&seen);
    let subject = Subject::of_network(&network, &targets, pictures(3), &Target::Top).unwrap();
    let subject = subject.with_batches(MicroBatcher::new(3).unwrap());
    CascadingRandomization::default().measure(&subject).unwrap();
    let pinned = subject.target().to_string();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0], "top class");
    assert!(seen.len() == 7 && seen[1..].iter().all(|target| *target == pinned), "{seen:?} {pinned}");
}

#[test]
fn what_cannot_be_measured_says_why() {
    let network = network();
    let subject = Subject::of_network(&network, &VanillaGradient, pictures(1), &Target::Class(4)).unwrap();
    let refused = |layers: &[&str]| {
        let metric = CascadingRandomization { layers: names(layers), ..Default::default() };
        metric.measure(&subject).unwrap_err().to_string()
    };
    assert!(refused(&["features.9"]).contains("`layers` is features.9"));
    assert!(refused(&["features.0", "flatten"]).contains("flatten: no layer of that name leads to the logits"));
    assert!(refused(&[]).contains("name at least 1 of classifier.3, "));
    let without = nets::chain([("flatten", Layer::Flatten)]);
    assert!(RandomizedNetworks::independent(&without, None, Seed(0)).unwrap_err().to_string().contains("weights"));
    // A twin without class 4.
    let twin = nets::branches(&Device::default(), DType::F32);
    assert!(DataRandomization { twin: &twin }.measure(&subject).unwrap_err().to_string().contains("class 4"));

    let (module, twin) = Residual::with_network([8, 8], &Device::default());
    let model = module.into_model();
    let images = nets::pictures([1, 3, 8, 8], &Device::default(), DType::F32);
    let subject = Subject::of_model(&model, &VanillaGradient, images, &Target::Top).unwrap();
    let metrics: [&dyn Metric; 3] =
        [&CascadingRandomization::default(), &IndependentRandomization::default(), &DataRandomization { twin: &twin }];
    for metric in metrics {
        let refused = metric.measure(&subject).unwrap_err();
        assert!(matches!(refused, burnsight_core::Error::Unsupported { .. }), "{refused}");
        assert!(refused.to_string().starts_with(metric.name()), "{refused}");
    }
}

#[test]
fn settings_are_told() {
    let metric = CascadingRandomization { seed: Seed(3), layers: names(&["features.0"]) };
    assert_eq!(metric.parameters(), json!({ "seed": 3, "layers": ["features.0"] }));
    assert!(metric.paper().contains("2018"));
}
