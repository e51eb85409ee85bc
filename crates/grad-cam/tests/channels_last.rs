//! Networks that keep channels behind the places.
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device};
use burnsight_core::Target;
use burnsight_grad_cam::GradCam;
use burnsight_network::{Layer, NetworkBuilder};
use burnsight_testkit::{
    nets::{self, Draw},
    values,
};

const SHAPE: [usize; 4] = [2, 3, 4, 6];

/// A map is the same whether channels are first or last at its layer.
#[test]
fn grad_cam_does_not_depend_on_where_channels_are() {
    let mut draw = Draw::new(2, &Device::default(), DType::F64);
    let (weight, head) = (draw.convolution([5, 3, 3, 3]), draw.linear([4, 5 * 8]));
    let map = |last: bool| {
        let mut net = NetworkBuilder::new();
        net.then("convolution", Layer::Convolution(weight.clone())).unwrap();
        if last {
            net.then("watched", Layer::Transpose { axes: vec![0, 2, 3, 1] }).unwrap();
            net.then("back", Layer::Transpose { axes: vec![0, 3, 1, 2] }).unwrap();
        } else {
            net.then("watched", Layer::Dropout).unwrap();
        }
        net.then("flatten", Layer::Flatten).unwrap();
        net.then("head", Layer::Linear(head.clone())).unwrap();
        let network = net.build().unwrap();
        let images = nets::pictures(SHAPE, &Device::default(), DType::F64);
        let trace = network.record(images).unwrap();
        values(GradCam::with_layer("watched").at_layer(&trace, &Target::Class(1)).unwrap().0)
    };
    assert_eq!(map(true), map(false));
}
