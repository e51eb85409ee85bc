//! Whether maps depend on where the zero of the input is.

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use burnsight_core::{Classifier, Error, Result, read, select_images};
use burnsight_network::{BatchNorm, Convolution, Layer, Linear, Network, NetworkBuilder, Node, NodeId, Pad};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Direction, Metric, Reading, Subject, pixel_values, rebuild::rebuild, spearman};

/// How much a map changes when the input is shifted by a constant and the first layer undoes the shift.
///
/// ```text
/// f₂(x + c) = f₁(x) for every picture x        so the maps of x + c on f₂ and of x on f₁ should be the same
///
/// relative L2   ‖Φ₂(x + c) − Φ₁(x)‖ / ‖Φ₁(x)‖, lower is better        Spearman   of the pixels, higher is better
/// ```
///
/// Kindermans et al. 2017, "The (Un)reliability of saliency methods", <https://arxiv.org/abs/1711.00867>. The two networks are the same
/// function, and only their convention of what 0 means differs. The gradient and what is made of it does not change;
/// gradient × input, and integrated gradients with a baseline of zeros, do, because 0 has become another picture.
///
/// The shift is absorbed in the bias of the first layer, as in the paper ([`shifted_network`]). Before maps are compared the
/// logits of both networks are, and they must agree to 1e-4 of the largest. Costs one explanation.
///
/// # When it misleads
/// A method that has a reference (a baseline, a mean of patterns) passes if the reference is shifted as well, and fails if it is left
/// where it was: failing says that the choice of the reference decides about the map. Rounding flips single ReLUs: up to about
/// 1e-3 is no change.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct InputShift {
    /// What is added to every number of the picture, in the unit of the model's input. Default: 1.
    pub shift: f32,
}

impl InputShift {
    /// The name in the tool.
    pub const NAME: &str = "input-shift";
}

impl Default for InputShift {
    fn default() -> Self {
        Self { shift: 1.0 }
    }
}

/// How far logits of the two networks may be apart, as a share of the largest.
const TOLERANCE: f64 = 1e-4;

impl Metric for InputShift {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Kindermans et al. 2017, The (Un)reliability of saliency methods, arXiv:1711.00867"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also [`Error::Parameter`] for a shift that is not finite, and those of [`shifted_network`].
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let network = subject.network(Self::NAME)?;
        let shifted = shifted_network(network, self.shift)?;
        let mut distances = vec![None; subject.count()];
        let mut correlations = vec![None; subject.count()];
        subject.batches().run(subject.count(), 1, |rows| {
            let of_rows = |tensor: &Tensor<4>| select_images(tensor, rows.iter().map(|row| row.image));
            let (pictures, maps) = (of_rows(subject.images()), of_rows(&subject.attribution().map));
            let moved = pictures.clone() + self.shift;
            check_equal(&network.logits(pictures)?, &shifted.logits(moved.clone())?)?;
            let target = subject.target().select(rows.iter().map(|row| row.image));
            let others = subject.explain_on(Self::NAME, &shifted, moved, &target)?.map;
            let lengths = |maps: Tensor<4>| read(maps.square().flatten::<2>(1, 3).sum_dim(1));
            let (changes, lengths) = (lengths(others.clone() - maps.clone())?, lengths(maps.clone())?);
            let values = |maps: &Tensor<4>| pixel_values(maps, subject.pixel_value());
            for ((row, (change, length)), (map, other)) in
                rows.iter().zip(changes.iter().zip(&lengths)).zip(values(&maps)?.iter().zip(&values(&others)?))
            {
                let wide = |map: &[f32]| map.iter().copied().map(f64::from).collect::<Vec<_>>();
                distances[row.image] = (*length > 0.0).then(|| f64::from(change / length).sqrt());
                correlations[row.image] = spearman(&wide(map), &wide(other));
            }
            Ok(())
        })?;
        Ok(vec![
            Reading::new(format!("{}, relative L2", Self::NAME), Direction::Lower, distances),
            Reading::new(format!("{}, Spearman", Self::NAME), Direction::Higher, correlations),
        ])
    }
}

fn check_equal(logits: &Tensor<2>, shifted: &Tensor<2>) -> Result<()> {
    let largest = |tensor: Tensor<2>| Ok::<_, Error>(f64::from(read(tensor.abs().max())?[0]));
    let (apart, size) = (largest(logits.clone() - shifted.clone())?, largest(logits.clone())?);
    match apart <= TOLERANCE * size {
        true => Ok(()),
        false => Err(Error::unsupported(
            InputShift::NAME,
            format!("the shifted network's logits are {apart:.1e} off, of {size:.1e}: make the shift smaller"),
        )),
    }
}

