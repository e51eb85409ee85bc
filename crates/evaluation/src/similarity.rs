//! How alike two maps are, as pictures. Maps have one value per pixel, row by row.

use std::{cmp::Ordering, f64::consts::PI};

use crate::pearson;

/// Side of SSIM's Gaussian window.
const WINDOW: usize = 11;

/// Standard deviation of that window, in pixels.
const SIGMA: f64 = 1.5;

/// The constants that keep SSIM's denominators away from 0, for values from 0 to 1: K₁² and K₂².
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// Side of a HOG cell in pixels.
const CELL: usize = 16;

/// Side of a HOG block in cells.
const BLOCK: usize = 3;

/// Bins of a HOG histogram, over half a turn.
const ORIENTATIONS: usize = 9;

/// Where a normalised HOG block is cut off.
const CLIP: f64 = 0.2;

/// Keeps the norm of a HOG block without edges away from 0.
const EPSILON: f64 = 1e-5;

/// Structural similarity (Wang et al. 2004), −1 to 1: whether means, spreads and details agree, window by window.
///
/// ```text
///   (2 μa μb + C₁) (2 σab + C₂) / ((μa² + μb² + C₁) (σa² + σb² + C₂))        mean over the windows
/// ```
///
/// As in the paper the windows are 11 × 11 Gaussians of σ = 1.5 that lie within the map, C₁ = 0.01² and C₂ = 0.03². Each map
/// is brought to 0 to 1 first by its own smallest and largest value, as in the code of Adebayo et al. (2018), so the data
/// range is 1. The result is scikit-image's `structural_similarity` with `gaussian_weights=True`, `sigma=1.5`,
/// `use_sample_covariance=False` and `data_range=1`.
///
/// Where both maps are near their minimum almost everywhere, almost all windows agree: two maps of noise of normal numbers
/// have 0.0, of the fifth power of that noise, which is sparse, 0.6.
///
/// `None` when a map is the same everywhere, not finite, or smaller than 11 × 11.
///
/// # Panics
/// When a map does not have height · width values.
pub fn ssim(a: &[f64], b: &[f64], size: [usize; 2]) -> Option<f64> {
    let (a, b) = (normalized(a, size)?, normalized(b, size)?);
    if size[0] < WINDOW || size[1] < WINDOW {
        return None;
    }
    let product = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
    let (mean_a, mean_b) = (window_means(&a, size), window_means(&b, size));
    let squares_a = window_means(&product(&a, &a), size);
    let squares_b = window_means(&product(&b, &b), size);
    let products = window_means(&product(&a, &b), size);
    let similarity = |at: usize| {
        let (a, b) = (mean_a[at], mean_b[at]);
        let (variance_a, variance_b) = (squares_a[at] - a * a, squares_b[at] - b * b);
        let covariance = products[at] - a * b;
        (2.0 * a * b + C1) * (2.0 * covariance + C2) / ((a * a + b * b + C1) * (variance_a + variance_b + C2))
    };
    Some((0..mean_a.len()).map(similarity).sum::<f64>() / mean_a.len() as f64)
}

/// Pearson's correlation of two maps' histograms of oriented gradients (Dalal & Triggs 2005), −1 to 1: whether there are
/// edges of the same direction in the same places.
///
/// With 16 × 16 pixels per cell as in Adebayo et al. (2018), and else what their library does: 9 orientations over half a
/// turn, central differences that are 0 at the border, every pixel's magnitude to one bin (the paper shares it among the
/// neighbours), blocks of 3 × 3 cells in L2-Hys norm. The result is the correlation of scikit-image's `hog` of both maps,
/// after each is brought to 0 to 1.
///
/// Maps that have nothing in common are not at 0. A lone bright pixel has edges to its left, right, top and bottom only, so
/// all maps of lone bright pixels have the same histograms: for noise of normal numbers on 224 × 224 pixels the correlation
/// is 0.2, for the fifth power of that noise 0.9.
///
/// `None` when a map is the same everywhere, not finite, or smaller than one block, 48 × 48, or when its histograms are.
///
/// # Panics
/// When a map does not have height · width values.
pub fn hog_similarity(a: &[f64], b: &[f64], size: [usize; 2]) -> Option<f64> {
    pearson(&oriented_gradients(a, size)?, &oriented_gradients(b, size)?)
}

/// The share of a's `k` largest values that lie where b's `k` largest do (Ghorbani et al. 2019), 0 to 1.
///
/// Of equal values the earlier counts as larger, so maps with fewer than `k` values above their minimum agree by position
/// where they have nothing to say.
///
/// `None` when `k` is 0 or larger than the maps, or a map is the same everywhere or not finite.
///
/// # Panics
/// When the maps differ in length.
pub fn top_intersection(a: &[f64], b: &[f64], k: usize) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "both maps are of one picture");
    if k == 0 || k > a.len() || !is_varied(a) || !is_varied(b) {
        return None;
    }
    let top = |map: &[f64]| {
        let mut order: Vec<usize> = (0..map.len()).collect();
        order.sort_by(|i, j| map[*j].partial_cmp(&map[*i]).unwrap_or(Ordering::Equal));
        let mut is_top = vec![false; map.len()];
        order[..k].iter().for_each(|index| is_top[*index] = true);
        is_top
    };
    let common = top(a).into_iter().zip(top(b)).filter(|(a, b)| *a && *b).count();
    Some(common as f64 / k as f64)
}

