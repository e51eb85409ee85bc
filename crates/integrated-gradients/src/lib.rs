#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod quadrature;

use burn::tensor::{Tensor, TensorData};
use burnsight_core::{
    Attribution, Attributor, Baseline, Completeness, Differentiable, Error, InputGradient, MicroBatcher, Provenance,
    Result, Row, Target, check_images, read, select_images,
};
use serde_json::json;

pub use quadrature::{Node, Quadrature};

/// Settings of [`IntegratedGradients`].
#[derive(Debug, Clone)]
pub struct IntegratedGradientsConfig {
    /// Places on the path where the gradient is taken. Default: 50; the paper found 20 to 300 enough.
    pub steps: usize,
    /// Which places, and their weights. Default: Gauss-Legendre.
    pub quadrature: Quadrature,
    /// Where the path starts. Default: zero, the mean colour of the training pictures of most models.
    pub baseline: Baseline,
    /// Doubles the steps of every picture until its map adds up to the score difference but for this share of it, up to
    /// [`MOST_DOUBLINGS`](IntegratedGradients::MOST_DOUBLINGS) times. Default: none, the steps are as given.
    pub largest_gap: Option<f64>,
}

impl Default for IntegratedGradientsConfig {
    fn default() -> Self {
        Self { steps: 50, quadrature: Quadrature::GaussLegendre, baseline: Baseline::Zero, largest_gap: None }
    }
}

impl IntegratedGradientsConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a number of steps that the quadrature does not take, an empty set of baselines, or a
    /// largest gap that is not a positive number.
    pub fn init(self) -> Result<IntegratedGradients> {
        self.quadrature.nodes(self.steps)?;
        if self.baseline.count() == 0 {
            return Err(Error::parameter("baseline", "a set of 0 pictures", "at least 1 is needed"));
        }
        if let Some(gap) = self.largest_gap.filter(|gap| !gap.is_finite() || *gap <= 0.0) {
            return Err(Error::parameter("largest_gap", gap, "a positive share of the score difference, e.g. 0.01"));
        }
        Ok(IntegratedGradients { config: self, batches: MicroBatcher::default() })
    }
}

/// The gradient averaged on the straight line from a baseline to the picture, times the way between them.
#[derive(Debug, Clone)]
pub struct IntegratedGradients {
    config: IntegratedGradientsConfig,
    batches: MicroBatcher,
}

impl IntegratedGradients {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "integrated-gradients";

    /// How often [`largest_gap`](IntegratedGradientsConfig::largest_gap) may double the steps: 64 times as many as at
    /// the start. Beyond [`Quadrature::MOST_STEPS`] they are not doubled either.
    pub const MOST_DOUBLINGS: usize = 6;

    /// The same with other batches: how many places on the path are in memory at once, and who is told of the progress.
    pub fn with_batches(mut self, batches: MicroBatcher) -> Self {
        self.batches = batches;
        self
    }
}

impl<M: Differentiable + ?Sized> Attributor<M> for IntegratedGradients {
    fn attribute(&self, model: &M, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        check_images(&images)?;
        let images = images.inner();
        let device = images.device();
        let IntegratedGradientsConfig { steps, quadrature, baseline, largest_gap } = &self.config;
        let baselines = (0..baseline.count()).map(|index| baseline.nth(&images, index)).collect::<Result<_>>()?;
        // The picture itself decides what is explained on its whole path.
        let InputGradient { scores, target, .. } = model.gradient(images.clone(), target)?;
        let paths = Paths { model, images, baselines, target: &target, batches: &self.batches };
        let differences = paths.differences(&scores)?;

        let all: Vec<usize> = (0..scores.len()).collect();
        let integrate = |pictures: &[usize], steps| paths.integrate(pictures, &quadrature.nodes(steps)?, &differences);
        let mut integrals = integrate(&all, *steps)?;
        let mut taken = vec![*steps; all.len()];
        if let Some(share) = largest_gap {
            for doubling in 1..=Self::MOST_DOUBLINGS {
                let steps = steps << doubling;
                let mut open = all.clone();
                open.retain(|picture| f64::from(integrals[*picture].1.relative_gap()) > *share);
                if open.is_empty() || steps > Quadrature::MOST_STEPS {
                    break;
                }
                for (picture, integral) in open.iter().zip(integrate(&open, steps)?) {
                    integrals[*picture] = integral;
                    taken[*picture] = steps;
                }
            }
        }

        let (maps, completeness): (Vec<_>, Vec<_>) = integrals.into_iter().unzip();
        let parameters = json!({
            "steps": steps,
            "quadrature": quadrature,
            "baseline": baseline,
            "largest-gap": largest_gap,
            "steps-taken": taken,
        });
        Ok(Attribution {
            map: Tensor::cat(maps, 0),
            scores,
            target,
            completeness: Some(completeness),
            standard_error: None,
            provenance: Provenance::new(Self::NAME, parameters, &device),
        })
    }
}

