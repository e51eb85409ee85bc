use burn::tensor::Tensor;
use burnsight_core::{Baseline, Result, Row, Seed, select_images};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Curve, Direction, Metric, Reading, Subject,
    removal::{Removal, check_least, removals},
    spearman,
};

/// Monotonicity: does the score rise with every group of pixels, added in the map's order?
///
/// ```text
/// x_0 = baseline        x_k = x_{k−1} with the next group of pixels from x, the lowest values of the map first
///
/// value    = share of k = 1 … groups with f(x_k) ≥ f(x_{k−1})
/// ```
///
/// Arya et al. 2019, <https://arxiv.org/abs/1909.03012>, after Luss et al. 2019, <https://arxiv.org/abs/1905.12698>.
/// The higher the better. The curve shows f over the share of pixels added.
///
/// # Cost
/// `groups` forward passes per picture.
///
/// # When it misleads
/// - Only the direction counts. A map in any order gets 1 on a linear model whose pixels all speak for the class.
/// - Pixels that speak against come first and rightly lower the score: a perfect map with sign does not get 1 then.
///   It is a question to maps of what speaks for the class.
/// - The first pictures of the row are nearly empty, like nothing the model has seen.
///
/// # Where ours differs
/// The paper, and Quantus after it, add single features and answer yes or no: yes is a value of 1. A picture has too
/// many pixels for that; the share of rising steps tells more. Quantus does not count the step away from the
/// baseline, ours does, and it orders by magnitude unless told otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Monotonicity {
    /// In how many steps the pixels are added. Default: 50. As many as pixels add them one by one.
    pub groups: usize,
    /// What is there before the pixels. Default: zero.
    pub baseline: Baseline,
}

impl Default for Monotonicity {
    fn default() -> Self {
        Self { groups: 50, baseline: Baseline::Zero }
    }
}

impl Monotonicity {
    /// The name in the tool and in readings.
    pub const NAME: &str = "monotonicity";
}

impl Metric for Monotonicity {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Arya et al. 2019, https://arxiv.org/abs/1909.03012"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        check_least("groups", self.groups, 1)?;
        let values = subject.pixel_values()?;
        let orders: Vec<Order> = values.iter().map(|map| Order::ascending(map, self.groups)).collect();
        let groups = orders[0].groups;
        let baseline = self.baseline.of(subject.images())?;
        // Sample k is the picture after k groups: the others are still missing.
        let removals = removals(
            subject,
            groups,
            |rows| Ok(select_images(&baseline, rows.iter().map(|row| row.image))),
            |row| Ok(orders[row.image].rest(row.sample).to_vec()),
        )?;
        let curves: Vec<Vec<f64>> = removals
            .iter()
            .zip(&subject.attribution().scores)
            .map(|(removals, score)| {
                let missing = removals.iter().map(|removal| removal.drop);
                missing.chain([0.0]).map(|drop| f64::from(*score) - drop).collect()
            })
            .collect();
        let share = |curve: &Vec<f64>| {
            let rising = curve.windows(2).filter(|pair| pair[1] >= pair[0]).count();
            rising as f64 / groups as f64
        };
        let constant = |map: &Vec<f32>| map.iter().all(|value| *value == map[0]);
        // A map that is the same everywhere has no order.
        let value = |(map, curve)| (!constant(map)).then(|| share(curve));
        let readings = values.iter().zip(&curves).map(value).collect();
        let curve = Curve {
            x_label: "share of pixels added".into(),
            y_label: "score".into(),
            x: (0..=groups).map(|group| group as f64 / groups as f64).collect(),
            ticks: Vec::new(),
            y: curves.into_iter().map(|curve| curve.into_iter().map(Some).collect()).collect(),
        };
        Ok(vec![Reading::new(Self::NAME, Direction::Higher, readings).with_curve(curve)])
    }
}