/// The mean place, row and column, weighted by magnitude.
///
/// `None` when the map is 0 everywhere or not finite.
///
/// # Panics
/// When the map does not have height · width values.
pub fn center_of_mass(map: &[f64], [height, width]: [usize; 2]) -> Option<[f64; 2]> {
    assert_eq!(map.len(), height * width, "one value per pixel");
    let (mut mass, mut row, mut column) = (0.0, 0.0, 0.0);
    for (index, value) in map.iter().map(|value| value.abs()).enumerate() {
        mass += value;
        row += value * (index / width) as f64;
        column += value * (index % width) as f64;
    }
    (mass.is_finite() && mass > 0.0).then(|| [row / mass, column / mass])
}

fn is_varied(map: &[f64]) -> bool {
    map.iter().all(|value| value.is_finite()) && map.iter().any(|value| *value != map[0])
}

/// The map from 0 to 1.
fn normalized(map: &[f64], [height, width]: [usize; 2]) -> Option<Vec<f64>> {
    assert_eq!(map.len(), height * width, "one value per pixel");
    if !is_varied(map) {
        return None;
    }
    let smallest = map.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = map.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some(map.iter().map(|value| (value - smallest) / (largest - smallest)).collect())
}

/// The Gaussian mean of every window that lies within the map.
fn window_means(map: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let middle = (WINDOW / 2) as f64;
    let height_at = |place: usize| (-0.5 * ((place as f64 - middle) / SIGMA).powi(2)).exp();
    let sum: f64 = (0..WINDOW).map(height_at).sum();
    let window: [f64; WINDOW] = std::array::from_fn(|place| height_at(place) / sum);

    let (rows, columns) = (height + 1 - WINDOW, width + 1 - WINDOW);
    // Along the rows, then along the columns: the Gaussian is a product.
    let mut along_rows = Vec::with_capacity(height * columns);
    for row in map.chunks(width) {
        along_rows.extend(row.windows(WINDOW).map(|part| part.iter().zip(&window).map(|(x, w)| x * w).sum::<f64>()));
    }
    let mut means = vec![0.0; rows * columns];
    for (row, means) in means.chunks_mut(columns).enumerate() {
        for (line, weight) in along_rows[row * columns..].chunks(columns).zip(&window) {
            means.iter_mut().zip(line).for_each(|(mean, value)| *mean += weight * value);
        }
    }
    means
}

/// The histograms of all blocks, one behind the other.
fn oriented_gradients(map: &[f64], size: [usize; 2]) -> Option<Vec<f64>> {
    let map = normalized(map, size)?;
    let [rows, columns] = size.map(|side| side / CELL);
    if rows < BLOCK || columns < BLOCK {
        return None;
    }
    let cells = cell_histograms(&map, size);
    let mut features = Vec::new();
    for row in 0..=rows - BLOCK {
        for column in 0..=columns - BLOCK {
            let mut block: Vec<f64> = (row..row + BLOCK)
                .flat_map(|row| &cells[row * columns + column..][..BLOCK])
                .flatten()
                .copied()
                .collect();
            // L2-Hys: no single edge may dominate the block.
            to_unit_length(&mut block);
            block.iter_mut().for_each(|value| *value = value.min(CLIP));
            to_unit_length(&mut block);
            features.extend(block);
        }
    }
    Some(features)
}

/// For every cell the mean over its pixels of the gradient's magnitude, sorted by direction.
fn cell_histograms(map: &[f64], [height, width]: [usize; 2]) -> Vec<[f64; ORIENTATIONS]> {
    let [rows, columns] = [height / CELL, width / CELL];
    let mut cells = vec![[0.0; ORIENTATIONS]; rows * columns];
    for row in 0..rows * CELL {
        for column in 0..columns * CELL {
            let at = |row: usize, column: usize| map[row * width + column];
            let is_inside = |place: usize, size: usize| place > 0 && place + 1 < size;
            let down = if is_inside(row, height) { at(row + 1, column) - at(row - 1, column) } else { 0.0 };
            let right = if is_inside(column, width) { at(row, column + 1) - at(row, column - 1) } else { 0.0 };
            let half_turns = (down.atan2(right) / PI).rem_euclid(1.0);
            // Rounding may make a whole half turn of a direction just below 0.
            let bin = ((half_turns * ORIENTATIONS as f64) as usize).min(ORIENTATIONS - 1);
            cells[row / CELL * columns + column / CELL][bin] += down.hypot(right) / (CELL * CELL) as f64;
        }
    }
    cells
}

