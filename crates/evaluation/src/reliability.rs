//! Which of these numbers can be trusted here?

mod krippendorff;
#[cfg(test)]
mod tests;

use burnsight_core::{Error, Result};
use serde::Serialize;

pub use self::krippendorff::{Level, krippendorff_alpha};
use crate::{Direction, ranks, spearman};

/// What one metric said about several methods on the same pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricScores {
    /// The reading's name.
    pub name: String,
    /// Which values are good.
    pub direction: Direction,
    /// One list per method, one value per picture, `None` where the metric is not defined.
    pub methods: Vec<Vec<Option<f64>>>,
}

/// How far metrics agree with themselves and with each other.
///
/// ```text
/// inter-rater     pictures are raters, each ranks the methods by the metric: Krippendorff's alpha, ordinal
///                 Would another picture put the methods into the same order?
/// inter-method    Spearman over the pictures between the values of two methods, mean over the pairs of methods
///                 Is a picture on which one method does well one on which the others do?
/// consistency     Spearman over the pictures between two metrics, for the same method, mean over the methods;
///                 metrics for which low is good are turned round
///                 Do two metrics, said to measure the same, measure the same?
/// ```
///
/// Tomsett et al. 2020, *Sanity Checks for Saliency Metrics*, <https://arxiv.org/abs/1912.01451>. By these measures
/// they found metrics of faithfulness unreliable and inconsistent. Where no methods tie, alpha of the rankings is the
/// same at the ordinal and the interval level.
///
/// **Where values are missing:** a rank among two methods is not a rank among three, so alpha uses the pictures on
/// which every method has a value, and leaves out methods that have none at all; both numbers are given. Correlations
/// use the pictures that a pair has in common, at least [`Reliability::LEAST_PICTURES`].
///
/// **When it misleads:** reliable is not right: alpha is 1 for a metric that always prefers the same method for a bad
/// reason. A low alpha says that a single picture does not tell which method is better; the mean over many pictures may
/// still, if the methods' intervals are apart. A high inter-method value says that the metric measures the picture as
/// much as the map. With few pictures or two methods all three are rough.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// One per metric, in the order given.
    pub metrics: Vec<MetricReliability>,
    /// Consistency of every metric (row) with every metric (column); `None` where no method has values of both that
    /// vary.
    pub consistency: Vec<Vec<Option<f64>>>,
}

/// How far a metric can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricReliability {
    /// The reading's name.
    pub name: String,
    /// Methods that have values, on which alpha rests.
    pub methods: usize,
    /// Pictures on which all these methods have values, on which alpha rests.
    pub pictures: usize,
    /// Krippendorff's alpha over pictures that rank the methods.
    pub inter_rater: Statistic,
    /// Mean Spearman correlation between methods.
    pub inter_method: Statistic,
    /// Mean of the consistency with the other metrics.
    pub consistency: Statistic,
    /// What follows from alpha.
    pub trust: Trust,
}

/// A number, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Statistic {
    /// -1 to 1.
    pub value: Option<f64>,
    /// Why there is no value; `None` when there is one.
    pub reason: Option<&'static str>,
}

/// What Krippendorff's alpha allows.
///
/// The thresholds are Krippendorff's (2004, *Reliability in Content Analysis*, Human Communication Research 30(3)):
/// rely on α ≥ 0.8, draw tentative conclusions down to 0.667. Two pictures that rank two methods agree in half of all
/// cases, so either needs enough of them that m pictures would hardly rank k methods alike by luck,
/// (1 / k!)^(m − 1) ≤ 0.05: 6 pictures for 2 methods, 3 for 3, 2 for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// α ≥ 0.8.
    Reliable,
    /// 0.667 ≤ α < 0.8.
    Tentative,
    /// α < 0.667.
    Unreliable,
    /// There is no alpha, or a high one for too few pictures and methods.
    Unknown,
}

impl Trust {
    /// From this alpha on conclusions can be relied on.
    pub const RELIABLE: f64 = 0.8;
    /// From this alpha on conclusions may be drawn tentatively.
    pub const TENTATIVE: f64 = 0.667;

    /// The chance of perfect agreement by luck that is too high to trust an agreement.
    pub const LUCK: f64 = 0.05;

    /// What an alpha over so many methods and pictures allows.
    pub fn of(alpha: Option<f64>, methods: usize, pictures: usize) -> Self {
        let orders: f64 = (1..=methods).map(|place| place as f64).product();
        let luck = orders.powf(1.0 - pictures as f64);
        match alpha {
            Some(alpha) if alpha >= Self::TENTATIVE && luck > Self::LUCK => Self::Unknown,
            Some(alpha) if alpha >= Self::RELIABLE => Self::Reliable,
            Some(alpha) if alpha >= Self::TENTATIVE => Self::Tentative,
            Some(_) => Self::Unreliable,
            None => Self::Unknown,
        }
    }

    /// The same in words.
    pub fn verdict(self) -> &'static str {
        match self {
            Self::Reliable => "pictures agree on the order of the methods",
            Self::Tentative => "pictures mostly agree on the order of the methods: tentative conclusions only",
            Self::Unreliable => "pictures disagree on the order of the methods: a single picture decides nothing",
            Self::Unknown => "too few pictures, methods or differences to tell",
        }
    }
}

