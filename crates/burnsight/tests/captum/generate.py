"""What captum makes of four small networks; `captum.rs` beside this folder compares.

    pip install torch captum safetensors numpy
    python generate.py --weights PATH/vgg11-imagenette.safetensors

Writes here
- `builtin.safetensors` and `random.safetensors`: for two networks of `../reference/nets.py` the pictures, the targets (one
  class per picture), the logits and a map per method, float32;
- `builtin_additive.safetensors`, `random_additive.safetensors`, `residual_additive.safetensors` and
  `small_additive.safetensors`: for each network the same of the methods that share out a score among the pixels, and the
  baselines;
- `random_weights.safetensors`: a narrow VGG-11 with batch norm, as torchvision would save it.

Everything is computed in float64, so the maps carry no rounding of torch's. Random numbers are burnsight's own: the noise
of SmoothGrad is in `noise.safetensors`, one row per sample, of which every picture takes as many numbers as it has; the
baselines and positions of expected gradients in `draws.safetensors`. To draw them anew:

    cargo test -p burnsight --test captum -- --ignored write
"""

import argparse
import copy
import pathlib
import sys
import warnings
from unittest import mock

import captum
import torch
from captum.attr import (
    LRP,
    DeepLift,
    DeepLiftShap,
    Deconvolution,
    GradientShap,
    GuidedBackprop,
    GuidedGradCam,
    InputXGradient,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    LayerGradientXActivation,
    NoiseTunnel,
    Saliency,
)
from captum.attr._utils.custom_modules import Addition_Module
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule
from safetensors.torch import load_file, save_file
from torch import nn

warnings.filterwarnings("ignore", module="captum")  # that it sets hooks and asks for gradients
HERE = pathlib.Path(__file__).parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "reference"))
import nets  # noqa: E402

NOISE = 0.15  # standard deviation as a share of the picture's range
STABILIZER = 1e-6  # of LRP


def smoothgrad(model, images, target, kind):
    """Captum's NoiseTunnel over the gradient; it draws its noise with `torch.normal`, which hands out ours instead."""
    rows = load_file(HERE / "noise.safetensors")["noise"].double()
    noise = rows[:, : images[0].numel()].reshape(-1, *images.shape[1:])
    maps = []
    for image, label in zip(images.split(1), target):  # one at a time: NoiseTunnel knows one deviation for all
        deviation = NOISE * (image.max() - image.min()).item()
        with mock.patch("torch.normal", lambda mean, deviations: mean + deviations * noise):
            tunnel = NoiseTunnel(Saliency(model))
            maps.append(
                tunnel.attribute(image, kind, len(noise), stdevs=deviation, target=int(label), abs=False)
            )
    return torch.cat(maps)


def write(name, model, images, target, last, inner):
    """`last` is the last convolution's ReLU, `inner` another layer, to be explained too."""
    model, images, target = model.eval().double(), images.double(), torch.tensor(target)
    size = images.shape[2:]

    def grad_cam(layer):
        cam = LayerGradCam(model, model.get_submodule(layer)).attribute(images, target, relu_attributions=True)
        return LayerAttribution.interpolate(cam, size, "bilinear")

    inner_gradient = LayerGradientXActivation(model, model.get_submodule(inner), multiply_by_inputs=False)
    guided_grad_cam = GuidedGradCam(model, model.get_submodule(last))
    maps = {
        "vanilla-gradient": Saliency(model).attribute(images, target, abs=False),
        "input-x-gradient": InputXGradient(model).attribute(images, target),
        "deconvnet": Deconvolution(model).attribute(images, target),
        "guided-backprop": GuidedBackprop(model).attribute(images, target),
        "grad-cam": grad_cam(last),
        f"grad-cam of {inner}": grad_cam(inner),
        "guided-grad-cam": guided_grad_cam.attribute(images, target, interpolate_mode="bilinear"),
        f"gradient of {inner}": inner_gradient.attribute(images, target),
        "smoothgrad": smoothgrad(model, images, target, "smoothgrad"),
        "smoothgrad-squared": smoothgrad(model, images, target, "smoothgrad_sq"),
        "vargrad": smoothgrad(model, images, target, "vargrad"),
    }
    nets.check_maps(name, maps)
    tensors = {"images": images, "logits": model(images), **maps}
    tensors = {key: tensor.detach().float().contiguous() for key, tensor in tensors.items()}
    versions = f"captum {captum.__version__}, torch {torch.__version__}"
    save_file({**tensors, "target": target}, HERE / f"{name}.safetensors", {"versions": versions})
    print(name, "logits", [[round(logit, 2) for logit in row] for row in tensors["logits"].tolist()])


def expected_gradients(model, images, baselines, target):
    """Captum's GradientShap; it draws a baseline and a position for every sample, and is handed ours."""
    draws = load_file(HERE / "draws.safetensors")
    samples = len(draws["position"])
    choice = mock.patch("numpy.random.choice", lambda count, size: draws["baseline"].numpy())
    uniform = mock.patch("numpy.random.uniform", lambda low, high, size: draws["position"].double().numpy())
    maps = []
    for image, label in zip(images.split(1), target):  # one at a time, so that every picture gets the same draws
        with choice, uniform:
            maps.append(GradientShap(model).attribute(image, baselines, samples, target=int(label)))
    return torch.cat(maps)


