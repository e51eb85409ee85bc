//! Plain gradient descent, by hand: the example needs no optimiser from Burn.

use burn::{
    module::{Module, ModuleMapper, Param},
    nn::loss::CrossEntropyLossConfig,
    tensor::{Device, Gradients, Int, Tensor},
};
use rand::{SeedableRng, rngs::StdRng};

use crate::{
    model::ShapeNet,
    shapes::{CLASSES, Shape, to_tensor},
};

const STEPS: usize = 400;
const BATCH: usize = 36;
const RATE: f64 = 0.2;

/// A net that tells the shapes apart, after some seconds.
pub fn train(device: &Device) -> ShapeNet {
    device.seed(0);
    let device = device.clone().autodiff();
    let mut net = ShapeNet::new(CLASSES.len(), &device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    let mut random = StdRng::seed_from_u64(0);
    for step in 0..STEPS {
        let shapes = Shape::draw_many(BATCH, &mut random);
        let classes: Vec<i64> = shapes.iter().map(|shape| shape.class as i64).collect();
        let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
        let gradients = loss.forward(net.forward(to_tensor(&shapes, &device)), classes).backward();
        // Large steps first, small ones at the end.
        let rate = RATE * (1.0 - step as f64 / STEPS as f64);
        net = net.map(&mut Descent { gradients, rate });
    }
    net
}

/// One step downhill for every weight that has a gradient.
struct Descent {
    gradients: Gradients,
    rate: f64,
}

impl ModuleMapper for Descent {
    fn map_float<const D: usize>(&mut self, weight: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value, mapper) = weight.consume();
        let gradient = value.is_require_grad().then(|| value.grad_remove(&mut self.gradients)).flatten();
        let moved = match gradient {
            Some(gradient) => (value.inner() - gradient * self.rate).autodiff().require_grad(),
            None => value,
        };
        Param::from_mapped_value(id, moved, mapper)
    }
}
