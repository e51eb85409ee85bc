//! Whether maps survive changes of the picture that leave the answer alone.

mod dissimilarity;

use burn::tensor::Tensor;
use burnsight_core::{Classifier, Differentiable, Error, Result, Row, Seed, Target, select_images};
use burnsight_network::{Function, Layer, Network};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Curve, Direction, Metric, Reading, Subject, center_of_mass, pixel_values, rebuild::rebuild, spearman,
    top_intersection,
};
use dissimilarity::Dissimilarity;

/// How far a map can be moved by changes of the picture that are smaller than ε and leave its class alone.
///
/// ```text
/// random sign    x + ε · s, s = ±1 at random for every number
/// top-k          x + δ that takes the most away from the k strongest pixels of the gradient     ‖δ‖∞ ≤ ε, same class
/// mass centre    x + δ that moves the centre of mass of the gradient furthest
///
/// one step       x ← x + ε/5 · sign ∇ₓD, cut back to the ball; undone where the class changes; the step with the largest D counts
/// ∇ₓD(∇f)        = H(x) · v,  v = ∂D/∂(∇f): the difference of two gradients on either side of x along v
/// ```
///
/// Ghorbani et al. 2019, "Interpretation of Neural Networks is Fragile", <https://arxiv.org/abs/1710.10547>. D is a function of the
/// gradient's magnitude, summed over the colours and divided by its sum. The second derivatives of a ReLU network
/// are zero, so, as in the paper, the attack (and nothing else) is made on a network with softplus in place of ReLU.
///
/// | reading, for each attack | what it compares | better |
/// |---|---|---|
/// | `fragility, top-k, top-k intersection` | which share of the k strongest pixels stays among them | higher |
/// | `…, Spearman` | the order of the pixels | higher |
/// | `…, centre shift` | how far the centre of mass moves, as a share of the diagonal | lower |
///
/// The value is that at the largest ε, the curve goes over ε. What is compared are the maps of the subject's method, on the
/// network as it is, for the same target. A picture whose class one random sign changes has no value there.
///
/// Costs for each ε and attack one explanation, and three gradients per step of the iterative ones.
///
/// # When it misleads
/// The iterative attacks aim at the *gradient*. What they do to another method's maps is a by-product, and less than an attack
/// on that method could do: a lower bound. A map that is the same for every picture survives everything. A change that
/// leaves the class may still change what speaks for it, and a map should then change.
#[derive(Debug, Clone, Serialize)]
pub struct Fragility {
    /// Which attacks are made. Default: all three.
    pub attacks: Vec<Attack>,
    /// Largest changes of a number, in the unit of the model's input, ascending. Default: 0.02, 0.04, 0.08, 0.16, which is about
    /// 1, 2, 5 and 9 of 255 grey levels where pictures are normalised as ImageNet's.
    pub epsilons: Vec<f32>,
    /// Steps of the iterative attacks. Default: 10.
    pub steps: usize,
    /// k as a share of the pixels. Default: 0.02, as the paper's 1000 of 224 × 224.
    pub top_share: f64,
    /// How sharp the softplus of the attacked network is. Default: 30.
    pub steepness: f64,
    /// Where random signs start. Default: 0.
    pub seed: Seed,
}

/// A way to change a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Every number by ±ε at random.
    RandomSign,
    /// Against the strongest pixels.
    TopK,
    /// Against the centre of mass.
    MassCenter,
}

impl Attack {
    /// All three.
    pub const ALL: [Attack; 3] = [Attack::RandomSign, Attack::TopK, Attack::MassCenter];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::RandomSign => "random sign",
            Self::TopK => "top-k",
            Self::MassCenter => "mass centre",
        }
    }
}

impl Fragility {
    /// The name in the tool.
    pub const NAME: &str = "fragility";

    fn check(&self) -> Result<()> {
        let is_size = |epsilon: &f32| epsilon.is_finite() && *epsilon > 0.0;
        if self.attacks.is_empty() {
            return Err(Error::parameter("attacks", "empty", "at least one attack"));
        }
        if self.epsilons.is_empty() || !self.epsilons.iter().all(is_size) || !self.epsilons.is_sorted() {
            return Err(Error::parameter("epsilons", format!("{:?}", self.epsilons), "above 0 and ascending"));
        }
        if self.steps == 0 {
            return Err(Error::parameter("steps", 0, "at least 1"));
        }
        if !(self.top_share > 0.0 && self.top_share < 1.0) {
            return Err(Error::parameter("top_share", self.top_share, "above 0 and below 1"));
        }
        match self.steepness.is_finite() && self.steepness > 0.0 {
            true => Ok(()),
            false => Err(Error::parameter("steepness", self.steepness, "above 0")),
        }
    }

    fn top(&self, pixels: usize) -> usize {
        ((self.top_share * pixels as f64).round() as usize).max(1)
    }

