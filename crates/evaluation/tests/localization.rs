//! Localization metrics against Quantus, scikit-learn and scipy: `reference/localization.py`.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Tensor, TensorData};
use burnsight_core::Target;
use burnsight_evaluation::{IntersectionOverUnion, Mask, MassAccuracy, Metric, PointingGame, RankAccuracy, Subject};
use burnsight_testkit::nets::linear;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn localization_metrics_agree_with_quantus() {
    let fixture: Value = serde_json::from_str(include_str!("reference/localization.json")).unwrap();
    let size = numbers(&fixture["size"]);
    let (height, width) = (size[0] as usize, size[1] as usize);
    let maps: Vec<f32> =
        fixture["maps"].as_array().unwrap().iter().flat_map(numbers).map(|value| value as f32).collect();
    let maps = TensorData::new(maps.clone(), [maps.len() / (height * width), 1, height, width]);
    let maps = Tensor::<4>::from_data(maps, &Device::default());
    let mask = |text: &Value| text.as_str().unwrap().chars().map(|pixel| pixel == '#').collect();
    let masks = fixture["masks"].as_array().unwrap().iter().map(|text| Mask::new(height, width, mask(text)).unwrap());
    let model = linear(Tensor::ones([2, height * width], &Device::default()));
    let subject = Subject::of_maps(&model, maps.zeros_like(), maps, &Target::Class(0)).unwrap();
    let subject = subject.with_masks(masks.collect()).unwrap();

    let tolerance = fixture["tolerance"].as_u64().unwrap() as usize;
    let overlap = IntersectionOverUnion { threshold: fixture["threshold"].as_f64().unwrap() };
    let compared: [(&dyn Metric, usize, &[&str]); 6] = [
        (&PointingGame::default(), 0, &["pointing_game"]),
        (&PointingGame { tolerance }, 0, &["pointing_game_within_tolerance"]),
        (&MassAccuracy, 0, &["mass_accuracy", "attribution_localisation"]),
        (&RankAccuracy, 0, &["rank_accuracy", "top_k_intersection"]),
        (&overlap, 0, &["best_threshold"]),
        (&overlap, 1, &["fixed_threshold"]),
    ];
    for (metric, reading, references) in compared {
        let reading = metric.measure(&subject).unwrap().remove(reading);
        for reference in references {
            for (value, expected) in reading.values.iter().zip(numbers(&fixture[*reference])) {
                let value = value.unwrap();
                assert!((value - expected).abs() < 1e-6, "{} against {reference}: {value} {expected}", reading.name);
            }
        }
    }
}
