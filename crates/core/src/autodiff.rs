//! Any Burn model as a `Differentiable`.

use std::{any::Any, rc::Rc};

use burn::{module::Module, tensor::Tensor};

use crate::{Classifier, Differentiable, Error, InputGradient, Result, Target, check_images, hooks::with_hooks};

/// A user's own Burn model, differentiated by Burn's autodiff.
///
/// Every gradient, sampling and perturbation method works on it as it is. DeconvNet, guided backpropagation, Grad-CAM
/// and guided Grad-CAM work if the model calls the functions of `burnsight-module`. Methods with rules for other layers
/// need to see the layers: describe the model as a `burnsight-network` `Network` for those.
#[derive(Debug, Clone)]
pub struct AutodiffModel<F> {
    forward: F,
}

impl<F: Fn(Tensor<4>) -> Tensor<2>> AutodiffModel<F> {
    /// Takes any function from pictures `[n, c, h, w]` to logits `[n, classes]`.
    ///
    /// A Burn module inside the closure must be in evaluation mode: **call `module.valid()` first**, or use
    /// [`from_module`](AutodiffModel::from_module) which does. Otherwise batch norm and dropout switch to training mode
    /// as soon as the *input* is tracked, and the map explains another network than the one that classified.
    pub fn from_closure(forward: F) -> Self {
        Self { forward }
    }

    /// The target's score and its gradient with respect to a tensor of the forward pass, for methods that need more
    /// than [`Differentiable::gradient`].
    ///
    /// During the forward pass `hooks` are in reach of what the model calls, by [`hooks`](crate::hooks). After it,
    /// `tensor` says which tensor to differentiate with respect to: a tracked leaf, either `images` themselves or one that
    /// the hooks put in.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`, tracked or not
    /// - returns: as [`Differentiable::gradient`], but the gradient is shaped as the tensor
    ///
    /// # Errors
    /// As [`Differentiable::gradient`], and those of `tensor`.
    pub fn gradient_with(
        &self,
        images: Tensor<4>,
        target: &Target,
        hooks: Option<Rc<dyn Any>>,
        tensor: impl FnOnce() -> Result<Tensor<4>>,
    ) -> Result<InputGradient> {
        let logits = self.run(images, hooks)?;
        let tensor = tensor();
        if !logits.is_tracked() {
            tensor?;
            return Err(Error::model("closure", NOT_FOLLOWED));
        }
        // The backward must run even when something is refused, or the recorded forward would leak.
        let pinned = target.pin(&logits.clone().inner());
        let score = pinned.and_then(|pinned| Ok((pinned.score(logits.clone().inner())?, pinned)));
        let cotangent = match &score {
            Ok((score, _)) => score.cotangent.clone(),
            Err(_) => logits.clone().inner().zeros_like(),
        };
        let gradients = (logits * cotangent.autodiff()).sum().backward();
        let (tensor, (score, target)) = (tensor?, score?);
        let gradient = tensor.grad(&gradients).ok_or_else(|| Error::model("closure", NOT_FOLLOWED))?;
        Ok(InputGradient { gradient, scores: score.values, target })
    }

    fn run(&self, images: Tensor<4>, hooks: Option<Rc<dyn Any>>) -> Result<Tensor<2>> {
        check_images(&images)?;
        let [count, ..] = images.dims();
        let logits = with_hooks(hooks, || (self.forward)(images));
        let [rows, classes] = logits.dims();
        if rows != count || classes == 0 {
            if logits.is_tracked() {
                logits.sum().backward(); // frees what was recorded
            }
            let problem = format!("[{rows}, {classes}] came back for {count} pictures: expected [{count}, classes]");
            return Err(Error::model("closure", problem));
        }
        Ok(logits)
    }
}

const NOT_FOLLOWED: &str =
    "its logits do not depend on the pictures, or the watched tensor, by operations that autodiff can follow";

impl AutodiffModel<()> {
    /// Takes a Burn module and the name of its forward function, and puts the module into evaluation mode.
    ///
    /// `AutodiffModel::from_module(net, |net, images| net.forward(images))`
    pub fn from_module<M: Module>(
        module: M,
        forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
    ) -> AutodiffModel<impl Fn(Tensor<4>) -> Tensor<2>> {
        let module = module.valid();
        AutodiffModel::from_closure(move |images| forward(&module, images))
    }
}

impl<F: Fn(Tensor<4>) -> Tensor<2>> Classifier for AutodiffModel<F> {
    fn logits(&self, images: Tensor<4>) -> Result<Tensor<2>> {
        // Not tracked: a recorded forward that no backward follows is never freed by Burn.
        Ok(self.run(images.inner(), None)?.inner())
    }
}

impl<F: Fn(Tensor<4>) -> Tensor<2>> Differentiable for AutodiffModel<F> {
    fn gradient(&self, images: Tensor<4>, target: &Target) -> Result<InputGradient> {
        let images = images.inner().autodiff().require_grad();
        self.gradient_with(images.clone(), target, None, || Ok(images))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::{
        nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig},
        tensor::Device,
    };

    use super::*;
    use crate::read;

    #[derive(Module, Debug)]
    struct Normalised {
        norm: BatchNorm,
        dropout: Dropout,
    }

    impl Normalised {
        fn new(device: &Device) -> Self {
            Self { norm: BatchNormConfig::new(1).init(device), dropout: DropoutConfig::new(0.5).init() }
        }

        fn forward(&self, images: Tensor<4>) -> Tensor<2> {
            self.dropout.forward(self.norm.forward(images)).flatten(1, 3)
        }
    }

    /// A fresh batch norm has running mean 0 and variance 1, so in evaluation mode the gradient is 1/√(1 + ε) at the
    /// explained place and 0 elsewhere. In training mode it would be a mixture, and dropout would zero half of it.
    #[test]
    fn modules_are_explained_in_evaluation_mode() {
        let device = Device::default();
        let model = AutodiffModel::from_module(Normalised::new(&device), Normalised::forward);
        let images = Tensor::from_data([[[[5.0, 7.0, 3.0, 6.0]]]], &device);
        let answer = model.gradient(images.clone(), &Target::Class(1)).unwrap();
        let slope = 1.0 / (1.0f32 + 1e-5).sqrt();
        let gradient = read(answer.gradient).unwrap();
        assert!((gradient[1] - slope).abs() < 1e-6 && gradient[0] == 0.0 && gradient[2] == 0.0, "{gradient:?}");
        assert!((answer.scores[0] - 7.0 * slope).abs() < 1e-5);
        assert_eq!(read(model.logits(images).unwrap()).unwrap()[1], answer.scores[0]);
    }

    #[test]
    fn refused_not_panicked() {
        let device = Device::default();
        let picture = || Tensor::<4>::ones([1, 1, 1, 2], &device);
        let flat = AutodiffModel::from_closure(|images: Tensor<4>| images.flatten(1, 3));
        assert!(flat.gradient(picture(), &Target::Class(2)).unwrap_err().to_string().contains("class 2"));
        assert!(flat.logits(Tensor::empty([1, 0, 2, 2], &device)).is_err());
        let summed = AutodiffModel::from_closure(|images: Tensor<4>| images.flatten::<2>(0, 2).repeat_dim(0, 3));
        assert!(summed.logits(picture()).is_err());
        let constant = AutodiffModel::from_closure(|images: Tensor<4>| images.detach().flatten(1, 3));
        assert!(constant.gradient(picture(), &Target::Top).unwrap_err().to_string().contains("do not depend"));
    }
}