    /// The pictures `[n, c, h, w]` after an attack, and for each whether it kept its class. Those of the iterative attacks always
    /// do, if need be unchanged.
    ///
    /// # Errors
    /// [`Error::Parameter`] for settings out of range, [`Error::Unsupported`] when an iterative attack does not see the
    /// network, and those of the model.
    pub fn attack(&self, subject: &Subject<'_>, attack: Attack, epsilon: f32) -> Result<(Tensor<4>, Vec<bool>)> {
        self.check()?;
        let smooth = self.smooth(subject, attack)?;
        let mut changed = Vec::new();
        let mut kept = Vec::new();
        subject.batches().run(subject.count(), 1, |rows| {
            let (pictures, kept_here) = self.attack_rows(subject, rows, attack, epsilon, smooth.as_ref())?;
            changed.push(pictures);
            kept.extend(kept_here);
            Ok(())
        })?;
        Ok((Tensor::cat(changed, 0), kept))
    }

    /// The network that iterative attacks are made on.
    fn smooth(&self, subject: &Subject<'_>, attack: Attack) -> Result<Option<Network>> {
        if attack == Attack::RandomSign {
            return Ok(None);
        }
        let softplus = Layer::Function(Function::Softplus { steepness: self.steepness });
        let smooth = rebuild(subject.network(Self::NAME)?, |builder, _, node, inputs| {
            let layer = if matches!(node.layer(), Layer::Relu) { softplus.clone() } else { node.layer().clone() };
            builder.add(node.name(), layer, inputs)
        });
        smooth.map(Some)
    }

    fn attack_rows(
        &self,
        subject: &Subject<'_>,
        rows: &[Row],
        attack: Attack,
        epsilon: f32,
        smooth: Option<&Network>,
    ) -> Result<(Tensor<4>, Vec<bool>)> {
        let pictures = select_images(subject.images(), rows.iter().map(|row| row.image));
        let target = subject.target().select(rows.iter().map(|row| row.image));
        let classes = classes(subject.model(), pictures.clone())?;
        let [_, channels, height, width] = pictures.dims();
        // The same signs for every picture, as everything random.
        let signs = self.seed.uniform(0, [1, channels, height, width], &pictures.device()).cast(pictures.dtype());
        let signs = (signs - 0.5).sign().expand(pictures.dims());
        let Some(smooth) = smooth else {
            let changed = pictures + signs * epsilon;
            let kept = same(&self::classes(subject.model(), changed.clone())?, &classes);
            return Ok((changed, kept));
        };
        let original = smooth.gradient(pictures.clone(), &target)?.gradient;
        let dissimilarity = Dissimilarity::new(attack, original, self.top(height * width));
        let step = epsilon / 5.0;
        let within =
            |changed: Tensor<4>| changed.min_pair(pictures.clone() + epsilon).max_pair(pictures.clone() - epsilon);
        // Away from the picture, where the centre has not moved and nothing says in which direction it could.
        let mut now =
            self.unless_class_changes(subject, &classes, pictures.clone(), within(pictures.clone() + signs * step))?;
        let mut best = (pictures.clone(), dissimilarity.of(&smooth.gradient(pictures.clone(), &target)?.gradient)?);
        for _ in 0..self.steps {
            let gradient = smooth.gradient(now.clone(), &target)?.gradient;
            best = keep_larger(best, now.clone(), dissimilarity.of(&gradient)?);
            let direction = hessian_times(smooth, &now, &target, dissimilarity.slope(gradient))?;
            let next = within(now.clone() + direction.sign() * step);
            now = self.unless_class_changes(subject, &classes, now, next)?;
        }
        let last = dissimilarity.of(&smooth.gradient(now.clone(), &target)?.gradient)?;
        Ok((keep_larger(best, now, last).0, vec![true; rows.len()]))
    }

    /// The next pictures, but for those whose class they would change.
    fn unless_class_changes(
        &self,
        subject: &Subject<'_>,
        wanted: &[usize],
        now: Tensor<4>,
        next: Tensor<4>,
    ) -> Result<Tensor<4>> {
        let kept = same(&classes(subject.model(), next.clone())?, wanted);
        Ok(choose(&kept, next, now))
    }
}

impl Default for Fragility {
    fn default() -> Self {
        Self {
            attacks: Attack::ALL.to_vec(),
            epsilons: vec![0.02, 0.04, 0.08, 0.16],
            steps: 10,
            top_share: 0.02,
            steepness: 30.0,
            seed: Seed(0),
        }
    }
}

/// How a map compares with the one before: top-k intersection, Spearman's correlation, shift of the centre.
type Comparison = [Option<f64>; 3];

