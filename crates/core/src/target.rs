//! What is to be explained, checked in this one place.

use std::{fmt, sync::Arc};

use burn::tensor::{Tensor, TensorData};

use crate::{Error, Result, read};

/// One score per picture, as a function of the model's logits or of a hidden unit.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Target {
    /// The logit of the class with the highest logit, chosen for each picture.
    #[default]
    Top,
    /// The logit of one class, for every picture.
    Class(usize),
    /// The logit of one class per picture; as many as there are pictures.
    Classes(Vec<usize>),
    /// Why `class` rather than `against`: the difference of the two logits.
    Contrast {
        /// The class that is explained.
        class: usize,
        /// The class it is compared with.
        against: usize,
    },
    /// Σ weight × logit, one weight per class.
    Weighted(Vec<f32>),
    /// One hidden unit, by layer name and index in that layer: `[channel, row, column]` of a map, `[feature]` of a
    /// vector. Only models that know their layers have it.
    Unit {
        /// The layer's name.
        layer: String,
        /// Where in the layer's output, the batch dimension left out.
        index: Vec<usize>,
    },
    /// Any differentiable function of the logits, row by row.
    Function(ScoreFunction),
}

/// A function from logits `[n, classes]` to one score per picture `[n, 1]`, with a name for reports.
#[derive(Clone)]
pub struct ScoreFunction {
    name: String,
    function: Arc<dyn Fn(Tensor<2>) -> Tensor<2> + Send + Sync>,
}

/// The scores that a target names, and their slope at the logits.
#[derive(Debug, Clone)]
pub struct Score {
    /// One score per picture.
    pub values: Vec<f32>,
    /// d score / d logit, `[n, classes]`: what a reverse pass starts from.
    pub cotangent: Tensor<2>,
}

impl Target {
    /// A differentiable function of the logits, e.g. the entropy of their softmax.
    ///
    /// # Shapes
    /// - the function takes `[n, classes]` and returns `[n, 1]`; row i must depend on row i only
    pub fn function(name: &str, function: impl Fn(Tensor<2>) -> Tensor<2> + Send + Sync + 'static) -> Self {
        Self::Function(ScoreFunction { name: name.into(), function: Arc::new(function) })
    }

    /// Fills in what [`Target::Top`] leaves open, so that later passes over changed pictures explain the same class.
    ///
    /// # Errors
    /// [`Error::Target`] when the model has no such target, [`Error::Backend`] when the logits cannot be read.
    pub fn pin(&self, logits: &Tensor<2>) -> Result<Self> {
        let [images, classes] = logits.dims();
        self.check(images, classes)?;
        Ok(match self {
            Self::Top => {
                let top =
                    logits.clone().argmax(1).try_into_data().map_err(|error| Error::Backend(error.to_string()))?;
                Self::Classes(top.iter::<i64>().map(|class| class as usize).collect())
            }
            other => other.clone(),
        })
    }

    /// The target of the pictures at `indices`, for batches that repeat pictures.
    pub fn select(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(indices.into_iter().map(|index| classes[index]).collect()),
            other => other.clone(),
        }
    }

    /// The scores and where a reverse pass starts.
    ///
    /// # Shapes
    /// - logits: `[n, classes]`
    ///
    /// # Errors
    /// [`Error::Target`] for a class that does not exist, a list of the wrong length, a hidden unit (ask the network
    /// for it) or a score that is not a number.
    pub fn score(&self, logits: Tensor<2>) -> Result<Score> {
        let logits = logits.inner();
        let (scores, cotangent) = match self.pin(&logits)? {
            Self::Function(target) => target.score(logits)?,
            linear => {
                let weights = linear.weights(logits.dims());
                let weights = Tensor::from_data(weights, (&logits.device(), logits.dtype()));
                ((logits * weights.clone()).sum_dim(1), weights)
            }
        };
        let values = read(scores)?;
        if let Some(image) = values.iter().position(|score| !score.is_finite()) {
            let cause = "look for NaN in the picture, the weights or the score function";
            return Err(Error::target(self, format!("the score of picture {image} is {}: {cause}", values[image])));
        }
        Ok(Score { values, cotangent })
    }

    /// The weight of every logit, for targets that are pinned and linear.
    fn weights(&self, [images, classes]: [usize; 2]) -> TensorData {
        let mut weights = vec![0.0f32; images * classes];
        for (image, row) in weights.chunks_mut(classes).enumerate() {
            match self {
                Self::Class(class) => row[*class] = 1.0,
                Self::Classes(list) => row[list[image]] = 1.0,
                Self::Contrast { class, against } => {
                    row[*class] = 1.0;
                    row[*against] = -1.0;
                }
                Self::Weighted(list) => row.copy_from_slice(list),
                Self::Top | Self::Unit { .. } | Self::Function(_) => unreachable!("pinned, checked and not a function"),
            }
        }
        TensorData::new(weights, [images, classes])
    }

    fn check(&self, images: usize, classes: usize) -> Result<()> {
        let no_class = |class: usize| {
            let problem = format!("the model has {classes} classes, numbered 0 to {}", classes - 1);
            Error::target(format!("class {class}"), problem)
        };
        match self {
            Self::Class(class) if *class >= classes => Err(no_class(*class)),
            Self::Contrast { class, against } => match [class, against].into_iter().find(|class| **class >= classes) {
                Some(class) => Err(no_class(*class)),
                None if class == against => {
                    Err(Error::target(self, "a class against itself has score 0 everywhere: name two classes"))
                }
                None => Ok(()),
            },
            Self::Classes(list) if list.len() != images => {
                Err(Error::target(self, format!("{} classes for {images} pictures: one per picture", list.len())))
            }
            Self::Classes(list) => {
                list.iter().find(|class| **class >= classes).map_or(Ok(()), |class| Err(no_class(*class)))
            }
            Self::Weighted(list) if list.len() != classes => {
                Err(Error::target(self, format!("{} weights for {classes} classes: one per class", list.len())))
            }
            Self::Unit { .. } => {
                Err(Error::target(self, "this model does not show its hidden layers: use a burnsight-network Network"))
            }
            _ => Ok(()),
        }
    }
}

