//! Maps at another size.

use burnsight_network::{Layer, Resample};

use super::{Importer, Inputs, Outcome};
use crate::{
    constant::{Constant, count},
    graph::tensor,
    view::{Value, View},
};

impl<'f> Importer<'f> {
    /// Rows and columns of a map at another size.
    pub(super) fn resize(&mut self, inputs: &Inputs<'f>) -> Outcome<View> {
        let view = self.view(inputs, 0)?;
        let view = self.graph.map_view(&self.name, &view)?;
        let operation = inputs.operation;
        let version_10 = operation.kind() == "Upsample" || operation.opset < 11;
        let (scales_at, sizes_at) = if version_10 { (1, usize::MAX) } else { (2, 3) };
        let known = |index: usize| {
            inputs.get(index).is_some_and(|value| matches!(value, Value::Constant(c) if c.data.len() > 0))
        };
        let sizes = [self.graph.plain_size(&view, 2)?, self.graph.plain_size(&view, 3)?];
        let mut scales = [1.0; 2];
        let mut wanted = sizes;
        let last_two =
            |all: usize, index: usize| (all == 4 || all == 2).then(|| all - 2 + index).ok_or("not one number per axis");
        if known(sizes_at) {
            let given = inputs.constant(sizes_at)?.as_ints()?.to_vec();
            for index in 0..2 {
                wanted[index] = given[last_two(given.len(), index)?].known()? as usize;
                scales[index] = wanted[index] as f64 / sizes[index] as f64;
            }
        } else {
            let given = match operation.floats("scales") {
                Some(scales) => scales.to_vec(),
                None => inputs.constant(scales_at)?.to_floats()?,
            };
            for index in 0..2 {
                scales[index] = f64::from(given[last_two(given.len(), index)?]);
                wanted[index] = (sizes[index] as f64 * scales[index]).floor() as usize;
            }
        }
        if wanted.iter().any(|size| !(1..=1 << 14).contains(size)) {
            return Err(format!("a map of {wanted:?}"));
        }
        let sampling = Sampling {
            mode: operation.text("mode").unwrap_or("nearest").into(),
            // Before version 11 there was but one convention.
            coordinates: operation
                .text("coordinate_transformation_mode")
                .unwrap_or(if version_10 { "asymmetric" } else { "half_pixel" })
                .into(),
            nearest: operation
                .text("nearest_mode")
                .unwrap_or(if version_10 { "floor" } else { "round_prefer_floor" })
                .into(),
            cubic: operation.float("cubic_coeff_a").unwrap_or(-0.75),
        };
        let mut matrices = Vec::new();
        for index in 0..2 {
            count(&[wanted[index], sizes[index]])?;
            let matrix = sampling.matrix(sizes[index], wanted[index], scales[index])?;
            matrices.push(tensor(Constant::floats(&[wanted[index], sizes[index]], matrix), &self.graph.device)?);
        }
        let columns = matrices.remove(1);
        self.graph.map(&self.name, Layer::Resample(Resample { rows: matrices.remove(0), columns }), &view)
    }
}

/// How new pixels are made of old ones, along one axis.
struct Sampling {
    mode: String,
    coordinates: String,
    nearest: String,
    cubic: f64,
}

impl Sampling {
    /// `[new, old]`: the weight of every old pixel in every new one.
    fn matrix(&self, old: usize, new: usize, scale: f64) -> Outcome<Vec<f32>> {
        let mut matrix = vec![0.0; new * old];
        for (index, row) in matrix.chunks_mut(old).enumerate() {
            for (place, weight) in self.weights(index as f64, old, new, scale)? {
                row[place.clamp(0, old as i64 - 1) as usize] += weight as f32;
            }
        }
        Ok(matrix)
    }

    fn weights(&self, index: f64, old: usize, new: usize, scale: f64) -> Outcome<Vec<(i64, f64)>> {
        let at = match self.coordinates.as_str() {
            "half_pixel" => (index + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if new == 1 => 0.0,
            "pytorch_half_pixel" => (index + 0.5) / scale - 0.5,
            "asymmetric" => index / scale,
            "align_corners" if new == 1 => 0.0,
            "align_corners" => index * (old as f64 - 1.0) / (new as f64 - 1.0),
            other => return Err(format!("coordinates of the kind {other:?} are not supported")),
        };
        let floor = at.floor();
        let (left, fraction) = (floor as i64, at - floor);
        Ok(match self.mode.as_str() {
            "nearest" => {
                let place = match self.nearest.as_str() {
                    "floor" => floor,
                    "ceil" => at.ceil(),
                    "round_prefer_ceil" => (at + 0.5).floor(),
                    _ => (at - 0.5).ceil(),
                };
                vec![(place as i64, 1.0)]
            }
            "linear" | "bilinear" => vec![(left, 1.0 - fraction), (left + 1, fraction)],
            "cubic" => {
                let a = self.cubic;
                let near = |x: f64| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
                let far = |x: f64| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
                let weights = [far(fraction + 1.0), near(fraction), near(1.0 - fraction), far(2.0 - fraction)];
                weights.into_iter().enumerate().map(|(offset, weight)| (left - 1 + offset as i64, weight)).collect()
            }
            other => return Err(format!("resizing of the kind {other:?} is not supported")),
        })
    }
}
