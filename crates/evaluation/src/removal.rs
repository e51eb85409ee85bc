//! What the score loses when pixels are taken away: the step that the faithfulness metrics share.

use burn::tensor::{Tensor, TensorData};
use burnsight_core::{Error, Result, Row, select_images};
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::{Subject, pearson};

/// One set of pixels taken away from one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Removal {
    /// Σ of the map over the pixels.
    pub attribution: f64,
    /// f(x) − f(x without them).
    pub drop: f64,
}

/// Takes sets of pixels away, all colours together, and asks the model again.
///
/// `pixels` are the places (row · width + column) that row's picture loses; there it gets the values of `filling`,
/// which has one picture per row.
///
/// Returns `samples` removals for every picture.
pub(crate) fn removals(
    subject: &Subject<'_>,
    samples: usize,
    filling: impl Fn(&[Row]) -> Result<Tensor<4>>,
    pixels: impl Fn(Row) -> Result<Vec<usize>>,
) -> Result<Vec<Vec<Removal>>> {
    let images = subject.images();
    let [count, _, height, width] = images.dims();
    let values = subject.pixel_values()?;
    let scores = &subject.attribution().scores;
    let mut removals = vec![Vec::with_capacity(samples); count];
    subject.batches().run(count, samples, |rows| {
        let pixels = rows.iter().map(|row| pixels(*row)).collect::<Result<Vec<_>>>()?;
        let mut mask = vec![0.0f32; rows.len() * height * width];
        for (mask, pixels) in mask.chunks_mut(height * width).zip(&pixels) {
            pixels.iter().for_each(|pixel| mask[*pixel] = 1.0);
        }
        let mask = TensorData::new(mask, [rows.len(), 1, height, width]);
        let mask = Tensor::<4>::from_data(mask, (&images.device(), images.dtype()));
        let kept = select_images(images, rows.iter().map(|row| row.image)) * (mask.clone().neg() + 1.0);
        let without = subject.scores(kept + filling(rows)? * mask, rows)?;
        for ((row, pixels), without) in rows.iter().zip(&pixels).zip(without) {
            let attribution = pixels.iter().map(|pixel| f64::from(values[row.image][*pixel])).sum();
            let drop = f64::from(scores[row.image]) - f64::from(without);
            removals[row.image].push(Removal { attribution, drop });
        }
        Ok(())
    })?;
    Ok(removals)
}

/// `size` of `pixels` places in ascending order, every set of that size as likely as any other.
pub(crate) fn random_set(mut generator: ChaCha8Rng, pixels: usize, size: usize) -> Vec<usize> {
    let mut set = index::sample(&mut generator, pixels, size).into_vec();
    // Equal sets must have equal sums, to the last digit.
    set.sort_unstable();
    set
}

/// Pearson's correlation between what the map says the sets are worth and what the model says.
pub(crate) fn correlation(removals: &[Removal]) -> Option<f64> {
    let (attributions, drops): (Vec<f64>, Vec<f64>) =
        removals.iter().map(|removal| (removal.attribution, removal.drop)).unzip();
    pearson(&attributions, &drops)
}

/// Refuses numbers that are not a share above 0 and up to 1.
pub(crate) fn check_share(name: &str, share: f64) -> Result<()> {
    match share > 0.0 && share <= 1.0 {
        true => Ok(()),
        false => Err(Error::parameter(name, share, "a share above 0 and up to 1")),
    }
}

/// Refuses fewer than `least`.
pub(crate) fn check_least(name: &str, value: usize, least: usize) -> Result<()> {
    match value >= least {
        true => Ok(()),
        false => Err(Error::parameter(name, value, &format!("at least {least}"))),
    }
}
