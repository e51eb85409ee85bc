//! Tensors that a model shows by name, for methods that look at a hidden layer.

use std::{cell::RefCell, rc::Rc};

use burn::tensor::Tensor;
use burnsight_core::{AutodiffModel, Error, InputGradient, Result, Target, hooks};

/// Which tensor one explanation asks for, and what it met.
#[derive(Debug, Default)]
struct WatchHooks {
    wanted: Option<String>,
    met: RefCell<Vec<String>>,
    found: RefCell<Option<Tensor<4>>>,
}

/// Shows a tensor under a name to methods that look at a hidden layer, and returns it.
///
/// Outside such an explanation it does nothing. A name that is met again in the same forward pass, because a block is
/// called several times, gets a number: `block`, `block#2`, `block#3` …
///
/// # Shapes
/// - x: a map `[n, channels, height, width]`
pub fn watch(name: &str, x: Tensor<4>) -> Tensor<4> {
    match hooks::<WatchHooks>() {
        Some(hooks) => hooks.meet(name, x),
        None => x,
    }
}

/// A tensor that the model showed by [`watch`].
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name, with the number of names that were met again.
    pub name: String,
    /// Its value, `[n, channels, height, width]`.
    pub activation: Tensor<4>,
    /// d score / d activation in the same shape, the score of each picture, and the target.
    pub gradient: InputGradient,
}

/// The tensor that the model watches under `name`, with the gradient of the target's score there; for methods, with
/// their name.
///
/// # Shapes
/// - images: `[n, c, h, w]`
///
/// # Errors
/// Those of the model and the target. [`Error::Parameter`] when the model watches nothing under that name or no name
/// was given: it lists the names. [`Error::Unsupported`] when the model watches nothing at all, or a tensor that is not
/// one map per picture.
pub fn explain_watched<F: Fn(Tensor<4>) -> Tensor<2>>(
    model: &AutodiffModel<F>,
    images: Tensor<4>,
    target: &Target,
    name: Option<&str>,
    method: &str,
) -> Result<Watched> {
    let [count, ..] = images.dims();
    let hooks = Rc::new(WatchHooks { wanted: name.map(Into::into), ..Default::default() });
    // The pictures are not tracked: recording starts at the watched tensor.
    let gradient = model.gradient_with(images.inner(), target, Some(hooks.clone()), || hooks.leaf(method))?;
    let (name, leaf) = (hooks.wanted.clone().unwrap_or_default(), hooks.leaf(method)?);
    let activation = leaf.inner();
    if activation.dims()[0] != count {
        let problem = format!(
            "`watch(\"{name}\", …)` saw {:?} for {count} pictures: watch a tensor [{count}, channels, height, width]",
            activation.dims()
        );
        return Err(Error::unsupported(method, problem));
    }
    Ok(Watched { name, activation, gradient })
}

impl WatchHooks {
    fn meet(&self, name: &str, x: Tensor<4>) -> Tensor<4> {
        let mut met = self.met.borrow_mut();
        let unused = |candidate: &String| !met.contains(candidate);
        let numbered = (2..).map(|number| format!("{name}#{number}"));
        let Some(name) = std::iter::once(name.to_string()).chain(numbered).find(unused) else { return x };
        let wanted = self.wanted.as_ref() == Some(&name);
        met.push(name);
        if !wanted {
            return x;
        }
        let leaf = x.inner().autodiff().require_grad();
        self.found.replace(Some(leaf.clone()));
        leaf
    }

