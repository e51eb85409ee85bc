//! Reliability of metrics against the `krippendorff` package and scipy: `reference/reliability.py`.
#![allow(clippy::unwrap_used)]

use burnsight_evaluation::{Level, MetricScores, Reliability, krippendorff_alpha};
use serde_json::{Value, from_value};

fn fixture() -> Value {
    serde_json::from_str(include_str!("reference/reliability.json")).unwrap()
}

fn near(value: Option<f64>, expected: &Value) {
    let (value, expected) = (value.unwrap(), expected.as_f64().unwrap());
    assert!((value - expected).abs() < 1e-9, "{value} {expected}");
}

#[test]
fn alpha_agrees_with_the_krippendorff_package() {
    for case in fixture()["alphas"].as_array().unwrap() {
        let ratings: Vec<Vec<Option<f64>>> = from_value(case["ratings"].clone()).unwrap();
        near(krippendorff_alpha(&ratings, Level::Ordinal), &case["ordinal"]);
        near(krippendorff_alpha(&ratings, Level::Interval), &case["interval"]);
    }
}

#[test]
fn reliability_agrees_with_scipy() {
    let fixture = fixture();
    let metrics = fixture["metrics"].as_array().unwrap();
    let scores = |metric: &Value| MetricScores {
        name: metric["name"].as_str().unwrap().into(),
        direction: from_value(metric["direction"].clone()).unwrap(),
        methods: from_value(metric["methods"].clone()).unwrap(),
    };
    let reliability = Reliability::of(&metrics.iter().map(scores).collect::<Vec<_>>()).unwrap();
    for (ours, metric) in reliability.metrics.iter().zip(metrics) {
        near(ours.inter_rater.value, &metric["inter_rater"]);
        near(ours.inter_method.value, &metric["inter_method"]);
    }
    for (row, expected) in reliability.consistency.iter().zip(fixture["consistency"].as_array().unwrap()) {
        row.iter().zip(expected.as_array().unwrap()).for_each(|(value, expected)| near(*value, expected));
    }
}
