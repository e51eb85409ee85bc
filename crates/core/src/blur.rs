//! Gaussian blur.

use burn::tensor::{Tensor, TensorData};

/// Beyond this many standard deviations the weights are below 1e-7 of the largest.
const REACH: f64 = 6.0;

/// The pictures, each pixel replaced by a Gaussian mean of its surroundings. At the border they are continued by their
/// mirror image, so that a strong blur ends at a picture's mean colour. `sigma`, in pixels, is at least 0; at 0 the pictures
/// come back as they are.
///
/// # Shapes
/// - images: `[n, c, h, w]`
/// - returns: `[n, c, h, w]`
pub fn gaussian_blur(images: Tensor<4>, sigma: f64) -> Tensor<4> {
    if sigma <= 0.0 {
        return images;
    }
    let [_, _, height, width] = images.dims();
    let place = (images.device(), images.dtype());
    let matrix = |size| Tensor::<2>::from_data(blur_matrix(size, sigma), (&place.0, place.1));
    let (rows, columns) = (matrix(height), matrix(width).transpose());
    rows.unsqueeze::<4>().matmul(images).matmul(columns.unsqueeze::<4>())
}

/// `[size, size]`: row i holds the weights of the places around i, which sum to 1.
fn blur_matrix(size: usize, sigma: f64) -> TensorData {
    // From about there on all places weigh alike, to the last digit; a larger blur only takes longer.
    let sigma = sigma.min(4.0 * size as f64);
    let reach = (sigma * REACH).ceil() as i64;
    let weight = |offset: i64| (-0.5 * (offset as f64 / sigma).powi(2)).exp();
    let total: f64 = (-reach..=reach).map(weight).sum();
    // Mirrored at both ends, the line repeats with twice its length.
    let period = 2 * size as i64;
    let mirrored = |place: i64| {
        let place = place.rem_euclid(period);
        place.min(period - 1 - place) as usize
    };
    let mut matrix = vec![0.0f64; size * size];
    for (place, row) in matrix.chunks_mut(size).enumerate() {
        for offset in -reach..=reach {
            row[mirrored(place as i64 + offset)] += weight(offset) / total;
        }
    }
    TensorData::new(matrix, [size, size])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::read;

    /// In double precision the weights are as well.
    #[test]
    fn keeps_the_number_format() {
        let line = Tensor::<4>::from_data([[[[0.0, 1.0, 0.0, 0.0]]]], (&Device::default(), DType::F64));
        let sum: f64 = gaussian_blur(line, 0.7).into_data().iter::<f64>().sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }

    /// σ = 1 on a line of one bright pixel: e^(−d²/2) / Σ, and the mirror image gives the border what it lost.
    #[test]
    fn weights_are_gaussian_and_mirrored() {
        let line = Tensor::<4>::from_data([[[[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]]], &Device::default());
        let blurred = read(gaussian_blur(line, 1.0)).unwrap();
        let total: f64 = (-8..=8).map(|d: i32| (-0.5 * f64::from(d * d)).exp()).sum();
        let at = |d: i32| ((-0.5 * f64::from(d * d)).exp() / total) as f32;
        // The mirror image of the bright pixel lies one beyond the border.
        for (place, value) in blurred.iter().rev().enumerate() {
            let place = place as i32;
            assert!((value - at(place) - at(place + 1)).abs() < 1e-6, "{place}: {value}");
        }
        assert!((blurred.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn ends_at_the_mean_and_starts_at_the_picture() {
        let picture = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 6.0], [0.0, 0.0]]]], &Device::default());
        assert_eq!(read(gaussian_blur(picture.clone(), 0.0)).unwrap(), read(picture.clone()).unwrap());
        for sigma in [50.0, 1e300] {
            let mean = read(gaussian_blur(picture.clone(), sigma)).unwrap();
            assert!(mean.iter().all(|value| (value - 2.0).abs() < 1e-5), "{mean:?}");
        }
    }
}
