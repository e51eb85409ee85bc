use crate::ranks;

/// What the numbers of raters mean, and so how far apart two of them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Their order means something: places in a ranking.
    Ordinal,
    /// Their differences do: measured values.
    Interval,
}

/// Krippendorff's alpha: how far raters agree about units.
///
/// ```text
/// α = 1 − observed disagreement / disagreement expected by chance
///
/// observed: mean of δ² over the pairs of ratings of one unit        expected: over all pairs of ratings
/// δ interval: difference of the ratings        δ ordinal: difference of their ranks among all ratings
/// ```
///
/// 1 for perfect agreement, about 0 for ratings that have nothing to do with the units, below 0 for systematic
/// disagreement. For rankings without ties and gaps it is r + (1 − r) / N, with r the mean of Spearman's correlation
/// over all pairs of raters and N the number of ratings.
///
/// `ratings` has one list per rater with one place per unit; ratings may be missing, and a unit with fewer than two
/// does not count. `None` when no unit has two or all ratings are equal: where nothing varies, there is nothing to
/// agree about.
///
/// Krippendorff 2011, *Computing Krippendorff's Alpha-Reliability*, <https://repository.upenn.edu/asc_papers/43>.
///
/// # Panics
/// When raters have lists of different lengths.
pub fn krippendorff_alpha(ratings: &[Vec<Option<f64>>], level: Level) -> Option<f64> {
    let units = ratings.first()?.len();
    assert!(ratings.iter().all(|rater| rater.len() == units), "every rater has a place for every unit");
    let of_unit = |unit: usize| ratings.iter().filter_map(move |rater| rater[unit]).collect::<Vec<_>>();
    let pairable: Vec<Vec<f64>> = (0..units).map(of_unit).filter(|ratings| ratings.len() > 1).collect();
    // Krippendorff counts the ratings between two: that is the difference of their ranks, ties at their mean place.
    let pooled = match level {
        Level::Ordinal => ranks(&pairable.concat()),
        Level::Interval => pairable.concat(),
    };
    let count = pooled.len() as f64;
    let mut rest = pooled.as_slice();
    let mut observed = 0.0;
    for unit in &pairable {
        let (ratings, others) = rest.split_at(unit.len());
        observed += squares_of_differences(ratings) / (ratings.len() as f64 - 1.0);
        rest = others;
    }
    let varies = pooled.iter().any(|rating| *rating != pooled[0]);
    varies.then(|| 1.0 - (observed / count) / (squares_of_differences(&pooled) / (count * (count - 1.0))))
}

/// Σ over all ordered pairs of the squared difference, which is 2 · n · Σ (x − mean)².
fn squares_of_differences(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    2.0 * count * values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
}