/// From every baseline to every picture.
struct Paths<'a, M: ?Sized> {
    model: &'a M,
    images: Tensor<4>,
    /// Each `[n, c, h, w]`: a baseline for every picture.
    baselines: Vec<Tensor<4>>,
    target: &'a Target,
    batches: &'a MicroBatcher,
}

impl<M: Differentiable + ?Sized> Paths<'_, M> {
    /// f(x) − the mean of f(b) over the baselines, for every picture.
    fn differences(&self, scores: &[f32]) -> Result<Vec<f64>> {
        let count = self.baselines.len();
        let mut differences: Vec<f64> = scores.iter().copied().map(f64::from).collect();
        self.batches.run(scores.len(), count, |rows| {
            let target = self.target.select(rows.iter().map(|row| row.image));
            let starts = self.starts(rows.iter().map(|row| (row.image, row.sample)));
            for (row, score) in rows.iter().zip(self.model.gradient(starts, &target)?.scores) {
                differences[row.image] -= f64::from(score) / count as f64;
            }
            Ok(())
        })?;
        Ok(differences)
    }

    /// The maps of some of the pictures, `[1, c, h, w]` each, and whether they add up to the differences.
    fn integrate(
        &self,
        pictures: &[usize],
        nodes: &[Node],
        differences: &[f64],
    ) -> Result<Vec<(Tensor<4>, Completeness)>> {
        let count = self.baselines.len();
        let zero = self.images.clone().slice_dim(0, 0..1).zeros_like();
        let mut maps = vec![zero; pictures.len()];
        self.batches.run(pictures.len(), count * nodes.len(), |rows| {
            let of = || rows.iter().map(|row| pictures[row.image]);
            let node = |row: &Row| nodes[row.sample % nodes.len()];
            let starts = self.starts(of().zip(rows.iter().map(|row| row.sample / nodes.len())));
            let way = select_images(&self.images, of()) - starts.clone();
            let points = starts + way.clone() * self.column(rows.iter().map(|row| node(row).position));
            let gradient = self.model.gradient(points, &self.target.select(of()))?.gradient;
            let terms = way * gradient * self.column(rows.iter().map(|row| node(row).weight / count as f64));
            for (index, row) in rows.iter().enumerate() {
                let map = &mut maps[row.image];
                *map = map.clone() + terms.clone().slice_dim(0, index..index + 1);
            }
            Ok(())
        })?;
        let with_completeness = |(picture, map): (&usize, Tensor<4>)| {
            let sum: f64 = read(map.clone())?.into_iter().map(f64::from).sum();
            let completeness = Completeness { sum: sum as f32, difference: differences[*picture] as f32 };
            Ok((map, completeness))
        };
        pictures.iter().zip(maps).map(with_completeness).collect()
    }

    /// Baselines by picture and number, one below the other.
    fn starts(&self, rows: impl Iterator<Item = (usize, usize)>) -> Tensor<4> {
        let start =
            |(picture, baseline): (usize, usize)| self.baselines[baseline].clone().slice_dim(0, picture..picture + 1);
        Tensor::cat(rows.map(start).collect(), 0)
    }

    /// One number per row, `[rows, 1, 1, 1]`.
    fn column(&self, numbers: impl Iterator<Item = f64>) -> Tensor<4> {
        let numbers: Vec<f64> = numbers.collect();
        let shape = [numbers.len(), 1, 1, 1];
        Tensor::from_data(TensorData::new(numbers, shape), (&self.images.device(), self.images.dtype()))
    }
}

#[cfg(test)]
mod tests;
