#![allow(clippy::unwrap_used)]
use burnsight_core::Seed;
use rand::RngExt;

use super::*;

fn near(value: Option<f64>, expected: f64) {
    assert!((value.unwrap() - expected).abs() < 1e-12, "{value:?} {expected}");
}

fn ratings(table: &[&[f64]]) -> Vec<Vec<Option<f64>>> {
    table.iter().map(|row| row.iter().map(|value| value.is_finite().then_some(*value)).collect()).collect()
}

/// One metric, a row per method; NaN where it is not defined.
fn scores(name: &str, direction: Direction, methods: &[&[f64]]) -> MetricScores {
    MetricScores { name: name.into(), direction, methods: ratings(methods) }
}

fn of_one(metric: MetricScores) -> MetricReliability {
    Reliability::of(&[metric]).unwrap().metrics.remove(0)
}

const NONE: f64 = f64::NAN;

#[test]
fn alpha_of_the_textbook() {
    // Krippendorff 2011, example C: four observers, twelve units, missing ratings; given as 0.815 and 0.849.
    let table = ratings(&[
        &[1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 4.0, 1.0, 2.0, NONE, NONE, NONE],
        &[1.0, 2.0, 3.0, 3.0, 2.0, 2.0, 4.0, 1.0, 2.0, 5.0, NONE, 3.0],
        &[NONE, 3.0, 3.0, 3.0, 2.0, 3.0, 4.0, 2.0, 2.0, 5.0, 1.0, NONE],
        &[1.0, 2.0, 3.0, 3.0, 2.0, 4.0, 4.0, 1.0, 2.0, 5.0, 1.0, NONE],
    ]);
    assert!((krippendorff_alpha(&table, Level::Ordinal).unwrap() - 0.815).abs() < 5e-4);
    assert!((krippendorff_alpha(&table, Level::Interval).unwrap() - 0.849).abs() < 5e-4);
}

#[test]
fn alpha_by_hand() {
    // Two raters, units (1, 2) and (4, 4). Observed: pairs of a unit differ by 1, 1, 0, 0, mean of squares 1/2.
    // Expected: of 1, 2, 4, 4 the pairs differ by 1, 3, 3, 2, 2, 0, mean of squares 27/6. 1 − (1/2) / (27/6) = 8/9.
    let table = ratings(&[&[1.0, 4.0], &[2.0, 4.0]]);
    near(krippendorff_alpha(&table, Level::Interval), 8.0 / 9.0);
    // Ranks 1, 2, 3.5, 3.5: differences 1, 2.5, 2.5, 1.5, 1.5, 0, mean of squares 18/6: 1 − (1/2) / 3.
    near(krippendorff_alpha(&table, Level::Ordinal), 5.0 / 6.0);
    // A unit with one rating does not count.
    let table = ratings(&[&[1.0, 4.0, 9.0], &[2.0, 4.0, NONE]]);
    near(krippendorff_alpha(&table, Level::Ordinal), 5.0 / 6.0);
}

#[test]
fn alpha_of_agreement_chance_and_opposition() {
    for level in [Level::Ordinal, Level::Interval] {
        let order: &[f64] = &[1.0, 2.0, 3.0, 4.0];
        near(krippendorff_alpha(&ratings(&[order; 5]), level), 1.0);
        // Spearman −1 between the two: r + (1 − r) / N = −1 + 2/8.
        near(krippendorff_alpha(&ratings(&[order, &[4.0, 3.0, 2.0, 1.0]]), level), -0.75);
        let mut generator = Seed(0).stream(0);
        let mut random = || (0..6).map(|_| Some(generator.random::<f64>())).collect::<Vec<_>>();
        let alpha = krippendorff_alpha(&(0..300).map(|_| random()).collect::<Vec<_>>(), level).unwrap();
        assert!(alpha.abs() < 0.02, "{alpha}");
    }
}

#[test]
fn alpha_of_rankings_is_their_mean_correlation() {
    let rankings: [&[f64]; 3] = [&[1.0, 2.0, 3.0, 4.0], &[2.0, 1.0, 4.0, 3.0], &[1.0, 4.0, 2.0, 3.0]];
    let r =
        [(0, 1), (0, 2), (1, 2)].map(|(a, b)| spearman(rankings[a], rankings[b]).unwrap()).iter().sum::<f64>() / 3.0;
    near(krippendorff_alpha(&ratings(&rankings), Level::Ordinal), r + (1.0 - r) / 12.0);
}

