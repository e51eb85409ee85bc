//! Whether maps survive changes of the picture that leave the answer alone.

mod attack;
mod dissimilarity;

use burn::tensor::Tensor;
use burnsight_core::{Error, Result, Seed, select_images};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Curve, Direction, Metric, Reading, Subject, center_of_mass, pixel_values, spearman, top_intersection};

pub use attack::Attack;
use attack::Networks;

/// How far a map can be moved by changes of the picture that are smaller than ε and leave its class alone.
///
/// ```text
/// random sign    x + ε · s, s = ±1 at random for every number
/// top-k          x + δ that takes the most away from the k strongest pixels of the gradient     ‖δ‖∞ ≤ ε, same class
/// mass centre    x + δ that moves the centre of mass of the gradient furthest
///
/// one step       x ← x + ε/5 · sign ∇ₓD, cut back to the ball; of the steps that keep the class the one with the largest D counts
/// ∇ₓD(∇f)        = H(x) · v,  v = ∂D/∂(∇f): from the difference of the gradients on either side of x along v
/// ```
///
/// Ghorbani et al. 2019, "Interpretation of Neural Networks is Fragile", <https://arxiv.org/abs/1710.10547>. D is a function of the
/// gradient's magnitude, summed over the colours and divided by its sum. The second derivatives of a ReLU network
/// are zero, so, as in the paper, ∇ₓD is that of a network with softplus in place of ReLU; which pixels are the strongest, where
/// the centre is and which step counts is said by the network itself. The iterative attacks begin with one step of random signs:
/// where the centre has not moved, nothing says in which direction it could. Pictures are not cut to valid colours.
///
/// | reading, for each attack | what it compares | better |
/// |---|---|---|
/// | `fragility, top-k, top-k intersection` | which share of the k strongest pixels stays among them | higher |
/// | `…, Spearman` | the order of the pixels | higher |
/// | `…, centre shift` | how far the centre of mass moves, as a share of the diagonal | lower |
///
/// The value is that at the largest ε, the curve goes over ε. What is compared are the maps of the subject's method, on the
/// network as it is, for the same target, and as in the paper their magnitudes. A picture whose class the random signs change has
/// no value there; if no step of an iterative attack keeps the class, the picture stays as it is.
///
/// Costs for each ε and attack one explanation, and four gradients per step of the iterative ones.
///
/// # When it misleads
/// The iterative attacks aim at the *gradient*. What they do to another method's maps is a by-product, and less than an attack
/// on that method could do: a lower bound. Only ReLUs become softplus: on a network of other functions with corners (ReLU6, leaky ReLU)
/// the attacks hardly get beyond their first, random step. A map that is the same for every picture survives everything. A change that
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
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            return Err(Error::parameter("epsilon", epsilon, "0, which changes nothing, or above"));
        }
        let networks = self.networks(subject, attack)?;
        let mut changed = Vec::new();
        let mut kept = Vec::new();
        subject.batches().run(subject.count(), 1, |rows| {
            let (pictures, kept_here) = self.attack_rows(subject, rows, attack, epsilon, networks.as_ref())?;
            changed.push(pictures);
            kept.extend(kept_here);
            Ok(())
        })?;
        Ok((Tensor::cat(changed, 0), kept))
    }

    /// What an attack has to look into, if it is an iterative one.
    fn networks<'n>(&self, subject: &Subject<'n>, attack: Attack) -> Result<Option<Networks<'n>>> {
        match attack {
            Attack::RandomSign => Ok(None),
            Attack::TopK | Attack::MassCenter => Networks::new(subject.network(Self::NAME)?, self.steepness).map(Some),
        }
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
            let networks = self.networks(subject, *attack)?;
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
                    let (changed, kept) = self.attack_rows(subject, rows, *attack, *epsilon, networks.as_ref())?;
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
        let magnitudes = |map: &[f32]| map.iter().map(|value| f64::from(value.abs())).collect::<Vec<_>>();
        let (before, after) = (magnitudes(before), magnitudes(after));
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

#[cfg(test)]
mod tests;
