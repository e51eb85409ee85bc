//! ReLU as a model calls it, and explanations that change its backward.

use std::{cell::Cell, rc::Rc};

use burn::{
    backend::Dispatch,
    tensor::{Tensor, activation},
};
use burnsight_core::{AutodiffModel, Error, InputGradient, Result, Target, hooks};

use crate::{
    ReluRule,
    operation::{ReluWithRule, runs_on},
};

/// The rule of one explanation, and how many ReLUs followed it.
#[derive(Debug)]
struct RuleHooks {
    rule: ReluRule,
    followed: Cell<usize>,
}

/// max(x, 0), in place of [`burn::tensor::activation::relu`] and [`burn::nn::Relu`].
///
/// It is that very function, in training too, except while a method with a rule for ReLUs explains the model: then its
/// backward follows the rule. The rule is in force on the thread that explains, for the one forward pass of that explanation.
///
/// # Shapes
/// - any, and returns the same
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match hooks::<RuleHooks>() {
        Some(hooks) if x.is_tracked() => {
            hooks.followed.set(hooks.followed.get() + 1);
            Tensor::from_dispatch(Dispatch::relu_with_rule(x.into_dispatch(), hooks.rule))
        }
        _ => activation::relu(x),
    }
}

/// The gradient of the target's score with another rule at every [`relu`] of the model; for methods, with their name.
///
/// # Shapes
/// - images: `[n, c, h, w]`
/// - returns: a map `[n, c, h, w]`, n scores
///
/// # Errors
/// Those of the model and the target. [`Error::Unsupported`] when no [`relu`] lies between pictures and logits, or when
/// this crate was built without the backend's feature.
pub fn explain_with_rule<F: Fn(Tensor<4>) -> Tensor<2>>(
    model: &AutodiffModel<F>,
    images: Tensor<4>,
    target: &Target,
    rule: ReluRule,
    method: &str,
) -> Result<InputGradient> {
    let device = images.device();
    if !runs_on(&device) {
        let problem = format!(
            "its rule for ReLUs was not compiled for {device:?}: enable burnsight's feature of that backend's name, \
             not only Burn's"
        );
        return Err(Error::unsupported(method, problem));
    }
    let hooks = Rc::new(RuleHooks { rule, followed: Cell::new(0) });
    let images = images.inner().autodiff().require_grad();
    let answer = model.gradient_with(images.clone(), target, Some(hooks.clone()), || Ok(images))?;
    if hooks.followed.get() == 0 {
        let problem = "no ReLU that can follow its rule lies between pictures and logits: call `burnsight::module::relu` \
                       in the model's forward wherever it calls `burn::tensor::activation::relu` or `burn::nn::Relu`. \
                       vanilla-gradient explains it as it is";
        return Err(Error::unsupported(method, problem));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;
    use burnsight_core::{Differentiable, read};

    use super::*;

    /// Twelve numbers through a ReLU in the shape given, weighted.
    fn model<const D: usize>(shape: [usize; D]) -> AutodiffModel<impl Fn(Tensor<4>) -> Tensor<2>> {
        AutodiffModel::from_closure(move |images: Tensor<4>| {
            let weights = Tensor::<2>::from_data([WEIGHTS], &images.device());
            (relu(images.reshape(shape)).reshape([1, 4]) * weights).sum_dim(1)
        })
    }

    const WEIGHTS: [f32; 4] = [2.0, 3.0, -4.0, -5.0];

    fn picture() -> Tensor<4> {
        Tensor::from_data([[[[1.0, -1.0], [6.0, 0.0]]]], &Device::default())
    }

    fn explain<const D: usize>(shape: [usize; D], rule: ReluRule) -> (Vec<f32>, Vec<f32>) {
        let answer = explain_with_rule(&model(shape), picture(), &Target::Class(0), rule, "test").unwrap();
        (read(answer.gradient).unwrap(), answer.scores)
    }

    /// Units 0 and 2 are active, weights 0 and 1 are positive; the unit at exactly 0 is off, as everywhere in Burn.
    #[test]
    fn rules_in_every_rank() {
        let score = vec![2.0 - 24.0];
        for (rule, map) in [(ReluRule::DeconvNet, [2.0, 3.0, 0.0, 0.0]), (ReluRule::Guided, [2.0, 0.0, 0.0, 0.0])] {
            let expected = (map.to_vec(), score.clone());
            assert_eq!(explain([4], rule), expected);
            assert_eq!(explain([2, 2], rule), expected);
            assert_eq!(explain([1, 1, 2, 2], rule), expected);
            assert_eq!(explain([1, 2, 1, 2, 1], rule), expected);
        }
        let gradient = model([4]).gradient(picture(), &Target::Class(0)).unwrap();
        assert_eq!((read(gradient.gradient).unwrap(), gradient.scores), (vec![2.0, 0.0, -4.0, 0.0], score));
    }

    /// Two threads explain a hundred times each, one by each rule, while a third takes gradients.
    #[test]
    fn threads_have_rules_of_their_own() {
        std::thread::scope(|scope| {
            let repeat = |rule, map: [f32; 4]| move || (0..100).all(|_| explain([2, 2], rule).0 == map);
            let deconvnet = scope.spawn(repeat(ReluRule::DeconvNet, [2.0, 3.0, 0.0, 0.0]));
            let guided = scope.spawn(repeat(ReluRule::Guided, [2.0, 0.0, 0.0, 0.0]));
            let gradient = scope.spawn(|| {
                let map = || read(model([4]).gradient(picture(), &Target::Top).unwrap().gradient).unwrap();
                (0..100).all(|_| map() == [2.0, 0.0, -4.0, 0.0])
            });
            assert!(deconvnet.join().unwrap() && guided.join().unwrap() && gradient.join().unwrap());
        });
    }

    /// A model that takes a gradient and a DeconvNet map of another model on its way.
    #[test]
    fn explanations_inside_explanations() {
        let outer = AutodiffModel::from_closure(|images: Tensor<4>| {
            let before = model([4]).gradient(picture(), &Target::Top).unwrap().gradient;
            assert_eq!(read(before).unwrap(), [2.0, 0.0, -4.0, 0.0]);
            assert_eq!(explain([4], ReluRule::DeconvNet).0, [2.0, 3.0, 0.0, 0.0]);
            let weights = Tensor::<2>::from_data([WEIGHTS], &images.device());
            (relu(images).reshape([1, 4]) * weights).sum_dim(1)
        });
        let answer = explain_with_rule(&outer, picture(), &Target::Top, ReluRule::Guided, "test").unwrap();
        assert_eq!(read(answer.gradient).unwrap(), [2.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn models_that_do_not_call_it_are_refused() {
        let plain = AutodiffModel::from_closure(|images: Tensor<4>| activation::relu(images).flatten(1, 3));
        // Called, but not on the way.
        let beside = AutodiffModel::from_closure(|images: Tensor<4>| {
            let mean = relu(images.clone().inner()).mean().into_data().iter::<f32>().sum::<f32>();
            images.flatten(1, 3) * mean
        });
        let refused = |error: Error| {
            let text = error.to_string();
            assert!(matches!(error, Error::Unsupported { .. }) && text.contains("`burnsight::module::relu`"), "{text}");
            assert!(text.starts_with("test cannot explain this model"), "{text}");
        };
        refused(explain_with_rule(&plain, picture(), &Target::Top, ReluRule::Guided, "test").unwrap_err());
        refused(explain_with_rule(&beside, picture(), &Target::Top, ReluRule::DeconvNet, "test").unwrap_err());
    }

    #[test]
    fn exactly_burns_relu_outside_explanations() {
        let x = || Tensor::<2>::from_data([[f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40]], &Device::default());
        assert_eq!(relu(x()).into_data(), activation::relu(x()).into_data());
        let slope = |relu: fn(Tensor<2>) -> Tensor<2>| {
            let x = x().autodiff().require_grad();
            x.grad(&relu(x.clone()).sum().backward()).unwrap().into_data()
        };
        assert_eq!(slope(relu), slope(activation::relu));
    }
}
