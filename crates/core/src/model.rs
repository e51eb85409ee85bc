//! A model as the methods see it.

use burn::tensor::{Int, Tensor};
use serde_json::Value;

use crate::{Attribution, Error, Provenance, Result, Target};

/// Something that gives every picture a score per class.
pub trait Classifier {
    /// The scores before any softmax: a softmax saturates, and its gradient then vanishes exactly where the model is
    /// surest.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`
    /// - returns: `[n, classes]`
    ///
    /// # Errors
    /// [`Error::Image`] when the pictures do not fit the model, [`Error::Backend`] when it cannot run.
    fn logits(&self, images: Tensor<4>) -> Result<Tensor<2>>;
}

/// A classifier whose scores have a gradient with respect to the pixels.
pub trait Differentiable: Classifier {
    /// The score that `target` names and its gradient.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`
    /// - returns: gradient `[n, c, h, w]`, n scores
    ///
    /// # Errors
    /// As [`Classifier::logits`], and [`Error::Target`] when the model has no such target.
    fn gradient(&self, images: Tensor<4>, target: &Target) -> Result<InputGradient>;
}

/// The gradient of one score per picture.
#[derive(Debug, Clone)]
pub struct InputGradient {
    /// d score / d pixel, `[n, c, h, w]`, in score per unit of the model's input.
    pub gradient: Tensor<4>,
    /// The score of each picture.
    pub scores: Vec<f32>,
    /// The target with the choice [`Target::Top`] leaves open filled in.
    pub target: Target,
}

impl InputGradient {
    /// The attribution of a method whose map is this gradient, or what its rules made of it.
    pub fn into_attribution(self, method: &str) -> Attribution {
        let Self { gradient: map, scores, target } = self;
        let provenance = Provenance::new(method, Value::Object(Default::default()), &map.device());
        Attribution { map, scores, target, completeness: None, standard_error: None, provenance }
    }
}

/// Refuses what no model can take.
///
/// # Errors
/// [`Error::Image`] when one of the sizes is 0.
pub fn check_images(images: &Tensor<4>) -> Result<()> {
    let dims = images.dims();
    if dims.contains(&0) {
        return Err(Error::image(format!("{dims:?}"), "pictures are [n, channels, height, width], each at least 1"));
    }
    Ok(())
}

/// The pictures at `indices`, in that order, with repeats.
///
/// # Shapes
/// - images: `[n, c, h, w]`
/// - returns: `[indices, c, h, w]`
pub fn select_images(images: &Tensor<4>, indices: impl IntoIterator<Item = usize>) -> Tensor<4> {
    let indices: Vec<i64> = indices.into_iter().map(|index| index as i64).collect();
    let indices = Tensor::<1, Int>::from_data(indices.as_slice(), &images.device());
    images.clone().select(0, indices)
}

/// Copies a tensor to the host, row by row.
///
/// # Errors
/// [`Error::Backend`]: on a GPU, earlier failures surface only here.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|error| Error::Backend(error.to_string()))?;
    Ok(data.iter::<f32>().collect())
}