/// The network f₂ with f₂(x + shift) = f₁(x), exactly up to rounding.
///
/// The first layers absorb the shift: a convolution or linear layer in its bias, b − shift · Σ w, a batch norm in its mean. A
/// convolution's border of zeros becomes one of the shift, by layers that pad with that value, so that pixels at the border see what
/// they saw before. Layers that only move values about hand the shift on.
///
/// # Errors
/// [`Error::Parameter`] for a shift that is not finite; [`Error::Unsupported`] that names the layer that cannot absorb it.
pub fn shifted_network(network: &Network, shift: f32) -> Result<Network> {
    if !shift.is_finite() {
        return Err(Error::parameter("shift", shift, "a finite number"));
    }
    let mut carries = BTreeSet::from([network.input()]);
    rebuild(network, |builder, id, node, inputs| {
        if node.inputs().iter().all(|input| !carries.contains(input)) {
            return builder.add(node.name(), node.layer().clone(), inputs);
        }
        let layer = match node.layer().clone() {
            Layer::Convolution(convolution) => return absorb(builder, node, convolution, inputs, shift),
            Layer::Linear(linear) => {
                let sums: Tensor<1> = linear.weight.clone().sum_dim(1).squeeze_dim(1);
                Layer::Linear(Linear { bias: Some(shifted(linear.bias, sums * shift)), ..linear })
            }
            Layer::BatchNorm(norm) => Layer::BatchNorm(BatchNorm { mean: norm.mean + shift, ..norm }),
            Layer::Pad(pad) => {
                carries.insert(id);
                Layer::Pad(Pad { value: pad.value + f64::from(shift), ..pad })
            }
            moves @ (Layer::Flatten
            | Layer::Reshape { .. }
            | Layer::Transpose { .. }
            | Layer::Select(_)
            | Layer::Dropout) => {
                carries.insert(id);
                moves
            }
            other => {
                let problem =
                    format!("layer {} ({}) reads the pictures and cannot absorb a shift", node.name(), other.kind());
                return Err(Error::unsupported(InputShift::NAME, problem));
            }
        };
        builder.add(node.name(), layer, inputs)
    })
}

fn shifted(bias: Option<Tensor<1>>, by: Tensor<1>) -> Tensor<1> {
    match bias {
        Some(bias) => bias - by,
        None => -by,
    }
}

