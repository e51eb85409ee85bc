"""What zennit makes of four small networks; `zennit.rs` beside this folder compares.

    pip install torch zennit safetensors numpy
    python generate.py --weights PATH/vgg11-imagenette.safetensors

Writes here `builtin.safetensors`, `random.safetensors`, `residual.safetensors` and `small.safetensors`: for each network
of `../reference/nets.py` the pictures, the targets (one class per picture), the logits and a map per rule and composite,
float32. Everything is computed in float64. Relevance starts from the logit of the class.

Zennit lets biases take part in every rule but Flat, unless it is told to take them for 0. Burnsight's z-plus, w-square,
flat and z-box know no biases, so these are asked for without; the other rules are asked for both ways, except of the
built-in model, where epsilon and gamma explode without biases. Deep Taylor and excitation backprop are z-plus with
something else at an end. Pools and sums have zennit's Norm. Batch norms are folded into the convolutions before them by
torch: zennit's canonizer leaves their epsilon behind, which makes what comes out of every one 5e-6 smaller.

There is no map of Norm on its own: on a layer with weights it is Epsilon.
"""

import argparse
import copy
import pathlib
import sys
from importlib.metadata import version

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from zennit import composites, rules
from zennit.composites import (
    LayerMapComposite,
    MixedComposite,
    NameMapComposite,
    SpecialFirstLayerMapComposite,
    layer_map_base,
)
from zennit.layer import Sum
from zennit.types import Convolution, Linear

HERE = pathlib.Path(__file__).parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "reference"))
import nets  # noqa: E402

# What black and white are after the usual normalisation, one number per channel.
LOW = torch.tensor([-2.118, -2.036, -1.804]).double().reshape(1, 3, 1, 1)
HIGH = torch.tensor([2.249, 2.429, 2.640]).double().reshape(1, 3, 1, 1)
NONE = {"zero_params": ["bias"]}
EPSILON = 0.25  # large enough to be seen


class Add(nn.Module):
    """Zennit has a rule for the sum over an axis."""

    def __init__(self):
        super().__init__()
        self.sum = Sum(dim=-1)

    def forward(self, left, right):
        return self.sum(torch.stack([left, right], dim=-1))


def everywhere(rule):
    return LayerMapComposite(layer_map_base() + [(Linear, rule)])


def deep_taylor(rule, signed):
    """That rule in the first layer, w-square in those behind it that read values of both signs, z-plus in the others."""
    others = layer_map_base() + [(Linear, rules.ZPlus(**NONE))]
    by_name = NameMapComposite([(signed, rules.WSquare(**NONE))])
    return MixedComposite([by_name, SpecialFirstLayerMapComposite(others, [(Linear, rule)])])


def with_biases(composite, **settings):
    """Biases in all rules that know them in burnsight: not in z-plus."""
    plus = [(Convolution, rules.ZPlus(**NONE))] if "Plus" in composite.__name__ else []
    return composite(layer_map=plus, **settings)


def all_composites(signed):
    box = {"low": LOW, "high": HIGH}
    weak = rules.Epsilon(0.1)
    made = {
        "epsilon": everywhere(rules.Epsilon()),
        "epsilon large": everywhere(rules.Epsilon(EPSILON)),
        "gamma": everywhere(rules.Gamma(0.25)),
        "alpha-beta 2 1": everywhere(rules.AlphaBeta(2, 1)),
        "epsilon large, no biases": everywhere(rules.Epsilon(EPSILON, **NONE)),
        "gamma, no biases": everywhere(rules.Gamma(0.25, **NONE)),
        "alpha-beta 2 1, no biases": everywhere(rules.AlphaBeta(2, 1, **NONE)),
        "z-plus": everywhere(rules.ZPlus(**NONE)),
        "w-square": everywhere(rules.WSquare(**NONE)),
        "flat": everywhere(rules.Flat()),
        "deep-taylor": deep_taylor(rules.WSquare(**NONE), signed),
        "deep-taylor bounded": deep_taylor(rules.ZBox(LOW, HIGH, **NONE), signed),
        # iNNvestigate's.
        "preset-a": LayerMapComposite(layer_map_base() + [(Convolution, rules.AlphaBeta(1, 0)), (nn.Linear, weak)]),
        "preset-b": LayerMapComposite(layer_map_base() + [(Convolution, rules.AlphaBeta(2, 1)), (nn.Linear, weak)]),
    }
    of_zennit = {
        "epsilon-plus": (composites.EpsilonPlus, {}),
        "epsilon-plus-flat": (composites.EpsilonPlusFlat, {}),
        "epsilon-alpha2-beta1": (composites.EpsilonAlpha2Beta1, {}),
        "epsilon-alpha2-beta1-flat": (composites.EpsilonAlpha2Beta1Flat, {}),
        "epsilon-gamma-box": (composites.EpsilonGammaBox, box),
    }
    for name, (composite, settings) in of_zennit.items():
        made[name] = with_biases(composite, **settings)
        made[f"{name}, no biases"] = composite(**settings, **NONE)
    return made