#[test]
fn no_alpha_where_nothing_varies_or_nothing_is_shared() {
    for level in [Level::Ordinal, Level::Interval] {
        assert_eq!(krippendorff_alpha(&[], level), None);
        assert_eq!(krippendorff_alpha(&ratings(&[&[], &[]]), level), None);
        assert_eq!(krippendorff_alpha(&ratings(&[&[1.0, 2.0]]), level), None);
        assert_eq!(krippendorff_alpha(&ratings(&[&[1.0, NONE], &[NONE, 2.0]]), level), None);
        assert_eq!(krippendorff_alpha(&ratings(&[&[0.1, 0.1], &[0.1, 0.1], &[0.1, 0.1]]), level), None);
    }
}

#[test]
fn pictures_that_agree_are_raters_that_agree() {
    // The levels differ from picture to picture, the order a > b > c does not.
    let a: &[f64] = &[0.9, 0.4, 0.80, 0.3];
    let b: &[f64] = &[0.5, 0.3, 0.79, 0.2];
    let c: &[f64] = &[0.1, 0.2, 0.78, 0.1];
    let metric = of_one(scores("insertion", Direction::Higher, &[a, b, c]));
    near(metric.inter_rater.value, 1.0);
    assert_eq!((metric.methods, metric.pictures, metric.trust), (3, 4, Trust::Reliable));
    assert_eq!(metric.trust.verdict(), "pictures agree on the order of the methods");
    // Ranks over the pictures: a (4, 2, 3, 1), b (3, 2, 4, 1), c (1.5, 3, 4, 1.5). Deviations a·b = 4, |a|² = |b|² = 5;
    // c: (−1, 0.5, 1.5, −1), |c|² = 4.5, a·c = −1.5 − 0.25 + 0.75 + 1.5 = 0.5, b·c = −0.5 − 0.25 + 2.25 + 1.5 = 3.
    let root = (5.0f64 * 4.5).sqrt();
    near(metric.inter_method.value, (4.0 / 5.0 + 0.5 / root + 3.0 / root) / 3.0);
}

#[test]
fn pictures_that_disagree_decide_nothing() {
    // Two pictures prefer a, two b: mean Spearman over the six pairs (2 · 1 − 4) / 6 = −1/3, and N = 8.
    let metric = of_one(scores("x", Direction::Lower, &[&[1.0, 1.0, 0.0, 0.0], &[0.0, 0.0, 1.0, 1.0]]));
    near(metric.inter_rater.value, -1.0 / 3.0 + 4.0 / 3.0 / 8.0);
    assert_eq!(metric.trust, Trust::Unreliable);
    near(metric.inter_method.value, -1.0);
}

#[test]
fn trust_follows_krippendorffs_thresholds() {
    let trust = [Some(1.0), Some(0.8), Some(0.79), Some(0.667), Some(0.66), Some(-0.5), None]
        .map(|alpha| Trust::of(alpha, 3, 3));
    let expected = [
        Trust::Reliable,
        Trust::Reliable,
        Trust::Tentative,
        Trust::Tentative,
        Trust::Unreliable,
        Trust::Unreliable,
        Trust::Unknown,
    ];
    assert_eq!(trust, expected);
}

#[test]
fn agreement_that_may_be_luck_is_not_trusted() {
    // (1/2)^4 = 0.0625, (1/2)^5 = 0.031; 1/6, 1/36; 1/24.
    let trusted = |methods, pictures| Trust::of(Some(1.0), methods, pictures) == Trust::Reliable;
    assert_eq!([(2, 5), (2, 6), (3, 2), (3, 3), (4, 2)].map(|(a, b)| trusted(a, b)), [false, true, false, true, true]);
    assert_eq!(Trust::of(Some(0.7), 2, 2), Trust::Unknown);
    // That two pictures disagree is a fact.
    assert_eq!(Trust::of(Some(-0.5), 2, 2), Trust::Unreliable);
    // More orders of the methods than a number can hold are no reason to panic.
    assert_eq!(Trust::of(Some(1.0), 500, 100), Trust::Reliable);
}

