//! Against scikit-image, SciPy and Quantus; `reference/similarity.py` wrote what they say.
#![allow(clippy::unwrap_used)]

use burnsight_evaluation::{center_of_mass, hog_similarity, spearman, ssim, top_intersection};
use safetensors::SafeTensors;

/// Largest difference of Spearman's correlation of maps and of magnitudes, SSIM, HOG, common share of the largest, row and
/// column of the centre. Scikit-image adds up its histograms in single precision.
const TOLERANCES: [f64; 7] = [1e-12, 1e-12, 1e-12, 1e-6, 0.0, 1e-9, 1e-9];

#[test]
fn maps_are_as_alike_as_the_libraries_say() {
    let file = SafeTensors::deserialize(include_bytes!("reference/similarity.safetensors")).unwrap();
    let expected = file.tensor("expected").unwrap();
    let expected: Vec<f64> =
        expected.data().chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert_eq!(expected.len(), 4 * 7);
    for (index, expected) in expected.chunks(7).enumerate() {
        let map = |name: &str| -> (Vec<f64>, [usize; 2]) {
            let map = file.tensor(&format!("{name}_{index}")).unwrap();
            let values = map.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()).into());
            (values.collect(), map.shape().try_into().unwrap())
        };
        let ((a, size), (b, _)) = (map("a"), map("b"));
        let magnitudes = |map: &[f64]| map.iter().map(|value| value.abs()).collect::<Vec<_>>();
        let (magnitudes_a, magnitudes_b) = (magnitudes(&a), magnitudes(&b));
        let [row, column] = center_of_mass(&a, size).unwrap();
        let ours = [
            spearman(&a, &b).unwrap(),
            spearman(&magnitudes_a, &magnitudes_b).unwrap(),
            ssim(&magnitudes_a, &magnitudes_b, size).unwrap(),
            hog_similarity(&magnitudes_a, &magnitudes_b, size).unwrap(),
            top_intersection(&magnitudes_a, &magnitudes_b, 100).unwrap(),
            row,
            column,
        ];
        for ((ours, expected), tolerance) in ours.iter().zip(expected).zip(TOLERANCES) {
            assert!((ours - expected).abs() <= tolerance, "pair {index}: {ours} and {expected}");
        }
    }
}
