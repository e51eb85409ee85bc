"""What PAIR's saliency library makes of a small network; `saliency.rs` beside this folder compares.

    pip install saliency numpy scipy torch
    python generate.py      (writes saliency.json; the file is the same on every run)

The library continues a picture by zeros and cuts the path into equal parts of sigma, with the gradient at the start of
each. So the picture is black but for its middle, and the parts are so many that the rule no longer matters.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from saliency.core import BlurIG, INPUT_OUTPUT_GRADIENTS

torch.manual_seed(0)
MAX_SIGMA, STEPS = 2.0, 8000
BORDER = 10  # the library's Gaussian ends at 4 sigma
LABEL = 1


def rounded(*shape, scale=1.0):
    return (torch.randn(*shape, dtype=torch.double) * scale).round(decimals=3)


weights = {
    "convolution_weight": rounded(4, 2, 3, 3, scale=0.5),
    "convolution_bias": rounded(4, scale=0.5),
    "logits_weight": rounded(3, 4 * 2 * 2, scale=4.0),
    "logits_bias": rounded(3),
}


def score(pictures):
    maps = torch.tanh(F.conv2d(pictures, weights["convolution_weight"], weights["convolution_bias"]))
    pooled = F.adaptive_avg_pool2d(maps, (2, 2)).flatten(1)
    return (pooled @ weights["logits_weight"].T + weights["logits_bias"])[:, LABEL]


def call_model(pictures, call_model_args, expected_keys):
    pictures = torch.tensor(pictures, requires_grad=True)
    (gradient,) = torch.autograd.grad(score(pictures.permute(0, 3, 1, 2)).sum(), pictures)
    return {INPUT_OUTPUT_GRADIENTS: gradient.numpy()}


middle = rounded(2, 5, 3, scale=2.0)
picture = F.pad(middle, [BORDER] * 4)
mask = BlurIG().GetMask(
    picture.permute(1, 2, 0).numpy(), call_model, max_sigma=MAX_SIGMA, steps=STEPS, grad_step=MAX_SIGMA / STEPS,
    batch_size=100,
)
mask = torch.tensor(mask).permute(2, 0, 1)
print("the mask adds up to", mask.sum().item(), "in the middle", mask[:, BORDER:-BORDER, BORDER:-BORDER].sum().item())
fixture = {"max_sigma": MAX_SIGMA, "border": BORDER, "label": LABEL, "shape": list(middle.shape)}
fixture |= {name: tensor.flatten().tolist() for name, tensor in weights.items()}
fixture |= {"middle": middle.flatten().tolist(), "mask": [round(value, 7) for value in mask.flatten().tolist()]}
Path(__file__).with_name("saliency.json").write_text(json.dumps(fixture) + "\n")
