//! Removed pixels as the mean of their neighbours.

use burnsight_core::{Error, Result};
use faer::{
    Mat, Side,
    linalg::solvers::Solve,
    sparse::{SparseColMat, Triplet},
};

/// The eight neighbours and how much each counts.
const NEIGHBOURS: [([isize; 2], f64); 8] = [
    ([-1, -1], 1.0 / 12.0),
    ([-1, 0], 1.0 / 6.0),
    ([-1, 1], 1.0 / 12.0),
    ([0, -1], 1.0 / 6.0),
    ([0, 1], 1.0 / 6.0),
    ([1, -1], 1.0 / 12.0),
    ([1, 0], 1.0 / 6.0),
    ([1, 1], 1.0 / 12.0),
];

/// Fills the removed pixels of a picture `[channels, height, width]` so that each is the weighted mean of its neighbours.
///
/// With the unknown pixels u, the neighbours n of each and their weights w: Σ_n w · u − Σ_{n unknown} w · u_n = Σ_{n known} w · x_n.
/// The matrix is symmetric and, as long as a pixel is known, positive definite.
pub fn impute(picture: &mut [f32], is_removed: &[bool], [height, width]: [usize; 2]) -> Result<()> {
    let pixels = height * width;
    let channels = picture.len() / pixels;
    let unknown: Vec<usize> = (0..pixels).filter(|pixel| is_removed[*pixel]).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    if unknown.len() == pixels {
        return Err(Error::parameter("shares", 1, "a picture without a pixel left cannot be filled: remove fewer"));
    }
    let mut index_of = vec![0; pixels];
    unknown.iter().enumerate().for_each(|(index, pixel)| index_of[*pixel] = index);
    let mut entries = Vec::with_capacity(9 * unknown.len());
    let mut right = Mat::<f64>::zeros(unknown.len(), channels);
    for (index, pixel) in unknown.iter().enumerate() {
        let mut sum = 0.0;
        for ([down, across], weight) in NEIGHBOURS {
            let row = (pixel / width).checked_add_signed(down).filter(|row| *row < height);
            let column = (pixel % width).checked_add_signed(across).filter(|column| *column < width);
            let (Some(row), Some(column)) = (row, column) else { continue };
            let neighbour = row * width + column;
            sum += weight;
            match is_removed[neighbour] {
                true => entries.push(Triplet::new(index, index_of[neighbour], -weight)),
                false => {
                    for channel in 0..channels {
                        right[(index, channel)] += weight * f64::from(picture[channel * pixels + neighbour]);
                    }
                }
            }
        }
        entries.push(Triplet::new(index, index, sum));
    }
    let failed = |error: &dyn std::fmt::Debug| Error::Backend(format!("filling removed pixels: {error:?}"));
    let matrix = SparseColMat::try_new_from_triplets(unknown.len(), unknown.len(), &entries);
    let factors = matrix.map_err(|error| failed(&error))?.sp_cholesky(Side::Lower).map_err(|error| failed(&error))?;
    let filled = factors.solve(&right);
    for (index, pixel) in unknown.iter().enumerate() {
        for channel in 0..channels {
            picture[channel * pixels + pixel] = filled[(index, channel)] as f32;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn by_hand() {
        // One pixel in the corner of 2 × 2: beside it 3 and 6 with 1/6 each, across 12 with 1/12: (0.5 + 1 + 1) / (5/12) = 6.
        let mut picture = [100.0, 3.0, 6.0, 12.0];
        impute(&mut picture, &[true, false, false, false], [2, 2]).unwrap();
        assert!((picture[0] - 6.0).abs() < 1e-6, "{picture:?}");
        // Two unknown ones in a row of four with 0 and 3 at its ends: a straight line, in both colours.
        let mut picture = [0.0, 9.0, 9.0, 3.0, 6.0, 9.0, 9.0, 0.0];
        impute(&mut picture, &[false, true, true, false], [1, 4]).unwrap();
        let expected = [0.0, 1.0, 2.0, 3.0, 6.0, 4.0, 2.0, 0.0];
        assert!(picture.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{picture:?}");
    }

    #[test]
    fn what_is_filled_solves_its_equations() {
        let [height, width] = [13, 9];
        let known: Vec<f32> = (0..height * width).map(|i| ((i * 37) % 101) as f32 / 10.0).collect();
        let is_removed: Vec<bool> = (0..height * width).map(|i| (i * 29) % 10 < 9).collect();
        let mut picture = known.clone();
        impute(&mut picture, &is_removed, [height, width]).unwrap();
        for pixel in 0..height * width {
            if !is_removed[pixel] {
                assert_eq!(picture[pixel], known[pixel]);
                continue;
            }
            let (mut sum, mut weights) = (0.0, 0.0);
            for ([down, across], weight) in NEIGHBOURS {
                let (row, column) = ((pixel / width) as isize + down, (pixel % width) as isize + across);
                if (0..height as isize).contains(&row) && (0..width as isize).contains(&column) {
                    sum += weight * f64::from(picture[row as usize * width + column as usize]);
                    weights += weight;
                }
            }
            assert!((f64::from(picture[pixel]) - sum / weights).abs() < 1e-5);
        }
    }

    #[test]
    fn nothing_removed_and_everything() {
        let mut picture = [1.0, 2.0];
        impute(&mut picture, &[false, false], [1, 2]).unwrap();
        assert_eq!(picture, [1.0, 2.0]);
        assert!(impute(&mut picture, &[true, true], [1, 2]).is_err());
    }
}