/// Monotonicity correlation: do groups of pixels matter to the model in the order in which they do to the map?
///
/// ```text
/// e_g      = mean over draws of  (f(x) − f(x with group g drawn anew))²
/// value    = rank correlation over g of  Σ_{i ∈ g} |A_i|  and  e_g
///
/// g   groups of pixels that follow each other in the order of |A|        rank correlation   Spearman's
/// ```
///
/// Nguyen & Martínez 2020, <https://arxiv.org/abs/2007.07584>. The higher the better.
///
/// # Cost
/// `groups` · `draws` forward passes per picture.
///
/// # When it misleads
/// - Groups with little weight hardly move the score; their order is noise, yet counts as much as that of the others.
/// - Noise is like nothing the model has seen.
/// - Signs are ignored, of the map and of what the score does.
///
/// # Where ours differs
/// The paper draws single features from their distribution; ours are groups of pixels, drawn uniformly between the
/// smallest and the largest value of the picture. Quantus draws between two settings, takes single values, colours
/// apart, and softmax probabilities unless told otherwise. It also divides by f(x)², which changes no rank.
#[derive(Debug, Clone, Serialize)]
pub struct MonotonicityCorrelation {
    /// Into how many groups the pixels are split. Default: 32.
    pub groups: usize,
    /// How often each group is drawn anew. Default: 8.
    pub draws: usize,
    /// Where the draws start. Default: 0.
    pub seed: Seed,
}

impl Default for MonotonicityCorrelation {
    fn default() -> Self {
        Self { groups: 32, draws: 8, seed: Seed(0) }
    }
}

impl MonotonicityCorrelation {
    /// The name in the tool and in readings.
    pub const NAME: &str = "monotonicity-correlation";

    pub(crate) fn values(
        &self,
        subject: &Subject<'_>,
        filling: impl Fn(&[Row]) -> Result<Tensor<4>>,
    ) -> Result<Vec<Option<f64>>> {
        check_least("groups", self.groups, 2)?;
        check_least("draws", self.draws, 1)?;
        let magnitudes: Vec<Vec<f32>> =
            subject.pixel_values()?.iter().map(|map| map.iter().map(|value| value.abs()).collect()).collect();
        let orders: Vec<Order> = magnitudes.iter().map(|map| Order::ascending(map, self.groups)).collect();
        let groups = orders[0].groups;
        let group_of = |row: Row| orders[row.image].group(row.sample / self.draws);
        let removals = removals(subject, groups * self.draws, filling, |row| Ok(group_of(row).to_vec()))?;
        let values = orders.iter().zip(&magnitudes).zip(&removals).map(|((order, map), removals)| {
            let weight = |group| order.group(group).iter().map(|pixel| f64::from(map[*pixel])).sum();
            let weights: Vec<f64> = (0..groups).map(weight).collect();
            let effect = |draws: &[Removal]| draws.iter().map(|removal| removal.drop.powi(2)).sum::<f64>();
            spearman(&weights, &removals.chunks(self.draws).map(effect).collect::<Vec<f64>>())
        });
        Ok(values.collect())
    }
}

impl Metric for MonotonicityCorrelation {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Nguyen & Martínez 2020, https://arxiv.org/abs/2007.07584"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        let images = subject.images();
        let [count, channels, height, width] = images.dims();
        let flat = images.clone().flatten::<2>(1, 3);
        let lowest = flat.clone().min_dim(1).reshape([count, 1, 1, 1]);
        let range = flat.max_dim(1).reshape([count, 1, 1, 1]) - lowest.clone();
        let values = self.values(subject, |rows| {
            let of = || rows.iter().map(|row| row.image);
            // One stream per draw, shared by all groups and pictures.
            let shares = rows.iter().map(|row| {
                let stream = (row.sample % self.draws) as u64;
                self.seed.uniform(stream, [1, channels, height, width], &images.device()).cast(images.dtype())
            });
            let shares = Tensor::cat(shares.collect(), 0);
            Ok(shares * select_images(&range, of()) + select_images(&lowest, of()))
        })?;
        Ok(vec![Reading::new(Self::NAME, Direction::Higher, values)])
    }
}

/// The pixels of a map, lowest value first, in groups of equal size (to one pixel).
struct Order {
    pixels: Vec<usize>,
    groups: usize,
}

impl Order {
    /// In so many groups, or one per pixel where there are fewer pixels. Equal values stay in the order of the
    /// picture.
    fn ascending(map: &[f32], groups: usize) -> Self {
        let mut pixels: Vec<usize> = (0..map.len()).collect();
        pixels.sort_by(|a, b| map[*a].total_cmp(&map[*b]));
        Self { pixels, groups: groups.min(map.len()) }
    }

    fn start(&self, group: usize) -> usize {
        group * self.pixels.len() / self.groups
    }

    /// The pixels of one group.
    fn group(&self, group: usize) -> &[usize] {
        &self.pixels[self.start(group)..self.start(group + 1)]
    }

    /// The pixels of that group and all later ones.
    fn rest(&self, group: usize) -> &[usize] {
        &self.pixels[self.start(group)..]
    }
}