fn absorb(
    builder: &mut NetworkBuilder,
    node: &Node,
    convolution: Convolution,
    inputs: &[NodeId],
    shift: f32,
) -> Result<NodeId> {
    let mut input = inputs[0];
    for (axis, border) in [2, 3].into_iter().zip(convolution.padding).filter(|(_, border)| *border > 0) {
        let pad = Pad { axis, before: border, after: border, value: shift.into() };
        let name = format!("{}, border of axis {axis}", node.name());
        input = builder.add(name, Layer::Pad(pad), &[input])?;
    }
    let sums: Tensor<1> = convolution.weight.clone().flatten::<2>(1, 3).sum_dim(1).squeeze_dim(1);
    let bias = Some(shifted(convolution.bias, sums * shift));
    builder.add(node.name(), Layer::Convolution(Convolution { bias, padding: [0, 0], ..convolution }), &[input])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{DType, Device};
    use burnsight_core::{Attributor, AutodiffModel, Target};
    use burnsight_grad_cam::GradCam;
    use burnsight_guided_backprop::GuidedBackprop;
    use burnsight_input_x_gradient::InputXGradient;
    use burnsight_integrated_gradients::IntegratedGradientsConfig;
    use burnsight_testkit::nets;
    use burnsight_vanilla_gradient::VanillaGradient;

    use super::*;

    fn networks() -> [(Network, Tensor<4>); 3] {
        let device = Device::default();
        let linear = Tensor::from_data([[1.0, -2.0, 0.5, 3.0], [0.3, 0.2, -1.0, 1.0]], (&device, DType::F64));
        [
            (nets::small_vgg(&device, DType::F64), nets::pictures([3, 3, 9, 8], &device, DType::F64)),
            (nets::branches(&device, DType::F64), nets::pictures([3, 3, 13, 11], &device, DType::F64)),
            (nets::linear(linear), nets::pictures([3, 1, 2, 2], &device, DType::F64)),
        ]
    }

    fn apart(a: Tensor<2>, b: Tensor<2>) -> f32 {
        read((a - b).abs().max()).unwrap()[0]
    }

    #[test]
    fn the_shifted_network_is_the_same_function_up_to_the_border() {
        for (network, pictures) in networks() {
            let shifted = shifted_network(&network, -1.7).unwrap();
            let logits = network.logits(pictures.clone()).unwrap();
            assert!(apart(logits, shifted.logits(pictures - 1.7).unwrap()) < 1e-6);
        }
    }

    #[test]
    fn a_border_of_zeros_would_be_another_function() {
        let [(network, pictures), ..] = networks();
        let careless = rebuild(&network, |builder, _, node, inputs| match node.layer().clone() {
            Layer::Convolution(convolution) if node.name() == "features.0" => {
                let sums: Tensor<1> = convolution.weight.clone().flatten::<2>(1, 3).sum_dim(1).squeeze_dim(1);
                let bias = Some(shifted(convolution.bias, sums));
                builder.add(node.name(), Layer::Convolution(Convolution { bias, ..convolution }), inputs)
            }
            layer => builder.add(node.name(), layer, inputs),
        });
        let moved = careless.unwrap().logits(pictures.clone() + 1.0).unwrap();
        let logits = network.logits(pictures).unwrap();
        assert!(apart(logits.clone(), moved.clone()) > 1e-2);
        assert!(check_equal(&logits, &moved).unwrap_err().to_string().contains("make the shift smaller"));
    }

    #[test]
    fn gradients_stay_and_products_with_the_input_change() {
        let [(network, pictures), ..] = networks();
        let distance = |method: &dyn Attributor<Network>| {
            let subject = Subject::of_network(&network, method, pictures.clone(), &Target::Class(1)).unwrap();
            let readings = InputShift::default().measure(&subject).unwrap();
            readings.iter().map(|reading| crate::Summary::of(&reading.values).mean.unwrap()).collect::<Vec<_>>()
        };
        let integrated = IntegratedGradientsConfig::default().init().unwrap();
        for (unchanged, name) in [
            (distance(&VanillaGradient), "gradient"),
            (distance(&GuidedBackprop), "guided backprop"),
            (distance(&GradCam::new()), "Grad-CAM"),
        ] {
            assert!(unchanged[0] < 1e-6 && unchanged[1] > 0.999_99, "{name}: {unchanged:?}");
        }
        for (changed, name) in [(distance(&InputXGradient), "input × gradient"), (distance(&integrated), "integrated")]
        {
            assert!(changed[0] > 0.1 && changed[1] < 0.99, "{name}: {changed:?}");
        }
    }

    #[test]
    fn linear_net_by_hand() {
        // Φ = x · w. Shifted: (x + 2) · w, which is w · 2 away: ‖2w‖ / ‖x · w‖ = 2 · 5 / √(9 + 64).
        let device = Device::default();
        let network = nets::linear(Tensor::from_data([[3.0, 4.0]], &device));
        let picture = Tensor::from_data([[[[1.0, 2.0]]]], &device);
        let subject = Subject::of_network(&network, &InputXGradient, picture, &Target::Class(0)).unwrap();
        let readings = InputShift { shift: 2.0 }.measure(&subject).unwrap();
        assert!((readings[0].values[0].unwrap() - 10.0 / 73.0f64.sqrt()).abs() < 1e-5);
    }

    #[test]
    fn what_cannot_be_shifted_is_named() {
        let device = Device::default();
        let network = nets::chain([("relu", Layer::Relu), ("flatten", Layer::Flatten)]);
        assert!(shifted_network(&network, 1.0).unwrap_err().to_string().contains("layer relu (ReLU)"));
        let [(network, _), ..] = networks();
        assert!(shifted_network(&network, f32::NAN).unwrap_err().to_string().contains("`shift` is NaN"));
        let model = AutodiffModel::from_closure(|images: Tensor<4>| images.flatten::<2>(1, 3));
        let pictures = nets::pictures([1, 1, 2, 2], &device, DType::F32);
        let subject = Subject::of_model(&model, &VanillaGradient, pictures, &Target::Top).unwrap();
        let refused = InputShift::default().measure(&subject).unwrap_err().to_string();
        assert!(refused.contains("input-shift") && refused.contains("Network"), "{refused}");
    }
}
