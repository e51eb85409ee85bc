//! Where the path goes.

use burn::tensor::{Tensor, TensorData};
use burnsight_core::{Result, read};

use crate::GuidedIntegratedGradientsConfig;

/// What of the whole way may be missing at the end of a step: rounding.
const TOLERANCE: f64 = 1e-9;

/// One picture's way from one baseline. A feature is one value of the picture; its place is the share of its own way
/// that lies behind it, 0 at the baseline and 1 at the picture.
pub(crate) struct Path {
    /// The baseline, `[1, c, h, w]`.
    start: Tensor<4>,
    /// x − b
    way: Tensor<4>,
    /// |x − b|
    lengths: Vec<f64>,
    places: Vec<f64>,
    /// The places a step ago.
    before: Vec<f64>,
}

impl Path {
    pub(crate) fn new(start: Tensor<4>, end: Tensor<4>) -> Result<Self> {
        let way = end - start.clone();
        let lengths: Vec<f64> = read(way.clone().abs())?.into_iter().map(f64::from).collect();
        let places = vec![0.0; lengths.len()];
        Ok(Self { start, way, lengths, before: places.clone(), places })
    }

    /// The picture at which the gradient is wanted next.
    pub(crate) fn point(&self) -> Tensor<4> {
        self.start.clone() + self.way_to(self.places.clone())
    }

    /// Goes on until `share` of the way lies behind, and returns what the gradient adds to the map: by the trapezoidal
    /// rule it counts for half of the move that led here and half of the one that leads away.
    pub(crate) fn step(
        &mut self,
        gradient: Tensor<4>,
        share: f64,
        config: &GuidedIntegratedGradientsConfig,
    ) -> Result<Tensor<4>> {
        let next = self.advance(&read(gradient.clone())?, share, config);
        let before = std::mem::replace(&mut self.before, std::mem::replace(&mut self.places, next));
        Ok(gradient * self.half_of_the_way(&before))
    }

    /// What the gradient at the picture, where the path ends, adds to the map.
    pub(crate) fn end(&self, gradient: Tensor<4>) -> Tensor<4> {
        gradient * self.half_of_the_way(&self.before)
    }

    fn half_of_the_way(&self, from: &[f64]) -> Tensor<4> {
        self.way_to(self.places.iter().zip(from).map(|(to, from)| (to - from) / 2.0).collect())
    }

    fn way_to(&self, places: Vec<f64>) -> Tensor<4> {
        let places = TensorData::new(places, self.way.dims());
        Tensor::from_data(places, (&self.way.device(), self.way.dtype())) * self.way.clone()
    }

    /// The places after a step that ends when `share` of Σ |x − b| lies behind.
    fn advance(&self, slopes: &[f32], share: f64, config: &GuidedIntegratedGradientsConfig) -> Vec<f64> {
        let GuidedIntegratedGradientsConfig { fraction, max_distance, .. } = config;
        let (least, most) = ((share - max_distance).max(0.0), (share + max_distance).min(1.0));
        let mut places: Vec<f64> = self.places.iter().map(|place| place.max(least)).collect();
        let mut missing: f64 = self.lengths.iter().zip(&places).map(|(length, place)| length * (share - place)).sum();
        let enough = TOLERANCE * self.lengths.iter().sum::<f64>();

        let movable = (0..places.len()).filter(|feature| self.lengths[*feature] > 0.0 && places[*feature] < most);
        let mut movable: Vec<(f32, usize)> = movable.map(|feature| (slopes[feature].abs(), feature)).collect();
        movable.sort_unstable_by(|(left, _), (right, _)| left.total_cmp(right));
        // As the authors count: of all features, whether they can move or not.
        let group = (fraction * (places.len() - 1) as f64) as usize;
        let mut movable = movable.as_slice();
        while missing > enough && !movable.is_empty() {
            // Equal slopes go together, whatever the order of the pixels.
            let (largest, _) = movable[group.min(movable.len() - 1)];
            let (chosen, others) =
                movable.split_at(movable.partition_point(|(slope, _)| slope.total_cmp(&largest).is_le()));
            let reach: f64 = chosen.iter().map(|(_, feature)| self.lengths[*feature] * (most - places[*feature])).sum();
            let part = (missing / reach).min(1.0);
            for (_, feature) in chosen {
                places[*feature] = most - (1.0 - part) * (most - places[*feature]);
            }
            missing -= part * reach;
            movable = others;
        }
        places
    }
}
