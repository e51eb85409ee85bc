//! The moving average of the weights, which classifies better than the weights themselves.

use std::vec;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::Tensor,
};

use crate::model::Vgg;

/// The share of the average that stays at every step, once there were many.
const DECAY: f64 = 0.999;

/// The average after one more step. Batch norms' statistics are averaged like weights.
///
/// `step` counts from 0. At first little is kept, or the average would remember the weights of the beginning.
pub fn average(average: Vgg, latest: &Vgg, step: usize) -> Vgg {
    let mut tensors = Tensors::default();
    latest.visit(&mut tensors);
    let decay = DECAY.min((1 + step) as f64 / (10 + step) as f64);
    average.map(&mut Blend { latest: tensors.0.into_iter(), decay })
}

/// All tensors of a module as vectors, in the order of the fields.
#[derive(Default)]
struct Tensors(Vec<Tensor<1>>);

impl ModuleVisitor for Tensors {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.push(parameter.val().inner().reshape([-1]));
    }
}

struct Blend {
    latest: vec::IntoIter<Tensor<1>>,
    decay: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, average, mapper) = parameter.consume();
        let average = match self.latest.next() {
            Some(latest) => average.clone() * self.decay + latest.reshape(average.shape()) * (1.0 - self.decay),
            None => average,
        };
        Param::from_mapped_value(id, average, mapper)
    }
}