impl ScoreFunction {
    /// Scores and their gradient by Burn's autodiff, on the logits alone.
    fn score(&self, logits: Tensor<2>) -> Result<(Tensor<2>, Tensor<2>)> {
        let [images, _] = logits.dims();
        let logits = logits.autodiff().require_grad();
        let scores = (self.function)(logits.clone());
        if scores.dims() != [images, 1] {
            let problem = format!("the function returned {:?}, one score per picture is [{images}, 1]", scores.dims());
            return Err(Error::target(format!("function {}", self.name), problem));
        }
        // Burn panics when asked for the gradient of something that no input reaches.
        let gradient = scores.is_tracked().then(|| logits.grad(&scores.clone().sum().backward())).flatten();
        let problem = "the function does not depend on the logits, so nothing can be attributed";
        let gradient = gradient.ok_or_else(|| Error::target(format!("function {}", self.name), problem))?;
        Ok((scores.inner(), gradient))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => write!(f, "top class"),
            Self::Class(class) => write!(f, "class {class}"),
            Self::Classes(classes) => write!(f, "classes {classes:?}"),
            Self::Contrast { class, against } => write!(f, "class {class} against class {against}"),
            Self::Weighted(weights) => write!(f, "weighted logits {weights:?}"),
            Self::Unit { layer, index } => write!(f, "unit {index:?} of {layer}"),
            Self::Function(target) => write!(f, "function {}", target.name),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{Device, activation::softmax};

    use super::*;

    fn logits() -> Tensor<2> {
        Tensor::from_data([[1.0, 4.0, 2.0], [9.0, 0.0, -3.0]], &Device::default())
    }

    fn score(target: Target) -> (Vec<f32>, Vec<f32>) {
        let score = target.score(logits()).unwrap();
        (score.values, read(score.cotangent).unwrap())
    }

    #[test]
    fn linear_targets() {
        assert_eq!(score(Target::Top), (vec![4.0, 9.0], vec![0.0, 1.0, 0.0, 1.0, 0.0, 0.0]));
        assert_eq!(score(Target::Class(2)), (vec![2.0, -3.0], vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0]));
        assert_eq!(score(Target::Classes(vec![0, 1])), (vec![1.0, 0.0], vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0]));
        let contrast = score(Target::Contrast { class: 1, against: 0 });
        assert_eq!(contrast, (vec![3.0, -9.0], vec![-1.0, 1.0, 0.0, -1.0, 1.0, 0.0]));
        assert_eq!(score(Target::Weighted(vec![1.0, 0.5, 0.0])).0, [3.0, 9.0]);
    }

    #[test]
    fn function_has_the_slope_of_its_formula() {
        let (scores, slope) =
            score(Target::function("probability of class 0", |logits| softmax(logits, 1).slice([0..2, 0..1])));
        let p = (1.0f32).exp() / ((1.0f32).exp() + (4.0f32).exp() + (2.0f32).exp());
        assert!((scores[0] - p).abs() < 1e-6 && (slope[0] - p * (1.0 - p)).abs() < 1e-6);
    }

    #[test]
    fn top_is_pinned_once_and_follows_repeats() {
        let pinned = Target::Top.pin(&logits()).unwrap();
        assert_eq!(pinned.to_string(), "classes [1, 0]");
        assert_eq!(pinned.select([1, 1, 0]).to_string(), "classes [0, 0, 1]");
    }

    #[test]
    fn bad_targets_say_what_is_there() {
        let refused = |target: Target| target.score(logits()).unwrap_err().to_string();
        assert_eq!(refused(Target::Class(3)), "target class 3: the model has 3 classes, numbered 0 to 2");
        assert!(refused(Target::Classes(vec![0])).contains("1 classes for 2 pictures"));
        assert!(refused(Target::Classes(vec![0, 7])).contains("class 7"));
        assert!(refused(Target::Contrast { class: 0, against: 5 }).contains("class 5"));
        assert!(refused(Target::Contrast { class: 1, against: 1 }).contains("against itself"));
        assert!(refused(Target::Weighted(vec![1.0])).contains("1 weights for 3 classes"));
        assert!(refused(Target::Unit { layer: "conv".into(), index: vec![0] }).contains("hidden layers"));
        assert!(refused(Target::function("flat", |logits| logits)).contains("[2, 3]"));
        assert!(refused(Target::function("constant", |logits| logits.detach().sum_dim(1))).contains("does not depend"));
        assert!(refused(Target::Weighted(vec![f32::NAN, 0.0, 0.0])).contains("NaN"));
    }
}