impl Reliability {
    /// Pictures that a correlation needs: two points always lie on a line.
    pub const LEAST_PICTURES: usize = 3;

    /// Compares metrics that were measured for the same methods, in the same order, on the same pictures.
    ///
    /// # Errors
    /// [`Error::Parameter`] when metrics differ in the number of methods or pictures, or a value is not a finite
    /// number.
    pub fn of(metrics: &[MetricScores]) -> Result<Self> {
        check(metrics)?;
        let consistency: Vec<Vec<Option<f64>>> =
            metrics.iter().map(|a| metrics.iter().map(|b| consistency(a, b)).collect()).collect();
        let of_metric = |(index, metric): (usize, &MetricScores)| {
            let rankings = Rankings::of(metric);
            let inter_rater = rankings.alpha();
            let others = consistency[index].iter().enumerate().filter(|(other, _)| *other != index);
            MetricReliability {
                name: metric.name.clone(),
                methods: rankings.methods,
                pictures: rankings.pictures.len(),
                trust: Trust::of(inter_rater.value, rankings.methods, rankings.pictures.len()),
                inter_rater,
                inter_method: inter_method(metric),
                consistency: match metrics.len() {
                    1 => Statistic::none("there is no other metric"),
                    _ => Statistic::mean(others.filter_map(|(_, value)| *value), "no other metric varies with it"),
                },
            }
        };
        let metrics = metrics.iter().enumerate().map(of_metric).collect();
        Ok(Self { metrics, consistency })
    }
}

impl Statistic {
    fn none(reason: &'static str) -> Self {
        Self { value: None, reason: Some(reason) }
    }

    fn new(value: Option<f64>, otherwise: &'static str) -> Self {
        Self { value, reason: value.is_none().then_some(otherwise) }
    }

    fn mean(values: impl Iterator<Item = f64>, otherwise: &'static str) -> Self {
        Self::new(mean(values), otherwise)
    }
}

/// How the pictures rank the methods by one metric.
struct Rankings {
    methods: usize,
    pictures: Vec<Vec<Option<f64>>>,
}

impl Rankings {
    fn of(metric: &MetricScores) -> Self {
        let methods: Vec<_> = metric.methods.iter().filter(|values| values.iter().any(Option::is_some)).collect();
        let count = methods.first().map_or(0, |values| values.len());
        let complete = |picture: usize| methods.iter().map(|values| values[picture]).collect::<Option<Vec<_>>>();
        let pictures = (0..count).filter_map(complete);
        let pictures = pictures.map(|values| ranks(&values).into_iter().map(Some).collect()).collect();
        Self { methods: methods.len(), pictures }
    }

    fn alpha(&self) -> Statistic {
        if self.methods < 2 {
            return Statistic::none("fewer than two methods have values: there is no order");
        }
        if self.pictures.len() < 2 {
            return Statistic::none("fewer than two pictures have a value for every method: nobody to agree with");
        }
        let alpha = krippendorff_alpha(&self.pictures, Level::Ordinal);
        Statistic::new(alpha, "all methods score the same on every picture")
    }
}

fn inter_method(metric: &MetricScores) -> Statistic {
    let pairs = metric
        .methods
        .iter()
        .enumerate()
        .flat_map(|(index, a)| metric.methods[index + 1..].iter().filter_map(move |b| spearman_in_common(a, b)));
    Statistic::mean(pairs, "no two methods have values that vary over three pictures or more")
}

/// Positive when what is good by one metric is good by the other.
fn consistency(a: &MetricScores, b: &MetricScores) -> Option<f64> {
    let sign = if a.direction == b.direction { 1.0 } else { -1.0 };
    mean(a.methods.iter().zip(&b.methods).filter_map(|(a, b)| spearman_in_common(a, b)).map(|value| sign * value))
}

fn spearman_in_common(a: &[Option<f64>], b: &[Option<f64>]) -> Option<f64> {
    let (a, b): (Vec<f64>, Vec<f64>) = a.iter().zip(b).filter_map(|(a, b)| a.zip(*b)).unzip();
    if a.len() < Reliability::LEAST_PICTURES { None } else { spearman(&a, &b) }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn check(metrics: &[MetricScores]) -> Result<()> {
    let Some(first) = metrics.first() else { return Ok(()) };
    let methods = first.methods.len();
    let pictures = first.methods.first().map_or(0, Vec::len);
    for MetricScores { name, methods: scores, .. } in metrics {
        if scores.len() != methods || scores.iter().any(|values| values.len() != pictures) {
            let requirement = format!("every metric needs {methods} methods with {pictures} pictures each");
            return Err(Error::parameter("scores", name, &requirement));
        }
        if let Some(value) = scores.iter().flatten().flatten().find(|value| !value.is_finite()) {
            let requirement = "a finite number, or none where the metric is not defined";
            return Err(Error::parameter(&format!("scores of {name}"), value, requirement));
        }
    }
    Ok(())
}