    fn leaf(&self, method: &str) -> Result<Tensor<4>> {
        self.found.borrow().clone().ok_or_else(|| {
            let met = self.met.borrow();
            if met.is_empty() {
                let problem = "it shows no hidden layer: let its forward pass a map through \
                               `burnsight::module::watch(name, map)`, best the output of the last convolution's ReLU";
                return Error::unsupported(method, problem);
            }
            let requirement = format!("the model watches {}", met.join(", "));
            Error::parameter("layer", self.wanted.as_deref().unwrap_or("not given"), &requirement)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{Device, activation::relu};
    use burnsight_core::{Classifier, read};

    use super::*;

    /// x → "in" → 2x → "twice" → x² → "square" → "square" again → sums of both channels.
    fn model() -> AutodiffModel<impl Fn(Tensor<4>) -> Tensor<2>> {
        AutodiffModel::from_closure(|images: Tensor<4>| {
            let x = watch("twice", watch("in", images) * 2.0);
            let x = watch("square", watch("square", x.square()) + 1.0);
            watch("unused", x.clone());
            x.sum_dim(3).sum_dim(2).flatten(1, 3)
        })
    }

    fn pictures() -> Tensor<4> {
        Tensor::from_data([[[[1.0, -1.0]], [[3.0, 0.0]]], [[[2.0, 2.0]], [[0.0, 4.0]]]], &Device::default())
    }

    fn at(name: &str) -> Result<Watched> {
        explain_watched(&model(), pictures(), &Target::Classes(vec![0, 1]), Some(name), "test")
    }

    #[test]
    fn value_and_gradient_by_hand() {
        let check = |name: &str, activation: [f32; 8], gradient: [f32; 8]| {
            let watched = at(name).unwrap();
            assert_eq!(watched.name, name);
            assert_eq!(read(watched.activation).unwrap(), activation, "{name}");
            assert_eq!(read(watched.gradient.gradient).unwrap(), gradient, "{name}");
            assert_eq!(watched.gradient.scores, [4.0 + 4.0 + 2.0, 64.0 + 2.0]);
        };
        // 4x² + 1 per pixel: 8x at the input, 4x behind the factor 2, where the value is 2x; 1 behind the square.
        check("in", [1.0, -1.0, 3.0, 0.0, 2.0, 2.0, 0.0, 4.0], [8.0, -8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 32.0]);
        check("twice", [2.0, -2.0, 6.0, 0.0, 4.0, 4.0, 0.0, 8.0], [4.0, -4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 16.0]);
        let ones = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
        check("square", [4.0, 4.0, 36.0, 0.0, 16.0, 16.0, 0.0, 64.0], ones);
        check("square#2", [5.0, 5.0, 37.0, 1.0, 17.0, 17.0, 1.0, 65.0], ones);
    }

    #[test]
    fn names_are_listed() {
        let refused = |name: Option<&str>| {
            let error = explain_watched(&model(), pictures(), &Target::Top, name, "test").unwrap_err();
            assert!(matches!(error, Error::Parameter { .. }), "{error}");
            error.to_string()
        };
        let list = "the model watches in, twice, square, square#2, unused";
        assert_eq!(refused(Some("square#3")), format!("`layer` is square#3: {list}"));
        assert_eq!(refused(None), format!("`layer` is not given: {list}"));
        // A number that was given by hand is not given again.
        let taken =
            AutodiffModel::from_closure(|images: Tensor<4>| watch("a", watch("a", watch("a#2", images))).flatten(1, 3));
        let error = explain_watched(&taken, pictures(), &Target::Top, None, "test").unwrap_err().to_string();
        assert!(error.ends_with("the model watches a#2, a, a#3"), "{error}");
    }

    #[test]
    fn nothing_to_look_at_is_refused() {
        let text = |model: AutodiffModel<fn(Tensor<4>) -> Tensor<2>>, name: &str| {
            explain_watched(&model, pictures(), &Target::Top, Some(name), "test").unwrap_err().to_string()
        };
        let silent = text(AutodiffModel::from_closure(|images| images.flatten(1, 3)), "map");
        assert!(silent.contains("`burnsight::module::watch(name, map)`"), "{silent}");
        let unused = at("unused").unwrap_err().to_string();
        assert!(unused.contains("do not depend on") && unused.contains("watched"), "{unused}");
        let folded = AutodiffModel::from_closure(|images: Tensor<4>| {
            relu(watch("folded", images.reshape([1, 4, 1, 2]))).reshape([2, 4])
        });
        let folded = explain_watched(&folded, pictures(), &Target::Top, Some("folded"), "test").unwrap_err();
        assert!(matches!(folded, Error::Unsupported { .. }) && folded.to_string().contains("[1, 4, 1, 2]"), "{folded}");
    }

    #[test]
    fn does_nothing_outside() {
        let logits = model().logits(pictures()).unwrap();
        assert_eq!(read(logits).unwrap(), [10.0, 38.0, 34.0, 66.0]);
    }
}
