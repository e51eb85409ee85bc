//! The loop.

use std::time::Instant;

use anyhow::{Result, ensure};
use burn::{
    module::{Module, ParamGroup},
    optim::{AdamWConfig, GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData, activation::log_softmax},
};
use burnsight::{device, vgg::VggConfig};
use indicatif::{ProgressBar, ProgressStyle};
use rand::{RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use crate::{
    augmentation::augment,
    average::average,
    data::{Data, whole},
    evaluation::{LABEL_SMOOTHING, Tally, evaluate, images},
    model::{Vgg, architecture},
    randomness::{Purpose, generator},
    settings::Settings,
};

/// Share of the features that are dropped before the linear layer.
pub const DROPOUT: f64 = 0.2;
/// AdamW's, on weights; biases and batch norms stay free.
pub const WEIGHT_DECAY: f32 = 0.05;
/// Share of the steps in which the learning rate rises.
pub const WARM_UP: f64 = 0.08;
/// Losses are looked at this many steps at a time: looking makes a GPU wait.
const LOOK: usize = 16;

/// One line of `curve.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// From 1.
    pub epoch: usize,
    /// At the epoch's first step.
    pub learning_rate: f64,
    /// With smoothed labels, of augmented pictures, by the weights of the moment and with dropout.
    pub train_loss: f64,
    pub train_accuracy: f64,
    /// With smoothed labels, of whole pictures, by the averaged weights.
    pub val_loss: f64,
    pub val_accuracy: f64,
    pub seconds: f64,
}

/// A training run between two epochs.
pub struct Run<'data> {
    pub data: &'data Data,
    pub settings: Settings,
    /// Where pictures are prepared.
    pub host: Device,
    /// Where the network is computed.
    pub device: Device,
    /// The network that learns.
    pub model: Vgg,
    /// Its moving average, which is tested and exported.
    pub average: Vgg,
    pub optimizer: ModuleOptimizer,
    /// The epochs behind us.
    pub curve: Vec<Row>,
}

impl<'data> Run<'data> {
    /// Fresh weights.
    ///
    /// # Errors
    /// When there are fewer pictures than a batch needs.
    pub fn new(data: &'data Data, settings: Settings, device: &Device) -> Result<Self> {
        let (batch, pictures) = (settings.batch, data.train.len());
        ensure!(batch <= pictures, "`--batch` is {batch}, but there are only {pictures} training pictures");
        let average = Vgg::new(&architecture(settings.width, data.classes.len()), settings.seed, device);
        let host = device::open("flex")?;
        let model = average.clone().train();
        let optimizer = optimizer();
        Ok(Self { data, settings, host, device: device.clone(), model, average, optimizer, curve: Vec::new() })
    }

    /// The network that comes out.
    pub fn architecture(&self) -> VggConfig {
        architecture(self.settings.width, self.data.classes.len())
    }

    /// Whether all epochs are done.
    pub fn finished(&self) -> bool {
        self.curve.len() >= self.settings.epochs
    }

    /// One more epoch. Pictures that do not fill a batch wait for another epoch.
    ///
    /// # Errors
    /// When the loss is no longer a number, with its step.
    pub fn epoch(&mut self) -> Result<Row> {
        let started = Instant::now();
        let Settings { seed, batch, epochs, learning_rate: peak, .. } = self.settings;
        let (epoch, classes) = (self.curve.len(), self.data.classes.len());
        let train = &self.data.train;
        let size = self.training_size();
        let steps = train.len() / batch;
        let rate = |step| learning_rate(peak, epoch * steps + step, epochs * steps);

        let mut order: Vec<usize> = (0..train.len()).collect();
        order.shuffle(&mut generator(seed, Purpose::Order, epoch, 0));
        order.truncate(steps * batch);
        let augmented = !self.settings.no_augmentation;
        let host = self.host.clone();
        let prepare = |number: usize, picture: &_| match augmented {
            true => {
                let random = &mut generator(seed, Purpose::Augmentation, epoch, number);
                whole(&augment(picture, size as u32, random)?, size, &host)
            }
            false => whole(picture, size, &host),
        };

        let bar = ProgressBar::new(steps as u64).with_style(style()?).with_prefix(format!("epoch {}", epoch + 1));
        let mut tally = Tally::new(classes);
        let mut unseen: Vec<(Tensor<2>, Vec<usize>)> = Vec::new();
        let mut step = 0;
        train.for_each_batch(&order, batch, prepare, |batch| {
            let labels = batch.labels.clone();
            let logits = self.step(images(batch, size, &self.device), &labels, rate(step), epoch * steps + step);
            step += 1;
            unseen.push((logits, labels));
            if unseen.len() == LOOK || step == steps {
                let first = epoch * steps + step - unseen.len();
                for (index, (logits, labels)) in unseen.drain(..).enumerate() {
                    let (loss, step) = (tally.add(logits, &labels)?, first + index);
                    ensure!(
                        loss.is_finite(),
                        "the loss is {loss} at step {step}, in epoch {}: lower `--learning-rate`, which is {peak}",
                        epoch + 1
                    );
                }
                bar.set_position(step as u64);
                bar.set_message(format!("loss {:.3}, {:.1} % right", tally.loss(), 100.0 * tally.accuracy()));
            }
            Ok(())
        })?;
        bar.finish_and_clear();

        let val = self.evaluate()?;
        let row = Row {
            epoch: epoch + 1,
            learning_rate: rate(0),
            train_loss: tally.loss(),
            train_accuracy: tally.accuracy(),
            val_loss: val.loss(),
            val_accuracy: val.accuracy(),
            seconds: started.elapsed().as_secs_f64(),
        };
        self.curve.push(row.clone());
        Ok(row)
    }