class Copy(nn.Module):
    def forward(self, x):
        return x.clone()


def with_copies(model):
    """A copy before every max pool. Captum's DeepLIFT hooks tensors: one that a ReLU hands straight to a max pool has two
    hooks, of which the ReLU's comes first, so what the max pool's rule says is lost and the map does not add up.
    """
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.MaxPool2d):
                setattr(parent, name, nn.Sequential(Copy(), layer))
    return model


def lrp(model, images, target, rule, first=None, signed=()):
    """Rule `rule()` for every layer with weights, except the first and those that read values of both `signed`, which get
    `first()`. The rules of captum that change weights do not tell positive from negative inputs.
    """
    model = copy.deepcopy(model)
    weighted = [name for name, layer in model.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    special = {weighted[0], *signed} if first else set()
    for name in weighted:
        model.get_submodule(name).rule = (first if name in special else rule)()
    for layer in model.modules():
        if isinstance(layer, (nn.AvgPool2d, nn.AdaptiveAvgPool2d, Addition_Module)):
            layer.rule = EpsilonRule()
        if hasattr(layer, "rule"):
            layer.rule.STABILITY_FACTOR = max(layer.rule.STABILITY_FACTOR, STABILIZER)
    return LRP(model).attribute(images, target)


def write_additive(name, model, images, target, signed=()):
    """`signed`: the layers behind the first that read values of both signs. Batch norms must be folded for LRP.

    Left out because the definitions differ: captum's trapezoid, whose weights do not add up to 1; its LRP-gamma and
    alpha-beta with biases, which it neither scales nor splits, and where a skip connection hands relevance to outputs below
    0, for which it has no gamma of its own.
    """
    model, images, target = model.eval().double(), images.float().double(), torch.tensor(target)
    baselines = (0.5 * nets.pictures(3, *images.shape[2:])).float().double()
    one = baselines[:1]

    def integrated_gradients(baseline, method="gausslegendre", steps=50):
        return IntegratedGradients(model).attribute(images, baseline, target, n_steps=steps, method=method)

    def deeplift(explain, baselines):
        method = explain(with_copies(model))
        each = zip(images.split(1), target.tolist())
        return torch.cat([method.attribute(image, baselines, target=label) for image, label in each])

    def without_biases(rule):
        return lrp(model, images, target, rule, lambda: GammaRule(0.0, set_bias_to_zero=True), signed)

    maps = {
        "integrated-gradients": integrated_gradients(0),
        "integrated-gradients from a picture": integrated_gradients(one),
        "integrated-gradients from pictures": sum(map(integrated_gradients, baselines.split(1))) / len(baselines),
        "integrated-gradients middle": integrated_gradients(one, "riemann_middle", 20),
        "integrated-gradients left": integrated_gradients(one, "riemann_left", 20),
        "integrated-gradients right": integrated_gradients(one, "riemann_right", 20),
        "expected-gradients": expected_gradients(model, images, baselines, target),
        "deeplift": deeplift(DeepLift, 0),
        "deeplift from a picture": deeplift(DeepLift, one),
        "deeplift from pictures": deeplift(DeepLiftShap, baselines),
        "lrp epsilon": lrp(model, images, target, lambda: EpsilonRule(STABILIZER)),
        "lrp epsilon large": lrp(model, images, target, lambda: EpsilonRule(0.25)),
        "lrp z-plus": without_biases(lambda: Alpha1_Beta0_Rule(set_bias_to_zero=True)),
    }
    if not signed:
        maps["lrp gamma"] = without_biases(lambda: GammaRule(0.25, set_bias_to_zero=True))
    nets.check_maps(name, maps)
    tensors = {"images": images, "logits": model(images), "baselines": baselines, **maps}
    tensors = {key: tensor.detach().float().contiguous() for key, tensor in tensors.items()}
    versions = f"captum {captum.__version__}, torch {torch.__version__}"
    save_file({**tensors, "target": target}, HERE / f"{name}_additive.safetensors", {"versions": versions})
    print(name, "logits", [[round(logit, 2) for logit in row] for row in tensors["logits"].tolist()])


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--weights", required=True, help="the built-in model's weights")
    weights = arguments.parse_args().weights
    torch.manual_seed(0)
    write("builtin", nets.builtin(weights), nets.pictures(2, 40, 56), [9, 2], last="features.19", inner="features.14")
    random = nets.draw(nets.random_vgg())
    save_file(random.state_dict(), nets.RANDOM_WEIGHTS)
    write("random", random, nets.pictures(2, 75, 37), [4, 1], last="features.27", inner="features.13")

    # With 3, a max pool of the built-in model is so near a tie that torch itself is 3e-3 off in float32.
    torch.manual_seed(4)
    write_additive("builtin", nets.builtin(weights), nets.pictures(1, 32, 32), [9])
    random = nets.fold_batch_norms(nets.load(nets.random_vgg(), nets.RANDOM_WEIGHTS))
    write_additive("random", random, nets.pictures(1, 35, 33), [2])
    residual = nets.residual(Addition_Module)
    write_additive("residual", residual, nets.pictures(1, 16, 22), [3], signed=["logits"])
    write_additive("small", nets.small(), nets.pictures(2, 12, 14), [2, 3])
