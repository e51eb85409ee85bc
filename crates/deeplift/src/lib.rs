#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod halves;
mod max_pool;
mod rescale;
mod reveal_cancel;

use burn::tensor::Tensor;
use burnsight_core::{
    Attribution, Attributor, Baseline, Classifier, Completeness, Error, MicroBatcher, Moments, Provenance, Result, Row,
    Target, check_images, read, select_images,
};
use burnsight_network::{Activation, BackwardRule, Network, Trace, TraceAttributor};
use serde::{Deserialize, Serialize};
use serde_json::json;

use halves::{halves, twice};
use rescale::Rescale;
use reveal_cancel::RevealCancel;

/// What a unit passes on where it is not linear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeepLiftRule {
    /// How much its output changed per change of its input.
    #[default]
    Rescale,
    /// The same for the positive and the negative part of its input's change, each alone and after the other: contributions
    /// that cancel each other are seen, at about twice the cost.
    RevealCancel,
}

impl DeepLiftRule {
    fn on_the_way_back(self) -> &'static dyn BackwardRule {
        match self {
            Self::Rescale => &Rescale,
            Self::RevealCancel => &RevealCancel,
        }
    }
}

/// Settings of [`DeepLift`].
#[derive(Debug, Clone, Default)]
pub struct DeepLiftConfig {
    /// What units pass on where they are not linear. Default: Rescale.
    pub rule: DeepLiftRule,
    /// What the picture is compared with. Default: zero, the mean colour of the training pictures of most models. With a set
    /// of pictures the map is the mean over the set: DeepSHAP.
    pub baseline: Baseline,
}