#[test]
fn metrics_agree_when_what_is_good_agrees() {
    let insertion = scores("insertion", Direction::Higher, &[&[0.1, 0.5, 0.9], &[0.2, 0.3, 0.7]]);
    // Low is good; both orders are those of insertion turned round for the first method, (3, 2, 1) against (1, 2, 3);
    // for the second the ranks (3, 1, 2) give −1/2.
    let deletion = scores("deletion", Direction::Lower, &[&[0.8, 0.4, 0.2], &[0.9, 0.1, 0.3]]);
    let constant = scores("constant", Direction::Higher, &[&[0.5; 3], &[0.5; 3]]);
    let reliability = Reliability::of(&[insertion, deletion, constant]).unwrap();
    let matrix = &reliability.consistency;
    near(matrix[0][1], (1.0 + 0.5) / 2.0);
    assert_eq!(matrix[0][1], matrix[1][0]);
    near(matrix[0][0], 1.0);
    assert_eq!([matrix[2][0], matrix[2][2]], [None, None]);
    near(reliability.metrics[0].consistency.value, 0.75);
    let constant = &reliability.metrics[2];
    assert_eq!(constant.consistency.reason, Some("no other metric varies with it"));
    assert_eq!(constant.inter_rater.reason, Some("all methods score the same on every picture"));
    assert!(constant.inter_method.value.is_none() && constant.trust == Trust::Unknown);
}

#[test]
fn missing_values_leave_out_pictures_and_methods() {
    // The third method has no values at all, the second none on the last picture, on which the order would be another.
    let a: &[f64] = &[0.9, 0.8, 0.7, 0.0, 0.1];
    let b: &[f64] = &[0.2, 0.4, 0.1, 0.0, NONE];
    let metric = of_one(scores("x", Direction::Higher, &[a, b, &[NONE; 5]]));
    assert_eq!((metric.methods, metric.pictures), (2, 4));
    // Ranks (2, 1) three times and a tie (1.5, 1.5). Pooled: 1.5-ties are in the middle, so the ranks among all eight
    // are 2, 4.5 and 7; each method has 7, 7, 7, 4.5 or 2, 2, 2, 4.5. Within a method: Σ (x − mean)² = 3 · 0.625² +
    // 1.875² = 4.6875, times 4 / 3, twice: 12.5. All: 6 · 2.5² = 37.5. α = 1 − 7/8 · 12.5 / 37.5.
    near(metric.inter_rater.value, 1.0 - 7.0 / 24.0);
    // Common pictures: ranks (4, 3, 2, 1) and (3, 4, 2, 1).
    near(metric.inter_method.value, 0.8);
}

#[test]
fn one_method_one_picture_and_nothing() {
    let one_method = of_one(scores("x", Direction::Higher, &[&[0.1, 0.2, 0.3]]));
    assert_eq!(one_method.inter_rater.reason, Some("fewer than two methods have values: there is no order"));
    assert_eq!((one_method.inter_method.value, one_method.trust), (None, Trust::Unknown));
    assert_eq!(one_method.consistency.reason, Some("there is no other metric"));
    let one_picture = of_one(scores("x", Direction::Higher, &[&[0.1], &[0.2]]));
    let reason = "fewer than two pictures have a value for every method: nobody to agree with";
    assert_eq!(one_picture.inter_rater.reason, Some(reason));
    assert_eq!(one_picture.inter_method.value, None);
    let nothing = of_one(scores("x", Direction::Higher, &[&[NONE; 4], &[NONE; 4]]));
    assert_eq!((nothing.methods, nothing.pictures, nothing.trust), (0, 0, Trust::Unknown));
    assert_eq!(of_one(scores("x", Direction::Higher, &[])).methods, 0);
    assert!(Reliability::of(&[]).unwrap().metrics.is_empty());
}

#[test]
fn two_pictures_are_no_correlation() {
    let metric = scores("x", Direction::Higher, &[&[0.1, 0.2], &[0.3, 0.9]]);
    let reliability = Reliability::of(&[metric.clone(), metric]).unwrap();
    assert_eq!((reliability.metrics[0].inter_method.value, reliability.consistency[0][1]), (None, None));
    near(reliability.metrics[0].inter_rater.value, 1.0);
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let first = scores("first", Direction::Higher, &[&[0.1, 0.2], &[0.3, 0.4]]);
    for methods in [&[&[0.1, 0.2][..]][..], &[&[0.1, 0.2], &[0.3]], &[]] {
        let error = Reliability::of(&[first.clone(), scores("second", Direction::Higher, methods)]).unwrap_err();
        assert!(error.to_string().contains("second"), "{error}");
    }
    let mut broken = first.clone();
    broken.methods[1][0] = Some(f64::NAN);
    assert!(Reliability::of(&[first, broken]).unwrap_err().to_string().contains("NaN"));
}

#[test]
fn it_is_written_with_reasons() {
    let metric = of_one(scores("x", Direction::Higher, &[&[0.1, 0.2], &[0.3, 0.9]]));
    let json = serde_json::to_value(&metric).unwrap();
    assert_eq!(json["trust"], "unknown");
    assert_eq!(json["inter_rater"]["value"], 1.0);
    assert_eq!(json["consistency"]["reason"], "there is no other metric");
}