    /// One step downhill. Returns the logits before it.
    fn step(&mut self, images: Tensor<4>, labels: &[usize], learning_rate: f64, step: usize) -> Tensor<2> {
        let dropout = self.dropout(labels.len(), step);
        let logits = self.model.forward(images.autodiff(), Some(dropout.autodiff()));
        let classes = self.data.classes.len();
        let share = LABEL_SMOOTHING / classes as f64;
        let target = |label: usize| {
            (0..classes).map(move |class| (share + if class == label { 1.0 - LABEL_SMOOTHING } else { 0.0 }) as f32)
        };
        let targets: Vec<f32> = labels.iter().flat_map(|label| target(*label)).collect();
        let targets = Tensor::<2>::from_data(TensorData::new(targets, [labels.len(), classes]), &self.device);
        let loss = (log_softmax(logits.clone(), 1) * targets.autodiff()).sum() / -(labels.len() as f32);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        self.model = self.optimizer.step(learning_rate, self.model.clone(), gradients);
        self.average = average(self.average.clone(), &self.model, step);
        logits.inner()
    }

    /// 0 for dropped features; the others make up for them.
    fn dropout(&self, pictures: usize, step: usize) -> Tensor<2> {
        let features = self.architecture().channels[4];
        let mut random = generator(self.settings.seed, Purpose::Dropout, 0, step);
        let mut draw = || if random.random_bool(DROPOUT) { 0.0 } else { 1.0 / (1.0 - DROPOUT) as f32 };
        let values: Vec<f32> = (0..pictures * features).map(|_| draw()).collect();
        Tensor::from_data(TensorData::new(values, [pictures, features]), &self.device)
    }

    /// The averaged network on the validation pictures.
    fn evaluate(&self) -> Result<Tally> {
        let Settings { size, batch, .. } = self.settings;
        let classify = |images| Ok(self.average.forward(images, None));
        let devices = [&self.host, &self.device];
        evaluate(&self.data.val, self.data.classes.len(), size, batch, devices, classify)
    }

    /// Side of the training pictures in this epoch: small pictures teach the first epochs faster, and a network that has
    /// seen objects cropped and enlarged does best on pictures somewhat larger than those it learnt from.
    fn training_size(&self) -> usize {
        let Settings { size, epochs, no_augmentation, .. } = self.settings;
        let done = self.curve.len() as f64 / epochs as f64;
        match done {
            _ if no_augmentation => size,
            _ if done < 0.29 => near(size, 0.6),
            _ if done < 0.78 => near(size, 0.8),
            _ => near(size, 0.9),
        }
    }
}

/// A share of `size`, as a multiple of 16 that five poolings can halve.
pub fn near(size: usize, share: f64) -> usize {
    ((size as f64 * share / 16.0).round() as usize * 16).max(32)
}

/// AdamW, with weight decay where it belongs.
pub fn optimizer() -> ModuleOptimizer {
    let adam = AdamWConfig::new().with_epsilon(1e-8);
    let free = adam.clone().with_weight_decay(0.0).build();
    let decaying = adam.with_weight_decay(WEIGHT_DECAY).build();
    ModuleOptimizer::from(free).with_group(ParamGroup::from_predicate("weight"), decaying, None)
}

/// Linear warm-up, then half a cosine down to 0.
fn learning_rate(peak: f64, step: usize, steps: usize) -> f64 {
    let warm_up = WARM_UP * steps as f64;
    let step = step as f64 + 0.5;
    match step < warm_up {
        true => peak * step / warm_up,
        false => {
            let done = (step - warm_up) / (steps as f64 - warm_up);
            peak * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        }
    }
}

fn style() -> Result<ProgressStyle> {
    Ok(ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg}, {eta} left")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_rises_and_falls() {
        let rates: Vec<f64> = (0..1000).map(|step| learning_rate(0.1, step, 1000)).collect();
        assert!(rates[..80].is_sorted() && rates[80..].is_sorted_by(|a, b| a >= b));
        assert!((rates[40] - 0.1 * 40.5 / 80.0).abs() < 1e-12 && (rates[79] - 0.1).abs() < 1e-3);
        // Halfway between the end of the warm-up and the end of all.
        assert!((rates[540] - 0.05).abs() < 1e-3 && rates[999] < 1e-6 && rates[999] > 0.0);
    }

    #[test]
    fn sizes_of_the_built_in_models_card() {
        assert_eq!([0.6, 0.8, 0.9].map(|share| near(160, share)), [96, 128, 144]);
        assert_eq!(near(32, 0.6), 32);
    }
}
