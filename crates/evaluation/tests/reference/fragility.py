"""The gradients of what the attacks of Ghorbani et al. (2019) make large, by torch's double backward.

    pip install torch
    python fragility.py

writes `fragility.json` beside this file: the weights of a small network with softplus, pictures, places on the way of an
attack, and for both dissimilarities their values and their gradients with respect to the picture there.
"""

import json
import pathlib

import torch

PICTURES, COLOURS, HEIGHT, WIDTH, CLASSES, TOP, STEEPNESS = 2, 2, 6, 7, 3, 4, 3.0
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

network = torch.nn.Sequential(
    torch.nn.Conv2d(COLOURS, 4, 3, padding=1),
    torch.nn.Softplus(STEEPNESS, threshold=1000),
    torch.nn.MaxPool2d(2),
    torch.nn.Conv2d(4, 5, 2),
    torch.nn.Softplus(STEEPNESS, threshold=1000),
    torch.nn.Flatten(),
    torch.nn.Linear(5 * 2 * 2, CLASSES),
)
for parameter in network.parameters():
    torch.nn.init.normal_(parameter, std=0.5)
    parameter.data = parameter.data.float().double()
pictures = torch.randn(PICTURES, COLOURS, HEIGHT, WIDTH).float().double()
places = (pictures + 0.3 * torch.randn_like(pictures)).float().double()
classes = [2, 0]


def importances(pictures):
    """Which can be differentiated: one share per pixel, and they sum to 1."""
    if not pictures.requires_grad:
        pictures = pictures.clone().requires_grad_()
    scores = network(pictures)[range(PICTURES), classes]
    (gradient,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    magnitude = gradient.abs().sum(1)
    return magnitude / magnitude.sum((1, 2), keepdim=True)


def center(shares):
    rows, columns = torch.arange(HEIGHT).double(), torch.arange(WIDTH).double()
    return torch.stack([shares.sum(2) @ rows, shares.sum(1) @ columns], 1)


original = importances(pictures).detach()
threshold = original.flatten(1).topk(TOP).values[:, -1, None, None]
strongest = (original >= threshold).double()
dissimilarities = {
    "top-k": lambda shares: -(shares * strongest).sum((1, 2)),
    "mass-center": lambda shares: (center(shares) - center(original)).square().sum(1),
}
expected = {}
for name, dissimilarity in dissimilarities.items():
    there = places.clone().requires_grad_()
    values = dissimilarity(importances(there))
    (slope,) = torch.autograd.grad(values.sum(), there)
    expected[name] = {"values": values.tolist(), "gradients": slope.flatten().tolist()}

fixture = {
    "made_by": f"torch {torch.__version__}",
    "shape": [PICTURES, COLOURS, HEIGHT, WIDTH],
    "top": TOP,
    "steepness": STEEPNESS,
    "classes": classes,
    "parameters": {
        name: {"shape": list(values.shape), "values": values.flatten().tolist()}
        for name, values in network.state_dict().items()
    },
    "logits": network(pictures).flatten().tolist(),
    "pictures": pictures.flatten().tolist(),
    "places": places.flatten().tolist(),
    "expected": expected,
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(fixture))