impl Metric for Fragility {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn paper(&self) -> &'static str {
        "Ghorbani et al. 2019, Interpretation of Neural Networks is Fragile, arXiv:1710.10547"
    }

    fn parameters(&self) -> Value {
        json!(self)
    }

    /// Also those of [`attack`](Self::attack).
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>> {
        self.check()?;
        let mut readings = Vec::new();
        for attack in &self.attacks {
            let smooth = self.smooth(subject, *attack)?;
            // Unchanged, a map is like itself; but not if it is flat.
            let mut comparisons = vec![vec![[None; 3]; self.epsilons.len() + 1]; subject.count()];
            subject.batches().run(subject.count(), 1, |rows| {
                let maps = select_images(&subject.attribution().map, rows.iter().map(|row| row.image));
                let before = pixel_values(&maps, subject.pixel_value())?;
                let target = subject.target().select(rows.iter().map(|row| row.image));
                for (row, map) in rows.iter().zip(&before) {
                    comparisons[row.image][0] = self.compare(subject, map, map);
                }
                for (place, epsilon) in self.epsilons.iter().enumerate() {
                    let (changed, kept) = self.attack_rows(subject, rows, *attack, *epsilon, smooth.as_ref())?;
                    let after = subject.explain(Self::NAME, changed, &target)?.map;
                    let after = pixel_values(&after, subject.pixel_value())?;
                    for (((row, before), after), kept) in rows.iter().zip(&before).zip(&after).zip(kept) {
                        if kept {
                            comparisons[row.image][place + 1] = self.compare(subject, before, after);
                        }
                    }
                }
                Ok(())
            })?;
            readings.extend(self.readings(*attack, &comparisons));
        }
        Ok(readings)
    }
}

impl Fragility {
    fn compare(&self, subject: &Subject<'_>, before: &[f32], after: &[f32]) -> Comparison {
        let [_, _, height, width] = subject.images().dims();
        let wide = |map: &[f32]| map.iter().copied().map(f64::from).collect::<Vec<_>>();
        let (before, after) = (wide(before), wide(after));
        let shift = || {
            let (a, b) = (center_of_mass(&before, [height, width])?, center_of_mass(&after, [height, width])?);
            Some((a[0] - b[0]).hypot(a[1] - b[1]) / (height as f64).hypot(width as f64))
        };
        [top_intersection(&before, &after, self.top(before.len())), spearman(&before, &after), shift()]
    }

    fn readings(&self, attack: Attack, comparisons: &[Vec<Comparison>]) -> Vec<Reading> {
        let kinds = [
            ("top-k intersection", Direction::Higher),
            ("Spearman", Direction::Higher),
            ("centre shift", Direction::Lower),
        ];
        let reading = |(kind, (name, direction)): (usize, (&str, Direction))| {
            let y: Vec<Vec<Option<f64>>> =
                comparisons.iter().map(|picture| picture.iter().map(|comparison| comparison[kind]).collect()).collect();
            let values = y.iter().map(|curve| curve[curve.len() - 1]).collect();
            let curve = Curve {
                x_label: "largest change ε, in the unit of the model's input".into(),
                y_label: name.into(),
                x: std::iter::once(0.0).chain(self.epsilons.iter().copied().map(f64::from)).collect(),
                ticks: Vec::new(),
                y,
            };
            let name = format!("{}, {}, {name}", Self::NAME, attack.name());
            Reading::new(name, direction, values).with_curve(curve)
        };
        kinds.into_iter().enumerate().map(reading).collect()
    }
}

/// H(x) · v up to a positive factor for each picture, H the second derivatives of its score: the difference of the gradients
/// on either side of it.
fn hessian_times(network: &Network, pictures: &Tensor<4>, target: &Target, v: Tensor<4>) -> Result<Tensor<4>> {
    let [images, channels, height, width] = pictures.dims();
    let length = v.clone().square().flatten::<2>(1, 3).sum_dim(1).sqrt().reshape([images, 1, 1, 1]);
    // Mean change of a number by 1e-3: small for the softplus, large for single precision.
    let size = 1e-3 * ((channels * height * width) as f64).sqrt();
    let step = v / length.clamp_min(f64::from(f32::MIN_POSITIVE)) * size;
    let ahead = network.gradient(pictures.clone() + step.clone(), target)?.gradient;
    let behind = network.gradient(pictures.clone() - step, target)?.gradient;
    Ok(ahead - behind)
}

/// The top class of every picture.
fn classes(model: &dyn Classifier, pictures: Tensor<4>) -> Result<Vec<usize>> {
    let Target::Classes(classes) = Target::Top.pin(&model.logits(pictures)?)? else {
        unreachable!("the top class of each picture is a class of each picture");
    };
    Ok(classes)
}

fn same(classes: &[usize], wanted: &[usize]) -> Vec<bool> {
    classes.iter().zip(wanted).map(|(class, wanted)| class == wanted).collect()
}

/// Of each picture the first where that is wanted, else the second.
fn choose(first: &[bool], a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    let count = first.len();
    let pick = first.iter().enumerate().map(|(index, first)| if *first { index } else { count + index });
    select_images(&Tensor::cat(vec![a, b], 0), pick)
}

/// Of each picture the one with the larger dissimilarity.
fn keep_larger(best: (Tensor<4>, Vec<f32>), other: Tensor<4>, values: Vec<f32>) -> (Tensor<4>, Vec<f32>) {
    let is_better: Vec<bool> = values.iter().zip(&best.1).map(|(value, best)| value > best).collect();
    let largest = values.iter().zip(&best.1).map(|(value, best)| value.max(*best)).collect();
    (choose(&is_better, other, best.0), largest)
}

#[cfg(test)]
mod tests;
