"""What captum makes of two small networks; `captum.rs` beside this folder compares.

    pip install torch captum safetensors numpy
    python generate.py --weights PATH/vgg11-imagenette.safetensors

Writes here
- `builtin.safetensors` and `random.safetensors`: for each network the pictures, the targets (one class per picture),
  the logits and a map per method, float32;
- `random_weights.safetensors`: a narrow VGG-11 with batch norm, as torchvision would save it.

Everything is computed in float64, so the maps carry no rounding of torch's. The noise of SmoothGrad is burnsight's own:
`noise.safetensors`, one row per sample, of which every picture takes as many numbers as it has. To draw it anew:

    cargo test -p burnsight --test captum -- --ignored write_noise
"""

import argparse
import pathlib
import warnings
from unittest import mock

import captum
import torch
from captum.attr import (
    Deconvolution,
    GuidedBackprop,
    GuidedGradCam,
    InputXGradient,
    LayerAttribution,
    LayerGradCam,
    LayerGradientXActivation,
    NoiseTunnel,
    Saliency,
)
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

warnings.filterwarnings("ignore", module="captum")  # that it sets hooks and asks for gradients
HERE = pathlib.Path(__file__).parent
NOISE = 0.15  # standard deviation as a share of the picture's range


class Vgg(nn.Module):
    """VGG-11 with torchvision's names; every ReLU is a module of its own, which captum's hooks need."""

    def __init__(self, channels, pool, hidden, classes, batch_norm):
        super().__init__()
        layers, before = [], 3
        for count, out in zip([1, 1, 2, 2, 2], channels):
            for _ in range(count):
                layers.append(nn.Conv2d(before, out, 3, padding=1))
                layers += [nn.BatchNorm2d(out)] if batch_norm else []
                layers.append(nn.ReLU())
                before = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        head, before = [], before * pool[0] * pool[1]
        for out in hidden:
            head += [nn.Linear(before, out), nn.ReLU(), nn.Dropout()]
            before = out
        self.classifier = nn.Sequential(*head, nn.Linear(before, classes))

    def forward(self, images):
        return self.classifier(self.avgpool(self.features(images)).flatten(1))


def builtin(weights):
    model = Vgg([32, 64, 128, 256, 256], (1, 1), [], 10, batch_norm=False)
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})
    return model


def random():
    """No weight, running statistic or bias is at its usual start."""
    model = Vgg([4, 8, 16, 16, 16], (3, 2), [12], 7, batch_norm=True)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            nn.init.normal_(module.bias, 0.1, 0.3)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.5)
            nn.init.normal_(module.bias, 0.2, 0.3)
            nn.init.normal_(module.running_mean, 0.0, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            module.num_batches_tracked.fill_(1)
    save_file(model.state_dict(), HERE / "random_weights.safetensors")
    return model


def pictures(count, height, width):
    """Smooth patches with some noise, in the range of normalised pictures."""
    smooth = functional.interpolate(torch.randn(count, 3, 5, 4), (height, width), mode="bicubic")
    return smooth + 0.2 * torch.randn(count, 3, height, width)


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
    for method, map in maps.items():
        assert (map.flatten(1).abs().amax(1) > 0).all(), f"{name}: {method} is zero and would compare nothing"
    tensors = {"images": images, "logits": model(images), **maps}
    tensors = {key: tensor.detach().float().contiguous() for key, tensor in tensors.items()}
    versions = f"captum {captum.__version__}, torch {torch.__version__}"
    save_file({**tensors, "target": target}, HERE / f"{name}.safetensors", {"versions": versions})
    print(name, "logits", [[round(logit, 2) for logit in row] for row in tensors["logits"].tolist()])


arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--weights", required=True, help="the built-in model's weights")
weights = arguments.parse_args().weights
torch.manual_seed(0)
write("builtin", builtin(weights), pictures(2, 40, 56), [9, 2], last="features.19", inner="features.14")
write("random", random(), pictures(2, 75, 37), [4, 1], last="features.27", inner="features.13")
