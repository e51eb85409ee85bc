//! How alike two lists of numbers are.

/// Pearson's correlation coefficient, -1 to 1; `None` when one of the lists is constant or shorter than 2.
///
/// # Panics
/// When the lists differ in length.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "both lists are about the same things");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    // Rounding of the mean must not make a constant list look varied.
    let is_constant = |values: &[f64]| values.iter().all(|value| *value == values[0]);
    if a.len() < 2 || is_constant(a) || is_constant(b) {
        return None;
    }
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut covariance, mut variance_a, mut variance_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        covariance += a * b;
        variance_a += a * a;
        variance_b += b * b;
    }
    let correlation = covariance / (variance_a.sqrt() * variance_b.sqrt());
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
}

/// The place of every number in ascending order, from 1; equal numbers share the mean of their places.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|index| ranks[*index] = rank);
        before += equal.len();
    }
    ranks
}

/// Spearman's rank correlation, -1 to 1: Pearson's of the ranks. `None` as there.
///
/// # Panics
/// When the lists differ in length.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    pearson(&ranks(a), &ranks(b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn by_hand() {
        // Deviations (-1, 0, 1) and (-1, 1, 0): 1 / √(2 · 2).
        assert!((pearson(&[1.0, 2.0, 3.0], &[4.0, 6.0, 5.0]).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(ranks(&[-0.0, 0.0]), [1.5, 1.5]);
        assert!((spearman(&[1.0, 10.0, 100.0], &[0.1, 0.2, 7.0]).unwrap() - 1.0).abs() < 1e-12);
        assert!((spearman(&[1.0, 10.0, 100.0], &[3.0, 2.0, 1.0]).unwrap() + 1.0).abs() < 1e-12);
        // Ranks (1, 2.5, 2.5, 4) and (1, 3, 2, 4): 4.5 / √(4.5 · 5).
        let with_ties = spearman(&[0.0, 1.0, 1.0, 2.0], &[0.0, 2.0, 1.0, 3.0]).unwrap();
        assert!((with_ties - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn undefined_where_nothing_varies() {
        assert_eq!(pearson(&[0.1; 7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), None);
        assert_eq!(spearman(&[1.0], &[2.0]), None);
        assert_eq!(pearson(&[], &[]), None);
    }
}
