"""What PAIR's saliency library makes of a small network; `saliency.rs` beside this folder compares.

    pip install saliency numpy torch
    python generate.py      (writes saliency.json; the file is the same on every run)

The library multiplies every move by the gradient at its start. Beside its mask, the gradients and pictures it asked for
are summed here by the trapezoidal rule: the same path, another sum.
"""

import json
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from saliency.core import GuidedIG, INPUT_OUTPUT_GRADIENTS

torch.manual_seed(0)
SHAPE = (2, 3, 4)
HIDDEN, CLASSES = 10, 3
# steps, fraction, max_dist: the defaults with fewer steps; a free path; a tight band; few features at once; many.
SETTINGS = [(50, 0.25, 0.02), (20, 0.25, 1.0), (30, 0.25, 0.1), (25, 0.01, 0.3), (25, 0.7, 0.2)]


def rounded(*shape, scale=1.0):
    return (torch.randn(*shape, dtype=torch.double) * scale).round(decimals=3)


size = int(np.prod(SHAPE))
weights = {
    "hidden_weight": rounded(HIDDEN, size, scale=0.4),
    "hidden_bias": rounded(HIDDEN, scale=0.5),
    "logits_weight": rounded(CLASSES, HIDDEN, scale=0.5),
    "logits_bias": rounded(CLASSES),
}


def score(pictures, label):
    hidden = torch.relu(pictures.flatten(1) @ weights["hidden_weight"].T + weights["hidden_bias"])
    return (hidden @ weights["logits_weight"].T + weights["logits_bias"])[:, label]


def masks(picture, baseline, label, steps, fraction, max_dist):
    points, gradients = [], []

    def call_model(pictures, call_model_args, expected_keys):
        pictures = torch.tensor(pictures, requires_grad=True)
        (gradient,) = torch.autograd.grad(score(pictures, label).sum(), pictures)
        points.append(pictures[0].detach().numpy().copy())
        gradients.append(gradient[0].numpy().copy())
        return {INPUT_OUTPUT_GRADIENTS: gradient.numpy()}

    quantile = np.quantile  # whose argument `interpolation` numpy has renamed

    def renamed(values, share, interpolation):
        return quantile(values, share, method=interpolation)

    with mock.patch("numpy.quantile", renamed):
        mask = GuidedIG().GetMask(picture, call_model, None, baseline, steps, fraction, max_dist)
    assert len(points) == steps
    call_model(picture[None], None, None)
    moves = np.diff(points, axis=0)
    left = sum(move * gradient for move, gradient in zip(moves, gradients))
    assert np.allclose(left, mask), "what was recorded is the path"
    return mask, sum(move * (a + b) / 2 for move, a, b in zip(moves, gradients, gradients[1:]))


baseline = rounded(*SHAPE)
picture = rounded(*SHAPE)
picture[0, 1, :3] = baseline[0, 1, :3]  # features that have nowhere to go
way = score(picture[None], slice(None)) - score(baseline[None], slice(None))
label = int(way.abs().argmax())
cases = []
for steps, fraction, max_dist in SETTINGS:
    mask, trapezoids = masks(picture.numpy(), baseline.numpy(), label, steps, fraction, max_dist)
    cases.append({"steps": steps, "fraction": fraction, "max_distance": max_dist,
                  "mask": mask.flatten().tolist(), "trapezoids": trapezoids.flatten().tolist()})
    sums = f"mask {mask.sum():.4f}, trapezoids {trapezoids.sum():.4f}"
    print(f"{steps} steps, {fraction}, {max_dist}: {sums}, difference {way[0, label]:.4f}")
fixture = {name: tensor.flatten().tolist() for name, tensor in weights.items()}
fixture |= {"shape": SHAPE, "label": label}
fixture |= {"picture": picture.flatten().tolist(), "baseline": baseline.flatten().tolist()}
cases = ",\n".join(json.dumps(case) for case in cases)
text = json.dumps(fixture)[:-1] + f', "cases": [\n{cases}\n]}}\n'
Path(__file__).with_name("saliency.json").write_text(text)