fn to_unit_length(block: &mut [f64]) {
    let squares: f64 = block.iter().map(|value| value * value).sum();
    let norm = (squares + EPSILON * EPSILON).sqrt();
    block.iter_mut().for_each(|value| *value /= norm);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// height · width numbers without a pattern.
    fn map([height, width]: [usize; 2], seed: f64) -> Vec<f64> {
        (0..height * width).map(|index| ((index as f64 * seed).sin() * 4e4).fract()).collect()
    }

    #[test]
    fn a_map_is_like_itself_at_any_scale() {
        let size = [50, 61];
        let a = map(size, 0.37);
        let scaled: Vec<f64> = a.iter().map(|value| 1e-7 * value + 3.0).collect();
        for b in [&a, &scaled] {
            assert!((ssim(&a, b, size).unwrap() - 1.0).abs() < 1e-6);
            assert!((hog_similarity(&a, b, size).unwrap() - 1.0).abs() < 1e-6);
            assert_eq!(top_intersection(&a, b, 100), Some(1.0));
        }
        let other = map(size, 0.71);
        assert!(ssim(&a, &other, size).unwrap() < 0.5);
        assert!(top_intersection(&a, &other, 100).unwrap() < 0.5);
    }

    /// One window: μ = σ² = 0 but for the corner. With w = 0.00102838² the weight of a corner, a = 1 in the first corner
    /// and b = 1 in the last: μa = μb = w, σa² = σb² = w − w², σab = −w².
    #[test]
    fn one_window_by_hand() {
        let mut a = vec![0.0; 121];
        let mut b = a.clone();
        (a[0], b[120]) = (1.0, 1.0);
        let corner = 0.001_028_380_084_473_f64.powi(2);
        let expected = (C2 - 2.0 * corner * corner) / (2.0 * (corner - corner * corner) + C2);
        let value = ssim(&a, &b, [11, 11]).unwrap();
        assert!((value - expected).abs() < 1e-9, "{value} {expected}");
    }

    /// A ramp to the right and one downwards: all edges in bin 0 of every cell, all in bin 4 (80° to 100°).
    #[test]
    fn edges_at_right_angles_have_no_bin_in_common() {
        let size = [48, 48];
        let right: Vec<f64> = (0..48 * 48).map(|index| (index % 48) as f64).collect();
        let down: Vec<f64> = (0..48 * 48).map(|index| (index / 48) as f64).collect();
        // One value in nine is about 1/3, the rest 0, in both: mean 1/27, variance 8/729, covariance −1/729.
        let value = hog_similarity(&right, &down, size).unwrap();
        assert!((value + 1.0 / 8.0).abs() < 1e-3, "{value}");
    }

    #[test]
    fn largest_values_and_center_by_hand() {
        // Largest three of a: places 5, 4, 3; of b: 5, 0, 3.
        let (a, b) = ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [4.0, -9.0, 1.0, 3.0, 2.0, 5.0]);
        assert_eq!(top_intersection(&a, &b, 3), Some(2.0 / 3.0));
        // Ties go to the earlier place, also between zeros of both signs: places 3 and 0, 1 and 0.
        assert_eq!(top_intersection(&[-0.0, 0.0, 0.0, 1.0], &[0.0, 1.0, 0.0, 0.0], 2), Some(0.5));
        // Masses 1 at (0, 0) and 3 at (1, 2).
        assert_eq!(center_of_mass(&[1.0, 0.0, 0.0, 0.0, 0.0, -3.0], [2, 3]), Some([0.75, 1.5]));
    }

    #[test]
    fn undefined_where_nothing_can_be_seen() {
        let size = [64, 64];
        let a = map(size, 0.37);
        let mut broken = a.clone();
        broken[7] = f64::NAN;
        for b in [vec![0.0; 64 * 64], vec![0.1; 64 * 64], broken] {
            assert_eq!(ssim(&a, &b, size), None);
            assert_eq!(hog_similarity(&b, &a, size), None);
            assert_eq!(top_intersection(&a, &b, 5), None);
        }
        assert_eq!(center_of_mass(&[0.0; 4], [2, 2]), None);
        assert_eq!(center_of_mass(&[0.0, f64::NAN], [1, 2]), None);
        assert_eq!(top_intersection(&a, &a, 0), None);
        assert_eq!(top_intersection(&a, &a, 64 * 64 + 1), None);

        let too_small = map([10, 40], 0.37);
        assert_eq!(ssim(&too_small, &too_small, [10, 40]), None);
        let too_small = map([100, 47], 0.37);
        assert!(ssim(&too_small, &too_small, [100, 47]).is_some());
        assert_eq!(hog_similarity(&too_small, &too_small, [100, 47]), None);
    }
}
