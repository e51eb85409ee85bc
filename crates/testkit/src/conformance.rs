//! What every method must do, whatever its formula.

use burn::tensor::Tensor;
use burnsight_core::{Attribution, Attributor, Classifier, Error, Target};
use burnsight_network::{Network, TraceAttributor};

use crate::{relative_l2, values};

/// Between a picture in a batch and the same picture alone: backends may add up in another order.
const TOLERANCE: f64 = 1e-5;

/// Checks what every method must do on a model with at least two classes.
///
/// # Shapes
/// - images: `[n, c, h, w]` with n ≥ 2 and h ≠ w, so that mixed-up pictures and axes show
///
/// # Panics
/// With a sentence about what broke.
pub fn conformance<M: Classifier + ?Sized>(attributor: &(impl Attributor<M> + ?Sized), model: &M, images: Tensor<4>) {
    let [count, channels, height, width] = images.dims();
    assert!(count >= 2 && height != width, "conformance needs several pictures that are not square");
    let logits = model.logits(images.clone()).expect("the model takes the pictures");
    let classes = logits.dims()[1];
    assert!(classes >= 2, "conformance needs a model with several classes");
    let logits: Vec<Vec<f64>> = values(logits).chunks(classes).map(<[f64]>::to_vec).collect();
    let last = classes - 1;
    // Scores are sums of logits, and may cancel: what counts is the size of the logits.
    let slack =
        TOLERANCE * classes as f64 * logits.iter().flatten().fold(0.0, |most: f64, logit| most.max(logit.abs()));
    let close = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= slack);
    let attribute = |target: &Target| {
        let result = attributor.attribute(model, images.clone(), target);
        result.unwrap_or_else(|error| panic!("{target} was refused: {error}"))
    };

    // Every kind of target, and the score it should have on one picture's logits.
    let alternating: Vec<usize> = (0..count).map(|image| image % 2).collect();
    let weights: Vec<f32> = (0..classes).map(|class| 1.0 - 0.5 * class as f32).collect();
    let targets = [
        (Target::Top, (0..count).map(|image| logits[image][top(&logits[image])]).collect()),
        (Target::Class(last), logits.iter().map(|row| row[last]).collect()),
        (Target::Classes(alternating.clone()), (0..count).map(|image| logits[image][image % 2]).collect()),
        (Target::Contrast { class: last, against: 0 }, logits.iter().map(|row| row[last] - row[0]).collect()),
        (Target::Weighted(weights.clone()), logits.iter().map(|row| dot(row, &weights)).collect::<Vec<f64>>()),
        (
            Target::function("last class", move |logits| logits.slice_dim(1, last..last + 1)),
            logits.iter().map(|row| row[last]).collect(),
        ),
    ];
    let mut silent = true;
    for (target, expected) in &targets {
        let attribution = attribute(target);
        let [n, c, h, w] = attribution.map.dims();
        let fits = n == count && (c == channels || c == 1) && h == height && w == width;
        assert!(fits, "{target}: the map of {:?} has shape {:?}", images.dims(), attribution.map.dims());
        let map = values(attribution.map.clone());
        assert!(map.iter().all(|value| value.is_finite()), "{target}: the map is not finite");
        silent &= map.iter().all(|value| *value == 0.0);
        let scores =
            |attribution: &Attribution| -> Vec<f64> { attribution.scores.iter().copied().map(f64::from).collect() };
        assert!(
            close(&scores(&attribution), expected),
            "{target}: scores {:?}, the model says {expected:?}",
            attribution.scores
        );
        if let Some(standard_error) = &attribution.standard_error {
            assert_eq!(standard_error.dims(), [n, c, h, w], "{target}: the standard error is not shaped as the map");
        }
        if let Some(completeness) = &attribution.completeness {
            assert_eq!(completeness.len(), count, "{target}: completeness is not given per picture");
        }
        assert!(!attribution.provenance.method.is_empty(), "{target}: the provenance names no method");
        assert_same(&attribute(target), &attribution, &format!("{target}: the same call twice"));

        for image in 0..count {
            let picture = images.clone().slice_dim(0, image..image + 1);
            let alone = attributor.attribute(model, picture, &target.select([image]));
            let alone = alone.unwrap_or_else(|error| panic!("{target}, picture {image} alone was refused: {error}"));
            let in_batch = values(attribution.map.clone().slice_dim(0, image..image + 1));
            let error = relative_l2(&in_batch, &values(alone.map.clone()));
            assert!(error <= TOLERANCE, "{target}: picture {image} has another map alone, relative error {error:e}");
            assert!(
                close(&scores(&alone), &expected[image..=image]),
                "{target}: picture {image} alone has scores {:?}, in the batch {}",
                alone.scores,
                attribution.scores[image]
            );
        }
    }
    assert!(!silent, "every map is zero for every target: choose pictures on which the method has something to say");

    // Targets that say the same give the same map.
    let tops: Vec<usize> = logits.iter().map(|row| top(row)).collect();
    let pinned = attribute(&Target::Top);
    match &pinned.target {
        Target::Classes(classes) => assert_eq!(*classes, tops, "the top class is not that of the highest logits"),
        other => panic!("the top class was not pinned: the attribution says {other}"),
    }
    assert_same(&attribute(&Target::Classes(tops)), &pinned, "the top class and the classes it pins");
    let class = values(attribute(&Target::Class(last)).map);
    let mut one_hot = vec![0.0; classes];
    one_hot[last] = 1.0;
    for target in [Target::Classes(vec![last; count]), Target::Weighted(one_hot), targets[5].0.clone()] {
        let error = relative_l2(&values(attribute(&target).map), &class);
        assert!(error <= TOLERANCE, "{target} and class {last} give different maps, relative error {error:e}");
    }

    let refused = |images: Tensor<4>, target: Target| match attributor.attribute(model, images, &target) {
        Ok(_) => panic!("{target} was accepted for {count} pictures and {classes} classes"),
        Err(error) => error,
    };
    let wrong = [
        Target::Class(classes),
        Target::Classes(vec![0; count + 1]),
        Target::Classes(vec![classes; count]),
        Target::Contrast { class: 0, against: classes },
        Target::Weighted(vec![1.0; classes + 1]),
    ];
    for target in wrong {
        let name = target.to_string();
        let error = refused(images.clone(), target);
        assert!(matches!(error, Error::Target { .. }), "{name} should be refused as a target, not as: {error}");
    }
    let none = Tensor::empty([0, channels, height, width], (&images.device(), images.dtype()));
    let error = refused(none, Target::Class(0));
    assert!(matches!(error, Error::Image { .. }), "no picture at all should be refused as a picture, not as: {error}");
}

