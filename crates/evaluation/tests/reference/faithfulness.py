"""Writes faithfulness.json: what captum and Quantus say about the maps of a tiny network.

python faithfulness.py > faithfulness.json

The versions are written into the file. Random numbers that a library draws are replaced by those in the file, so that
the Rust side can be given the same.
"""

import functools
import json
import sys
import warnings
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

warnings.filterwarnings("ignore")
# Not needed, and its LLVM and torch's do not go together.
sys.modules["tensorflow"] = None
import quantus  # noqa: E402
import captum.metrics as captum  # noqa: E402

generator = np.random.default_rng(5)
SAMPLES, SETS, SIZE = 6, 12, 5


def numbers(*shape, scale=1.0, mean=0.0):
    """Four decimals: the same f32 on both sides."""
    return np.round(generator.normal(mean, scale, shape), 4).astype(np.float32)


def plain(values):
    """As nested lists, without the digits that f32 does not have."""
    values = np.asarray(values)
    if values.dtype.kind == "f":
        return [float(np.format_float_positional(v, unique=True)) for v in values.reshape(-1)]
    return [int(v) for v in values.reshape(-1)]


weights = {
    "conv": numbers(3, 1, 3, 3, scale=0.5),
    "conv_bias": numbers(3, scale=0.2),
    "linear": numbers(3, 108, scale=0.2),
    "linear_bias": numbers(3, scale=0.2),
}
net = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(108, 3)).eval()
net[0].weight.data, net[0].bias.data = torch.tensor(weights["conv"]), torch.tensor(weights["conv_bias"])
net[3].weight.data, net[3].bias.data = torch.tensor(weights["linear"]), torch.tensor(weights["linear_bias"])

pictures = numbers(2, 1, 6, 6)
classes = np.array([2, 0])
x, y = torch.tensor(pictures), torch.tensor(classes)


def gradient(x):
    x = x.detach().requires_grad_()
    net(x).gather(1, y.repeat_interleave(len(x) // 2)[:, None]).sum().backward()
    return x.grad.detach()


with torch.enable_grad():
    slopes = gradient(x)
# Gradient × input, disturbed, so that nothing is perfect.
maps = np.round((slopes * x).numpy() + generator.normal(0, 0.1, pictures.shape), 4).astype(np.float32)
out = {
    "versions": {name: version(name) for name in ("captum", "quantus", "torch", "numpy")},
    "weights": {name: plain(values) for name, values in weights.items()},
    "pictures": plain(pictures),
    "classes": plain(classes),
    "maps": plain(maps),
}

# captum: samples of one picture follow each other.
masks = generator.integers(0, 2, (2, SAMPLES, 1, 6, 6)).astype(np.float32)
noise = numbers(2, SAMPLES, 1, 6, 6, scale=0.1)


def removed(inputs):
    mask = torch.tensor(masks.reshape(-1, 1, 6, 6))
    return mask, inputs * (1 - mask)


def noisy(inputs):
    change = torch.tensor(noise.reshape(-1, 1, 6, 6))
    return change, inputs - change


def infidelity(change, attribution, normalize):
    value = captum.infidelity(net, change, x, attribution, target=y, n_perturb_samples=SAMPLES, normalize=normalize)
    return plain(value.detach().numpy())


out["masks"], out["noise"] = plain(masks.astype(int)), plain(noise)
out["infidelity"] = infidelity(removed, torch.tensor(maps), False)
out["infidelity_scaled"] = infidelity(removed, torch.tensor(maps), True)
out["infidelity_noise"] = infidelity(noisy, slopes, False)


def explain(inputs):
    with torch.enable_grad():
        return (gradient(inputs[0]) * inputs[0].detach(),)


out["max_sensitivity"] = plain(
    captum.sensitivity_max(
        explain, x, perturb_func=lambda inputs, radius=0: (noisy(inputs[0] if isinstance(inputs, tuple) else inputs)[1],),
        n_perturb_samples=SAMPLES,
    ).numpy()
)

# Quantus
common = {"disable_warnings": True, "display_progressbar": False, "return_aggregate": False, "normalise": False}
call = {"model": net, "x_batch": pictures, "y_batch": classes, "a_batch": maps, "softmax": False, "device": "cpu"}
draws = []


def choice(count, size, replace):
    draws.append(generator.permutation(count)[:size])
    return draws[-1]


def zero(arr, indices, **_):
    arr = arr.copy()
    np.put_along_axis(arr, indices, 0.0, axis=1)
    return arr


original, np.random.choice = np.random.choice, choice
metric = quantus.FaithfulnessCorrelation(
    nr_runs=SETS, subset_size=SIZE, perturb_func=zero, perturb_baseline="black", abs=False, **common
)
out["faithfulness_correlation"] = [float(value) for value in metric(**call)]
np.random.choice = original
# Run by run, picture by picture.
out["sets"] = plain(np.stack(draws))

for step in (1, 3):
    metric = quantus.MonotonicityCorrelation(
        nr_samples=1, features_in_step=step, perturb_func=zero, perturb_baseline="black", abs=True, **common
    )
    out[f"monotonicity_correlation_{step}"] = [float(value) for value in metric(**call)]

curve = []
hook = net.register_forward_hook(lambda _, __, logits: curve.append(logits.detach().numpy()[[0, 1], classes]))
metric = quantus.Monotonicity(features_in_step=4, abs=False, perturb_baseline=0.0, **common)


def adding(arr, indices, **_):
    arr = arr.copy()
    np.put_along_axis(arr, indices, np.take_along_axis(pictures.reshape(2, -1), indices, axis=1), axis=1)
    return arr


metric.perturb_func = functools.partial(adding, **metric.perturb_func.keywords)
out["monotonicity"] = [bool(value) for value in metric(**call)]
hook.remove()
out["monotonicity_curve"] = plain(np.stack(curve[-9:]).T)

out["sparseness"] = [float(v) for v in quantus.Sparseness(abs=True, **common)(**call)]
out["complexity"] = [float(v) for v in quantus.Complexity(abs=True, **common)(**call)]

sample = iter(range(SAMPLES))


def recorded(arr, indices, **_):
    return arr - noise[:, next(sample)].reshape(2, -1)


def explained(model, inputs, targets, **_):
    inputs = torch.tensor(np.asarray(inputs), dtype=torch.float32)
    with torch.enable_grad():
        return (gradient(inputs) * inputs).numpy()


metric = quantus.LocalLipschitzEstimate(
    nr_samples=SAMPLES, perturb_func=recorded, abs=False, return_nan_when_prediction_changes=False, **common
)
with torch.enable_grad():
    call["a_batch"] = explained(None, pictures, None)
out["local_lipschitz"] = [float(v) for v in metric(**call, explain_func=explained)]
json.dump(out, sys.stdout)