impl DeepLiftConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Parameter`] for an empty set of baselines.
    pub fn init(self) -> Result<DeepLift> {
        match self.baseline.count() {
            0 => Err(Error::parameter("baseline", "a set of 0 pictures", "at least 1 is needed")),
            _ => Ok(DeepLift { config: self, batches: MicroBatcher::default() }),
        }
    }
}

/// The difference of the score to that of a baseline, followed back to the pixels that differ.
#[derive(Debug, Clone, Default)]
pub struct DeepLift {
    config: DeepLiftConfig,
    batches: MicroBatcher,
}

impl DeepLift {
    /// The name in the tool and in sidecars.
    pub const NAME: &str = "deeplift";

    /// The same with other batches: how many pictures, each with its baseline, are in memory at once, and who is told of the
    /// progress.
    pub fn with_batches(mut self, batches: MicroBatcher) -> Self {
        self.batches = batches;
        self
    }

    /// The map of pictures whose target is pinned.
    fn explain(&self, network: &Network, images: &Tensor<4>, target: Target) -> Result<Attribution> {
        let DeepLiftConfig { rule, baseline } = &self.config;
        let [count, ..] = images.dims();
        let mut pictures = vec![Picture::default(); count];
        self.batches.run(count, baseline.count(), |rows| {
            let of = || rows.iter().map(|row| row.image);
            let start = |row: &Row| baseline.nth(&select_images(images, [row.image]), row.sample);
            let starts: Vec<Tensor<4>> = rows.iter().map(start).collect::<Result<_>>()?;
            let (ends, starts) = (select_images(images, of()), Tensor::cat(starts, 0));
            let way = ends.clone() - starts.clone();
            let trace = network.record(Tensor::cat(vec![ends, starts], 0))?;
            let (multipliers, scores) = multipliers(&trace, &target.select(of()), rule.on_the_way_back())?;
            let maps = multipliers * way;
            for (index, row) in rows.iter().enumerate() {
                let map = maps.clone().slice_dim(0, index..index + 1);
                pictures[row.image].add(map, scores[index], scores[rows.len() + index]);
            }
            Ok(())
        })?;
        let of_maps = |part: fn(&Moments) -> Option<Tensor<4>>| {
            let maps: Option<Vec<_>> = pictures.iter().map(|picture| part(&picture.maps)).collect();
            maps.map(|maps| Tensor::cat(maps, 0))
        };
        let map = of_maps(Moments::mean).ok_or_else(|| Error::image(count, "no picture to explain"))?;
        let sums = read(map.clone().sum_dim(3).sum_dim(2).sum_dim(1))?;
        let completeness = |(sum, picture): (f32, &Picture)| Completeness { sum, difference: picture.difference() };
        Ok(Attribution {
            scores: pictures.iter().map(|picture| picture.score).collect(),
            target,
            completeness: Some(sums.into_iter().zip(&pictures).map(completeness).collect()),
            standard_error: of_maps(Moments::standard_error),
            provenance: Provenance::new(Self::NAME, json!({ "rule": rule, "baseline": baseline }), &map.device()),
            map,
        })
    }
}

/// What is known of a picture so far.
#[derive(Debug, Clone, Default)]
struct Picture {
    maps: Moments,
    score: f32,
    /// Σ f(x₀) over its baselines.
    baseline_scores: f64,
}

impl Picture {
    fn add(&mut self, map: Tensor<4>, score: f32, baseline_score: f32) {
        self.maps.add(map);
        self.score = score;
        self.baseline_scores += f64::from(baseline_score);
    }

    /// f(x) − the mean of f(x₀).
    fn difference(&self) -> f32 {
        (f64::from(self.score) - self.baseline_scores / self.maps.count() as f64) as f32
    }
}

/// The multipliers of the pixels of n pictures that are recorded above their baselines, `[n, c, h, w]`, and the scores of
/// all 2 n.
fn multipliers(trace: &Trace<'_>, target: &Target, rule: &dyn BackwardRule) -> Result<(Tensor<4>, Vec<f32>)> {
    let network = trace.network();
    let count = trace.images().dims()[0] / 2;
    let target = target.select((0..count).chain(0..count));
    let (arrived, scores) = match &target {
        Target::Unit { .. } => {
            let answer = trace.explain_layer(&target, rule, network.input())?;
            (answer.arrived, answer.scores)
        }
        on_logits => {
            let score = on_logits.score(trace.logits())?;
            let slope = match on_logits {
                Target::Function(_) => mean_slope_of_score(on_logits, trace.logits())?,
                _ => score.cotangent,
            };
            let slope = Activation::Vector(slope);
            (trace.backward(network.output(), slope, rule, network.input())?, score.values)
        }
    };
    let arrived = reveal_cancel::by_sign(trace.activation(network.input()), arrived);
    let arrived = arrived.as_map().expect("pictures are a map");
    Ok((arrived.slice_dim(0, 0..count), scores))
}

/// Points between the logits of baseline and picture where the slope of a score is taken.
const POINTS: usize = 64;

/// The mean slope of a score that is not linear, on the straight line from the baseline's logits to the picture's: the only
/// step from input to score that is not a layer. Its product with the difference of the logits is that of the scores, as for
/// every other multiplier.
fn mean_slope_of_score(target: &Target, logits: Tensor<2>) -> Result<Tensor<2>> {
    let [picture, baseline] = halves(logits);
    let mut sum = picture.zeros_like();
    for point in 0..POINTS {
        let share = (point as f64 + 0.5) / POINTS as f64;
        let logits = baseline.clone() + (picture.clone() - baseline.clone()) * share;
        sum = sum + target.score(logits)?.cotangent;
    }
    Ok(twice(sum / POINTS as f64))
}

impl TraceAttributor for DeepLift {
    /// Records the pictures again, beside their baselines.
    fn attribute_trace(&self, trace: &Trace<'_>, target: &Target) -> Result<Attribution> {
        self.config.rule.on_the_way_back().check(trace.network())?;
        let target = match target {
            Target::Unit { .. } => target.clone(),
            on_logits => on_logits.pin(&trace.logits())?,
        };
        self.explain(trace.network(), &trace.images(), target)
    }
}

impl Attributor<Network> for DeepLift {
    fn attribute(&self, network: &Network, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        self.config.rule.on_the_way_back().check(network)?;
        check_images(&images)?;
        let images = images.inner();
        // The picture alone decides what is explained, whatever its baselines.
        let target = match target {
            Target::Unit { .. } => target.clone(),
            on_logits => on_logits.pin(&network.logits(images.clone())?)?,
        };
        self.explain(network, &images, target)
    }
}

#[cfg(test)]
mod tests;
