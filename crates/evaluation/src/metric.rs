//! What a metric is and what it returns.

use burnsight_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Subject;

/// A question asked of explanations, with a number for an answer.
pub trait Metric {
    /// Its name, as in the tool.
    fn name(&self) -> &'static str;

    /// Where it is defined.
    fn paper(&self) -> &'static str;

    /// Its settings, to make the numbers again.
    fn parameters(&self) -> Value;

    /// Measures every picture of the subject.
    ///
    /// A picture's numbers do not depend on its company: random numbers come from one stream per sample, shared by all
    /// pictures.
    ///
    /// # Errors
    /// Those of the model and the method, and [`Error::Unsupported`](burnsight_core::Error::Unsupported) when the
    /// subject lacks what the metric needs (weights, masks, a method to ask again).
    fn measure(&self, subject: &Subject<'_>) -> Result<Vec<Reading>>;
}

/// One number per picture. Most metrics return one reading; those that compare maps return one per way to compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What was read, e.g. `deletion` or `cascading-randomization, SSIM`. Starts with the metric's name.
    pub name: String,
    /// Which values are good.
    pub direction: Direction,
    /// One value per picture; `None` where the metric is not defined, for example for a map that is the same everywhere.
    pub values: Vec<Option<f64>>,
    /// What the values were read from, for metrics that vary something.
    pub curve: Option<Curve>,
}

impl Reading {
    /// Values without a curve.
    pub fn new(name: impl Into<String>, direction: Direction, values: Vec<Option<f64>>) -> Self {
        Self { name: name.into(), direction, values, curve: None }
    }

    /// The same with the curves that the values were read from.
    pub fn with_curve(self, curve: Curve) -> Self {
        Self { curve: Some(curve), ..self }
    }

    /// The reading of one picture alone.
    ///
    /// # Panics
    /// When there are not so many pictures.
    pub fn of_picture(&self, index: usize) -> Self {
        let curve = self.curve.as_ref().map(|curve| Curve { y: vec![curve.y[index].clone()], ..curve.clone() });
        Self { values: vec![self.values[index]], curve, ..self.clone() }
    }
}

/// Which values of a metric speak for an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The higher the better.
    Higher,
    /// The lower the better.
    Lower,
}

/// One curve per picture over common abscissas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What the abscissa is, with its unit.
    pub x_label: String,
    /// What the ordinate is.
    pub y_label: String,
    /// Where the curves were measured.
    pub x: Vec<f64>,
    /// Names of the abscissas where they are no numbers (layers); else empty.
    pub ticks: Vec<String>,
    /// One ordinate per picture and abscissa; `None` where it is not defined.
    pub y: Vec<Vec<Option<f64>>>,
}
