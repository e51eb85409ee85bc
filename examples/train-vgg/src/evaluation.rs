//! How well a classifier does.

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use burnsight::read;

use crate::data::{Batch, Pictures, whole};

/// The share of every label that is spread over all classes.
pub const LABEL_SMOOTHING: f64 = 0.1;

/// Sums over the pictures seen so far.
#[derive(Debug, Clone)]
pub struct Tally {
    loss: f64,
    right: Vec<usize>,
    seen: Vec<usize>,
}

impl Tally {
    /// Nothing seen.
    pub fn new(classes: usize) -> Self {
        Self { loss: 0.0, right: vec![0; classes], seen: vec![0; classes] }
    }

    /// Adds a batch and returns its mean loss: cross entropy with smoothed labels.
    pub fn add(&mut self, logits: Tensor<2>, labels: &[usize]) -> Result<f64> {
        let classes = self.seen.len();
        let logits = read(logits)?;
        let mut sum = 0.0;
        for (logits, label) in logits.chunks_exact(classes).zip(labels) {
            let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f64 = logits.iter().map(|logit| f64::from(logit - highest).exp()).sum();
            let log_total = total.ln() + f64::from(highest);
            let mean = logits.iter().copied().map(f64::from).sum::<f64>() / classes as f64;
            let label_logit = f64::from(logits[*label]);
            sum += log_total - LABEL_SMOOTHING * mean - (1.0 - LABEL_SMOOTHING) * label_logit;
            self.seen[*label] += 1;
            // Of equal logits the first wins, as in `argmax`.
            self.right[*label] += usize::from(logits.iter().position(|logit| *logit == highest) == Some(*label));
        }
        self.loss += sum;
        Ok(sum / labels.len() as f64)
    }

    /// Mean loss.
    pub fn loss(&self) -> f64 {
        self.loss / self.seen.iter().sum::<usize>() as f64
    }

    /// Share of right answers.
    pub fn accuracy(&self) -> f64 {
        self.right.iter().sum::<usize>() as f64 / self.seen.iter().sum::<usize>() as f64
    }

    /// Share of right answers in each class.
    pub fn accuracy_per_class(&self) -> impl Iterator<Item = f64> {
        self.right.iter().zip(&self.seen).map(|(right, seen)| *right as f64 / *seen as f64)
    }
}

/// All pictures, whole, by a classifier.
pub fn evaluate(
    pictures: &Pictures,
    classes: usize,
    size: usize,
    batch: usize,
    [host, device]: [&Device; 2],
    classify: impl Fn(Tensor<4>) -> Result<Tensor<2>>,
) -> Result<Tally> {
    let mut tally = Tally::new(classes);
    let order: Vec<usize> = (0..pictures.len()).collect();
    let prepare = |_, picture: &_| whole(picture, size, host);
    pictures.for_each_batch(&order, batch, prepare, |batch| {
        let labels = batch.labels.clone();
        tally.add(classify(images(batch, size, device))?, &labels).map(|_| ())
    })?;
    Ok(tally)
}

/// A batch on the device.
pub fn images(batch: Batch, size: usize, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(batch.values, [batch.labels.len(), 3, size, size]), device)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Two classes, logits ln 3 and 0: probabilities 3/4 and 1/4. The smoothed label of class 0 is 0.95 and 0.05, so its
    /// loss is −0.95 ln 3/4 − 0.05 ln 1/4, and that of class 1 the other way round.
    #[test]
    fn loss_and_accuracy_by_hand() {
        let logits = [[3f32.ln(), 0.0], [3f32.ln(), 0.0], [0.0, 0.0]];
        let mut tally = Tally::new(2);
        let mean = tally.add(Tensor::from_data(logits, &Device::default()), &[0, 1, 0]).unwrap();
        let (likely, unlikely) = (0.75f64.ln(), 0.25f64.ln());
        let losses = [-0.95 * likely - 0.05 * unlikely, -0.95 * unlikely - 0.05 * likely, 2f64.ln()];
        assert!((mean - losses.iter().sum::<f64>() / 3.0).abs() < 1e-6, "{mean}");
        assert_eq!(tally.loss(), mean);
        assert_eq!(tally.accuracy(), 2.0 / 3.0);
        assert_eq!(tally.accuracy_per_class().collect::<Vec<_>>(), [1.0, 0.0]);
    }

    #[test]
    fn what_is_not_a_number_is_never_right() {
        let mut tally = Tally::new(2);
        let mean = tally.add(Tensor::from_data([[f32::NAN, f32::NAN]], &Device::default()), &[0]).unwrap();
        assert!(mean.is_nan() && tally.accuracy() == 0.0);
    }
}