/// Checks that a method which works from a recorded forward pass says the same as without one.
///
/// # Panics
/// With a sentence about what broke.
pub fn trace_conformance(
    attributor: &(impl TraceAttributor + Attributor<Network>),
    network: &Network,
    images: Tensor<4>,
) {
    let trace = network.record(images.clone()).expect("the network takes the pictures");
    for target in [Target::Top, Target::Class(1), Target::Class(0)] {
        let alone = attributor.attribute(network, images.clone(), &target).expect("the method explains the network");
        let shared = attributor.attribute_trace(&trace, &target).expect("the method explains the trace");
        assert_same(&shared, &alone, &format!("{target}: a shared trace and a run of its own"));
    }
    let classes = trace.logits().dims()[1];
    let error = attributor.attribute_trace(&trace, &Target::Class(classes)).err();
    assert!(matches!(error, Some(Error::Target { .. })), "class {classes} should be refused on a trace: {error:?}");
}

/// The same map, bit for bit, and the same scores.
fn assert_same(left: &Attribution, right: &Attribution, what: &str) {
    assert_eq!(left.map.dims(), right.map.dims(), "{what} give maps of different shape");
    let bytes = |attribution: &Attribution| attribution.map.clone().into_data().bytes().to_vec();
    assert!(bytes(left) == bytes(right), "{what} give different maps");
    assert_eq!(left.scores, right.scores, "{what} give different scores");
}

/// The first of the highest.
fn top(logits: &[f64]) -> usize {
    (0..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

fn dot(logits: &[f64], weights: &[f32]) -> f64 {
    logits.iter().zip(weights).map(|(logit, weight)| logit * f64::from(*weight)).sum()
}