def one_hot(target, classes):
    return torch.eye(classes, dtype=torch.float64)[target]


def relevance(model, images, target, composite):
    images = images.clone().requires_grad_()
    with composite.context(model) as modified:
        logits = modified(images)
        (map,) = torch.autograd.grad(logits, images, logits.detach() * one_hot(target, logits.shape[1]))
    return map


def excitation(model, images, target, layer=None):
    """Zennit's excitation backprop from a probability of 1 for the class, down to the pixels or to a layer's output."""
    composite = composites.ExcitationBackprop(**NONE)
    images = images.clone().requires_grad_()
    until = [images]
    with composite.context(model) as modified:
        if layer:  # a hook behind zennit's own
            handle = modified.get_submodule(layer).register_forward_hook(lambda *seen: until.append(seen[2]))
        logits = modified(images)
        (arrived,) = torch.autograd.grad(logits, until[-1], one_hot(target, logits.shape[1]))
    if layer:
        handle.remove()
        return functional.interpolate(arrived.sum(1, keepdim=True), images.shape[2:], mode="bilinear")
    return arrived


def contrastive(model, images, target):
    """Less the same with opposite weights in the last layer."""
    opposite = copy.deepcopy(model)
    last = [layer for layer in opposite.modules() if isinstance(layer, nn.Linear)][-1]
    last.weight.data = -last.weight.data
    return excitation(model, images, target) - excitation(opposite, images, target)


def write(name, model, images, target, inner, signed=(), with_biases_only=False):
    """`inner`: where excitation backprop ends. `signed`: layers behind the first that read values of both signs."""
    model, images, target = model.eval().double(), images.float().double(), torch.tensor(target)
    asked = {
        method: composite
        for method, composite in all_composites(signed).items()
        if not (with_biases_only and method.endswith("no biases"))
    }
    maps = {method: relevance(model, images, target, composite) for method, composite in asked.items()}
    maps["excitation-backprop"] = excitation(model, images, target)
    maps["excitation-backprop contrastive"] = contrastive(model, images, target)
    maps[f"excitation-backprop of {inner}"] = excitation(model, images, target, inner)
    nets.check_maps(name, maps)
    logits = model(images)
    tensors = {"images": images, "logits": logits, "low": LOW.flatten(), "high": HIGH.flatten(), **maps}
    tensors = {key: tensor.detach().float().contiguous() for key, tensor in tensors.items()}
    versions = f"zennit {version('zennit')}, torch {torch.__version__}"
    save_file({**tensors, "target": target}, HERE / f"{name}.safetensors", {"versions": versions})
    print(name, "logits", [[round(logit, 2) for logit in row] for row in logits.tolist()])


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--weights", required=True, help="the built-in model's weights")
    weights = arguments.parse_args().weights
    torch.manual_seed(2)
    write("builtin", nets.builtin(weights), nets.pictures(1, 32, 32), [9], "features.14", with_biases_only=True)
    random = nets.fold_batch_norms(nets.load(nets.random_vgg(), nets.RANDOM_WEIGHTS))
    write("random", random, nets.pictures(1, 35, 33), [2], "features.13")
    write("residual", nets.residual(Add), nets.pictures(1, 16, 22), [3], "block1.relu2", signed=["logits"])
    write("small", nets.small(), nets.pictures(2, 12, 14), [0, 2], "max")
