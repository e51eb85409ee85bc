"""What Quantus' model parameter randomisation test says of a small network; `randomization.rs` beside this folder compares.

    pip install numpy scipy scikit-image quantus torch safetensors
    python randomization.py

Reads `randomization_weights.safetensors`, the weights of the network, the fresh ones that burnsight draws for each layer, and
two pictures. (It is not committed; `cargo test -p burnsight-evaluation --test randomization -- --ignored write` writes it.)
Writes `randomization.json`: for both orders, each similarity and each layer one number per picture, and the mean that
Quantus makes of them.

To bring the definitions in line: "resetting" a layer of this network loads burnsight's fresh weights; the map is the gradient
summed over the colours with its sign, or its largest magnitude; SSIM and HOG are scikit-image's, of maps from 0 to 1.
Everything is computed in float64.

Written with numpy 2.4.6, scipy 1.15.3, scikit-image 0.25.2, quantus 0.6.0, torch 2.15.0.
"""

import json
import pathlib
import sys
from importlib.metadata import version

sys.modules["tensorflow"] = None  # Quantus imports it where it can, and it brings an LLVM of its own

import numpy
import quantus
import torch
from safetensors.torch import load_file
from scipy import stats
from skimage.feature import hog
from skimage.metrics import structural_similarity
from torch import nn

HERE = pathlib.Path(__file__).parent
WEIGHTS = load_file(HERE / "randomization_weights.safetensors")


def weights(kind, layer):
    start = f"{kind}.{layer}."
    return {name.removeprefix(start): tensor for name, tensor in WEIGHTS.items() if name.startswith(start)}


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.ReLU(),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(2)
        self.classifier = nn.Sequential(nn.Linear(24, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 5))
        self.double().eval()
        for name, layer in self.named_modules():
            if hasattr(layer, "reset_parameters"):
                layer.load_state_dict(weights("trained", name), strict=False)
                layer.__class__ = type("Fresh", (layer.__class__,), {"reset_parameters": reset, "place": name})

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def reset(layer):
    layer.load_state_dict(weights("fresh", layer.place), strict=False)


def gradient(model, inputs, targets, **_):
    x = torch.tensor(inputs, dtype=torch.float64, requires_grad=True)
    scores = model(x)[range(len(targets)), targets]
    return torch.autograd.grad(scores.sum(), x)[0]


def signed(model, inputs, targets, **_):
    return gradient(model, inputs, targets).sum(1, keepdim=True).numpy()


def magnitudes(model, inputs, targets, **_):
    return gradient(model, inputs, targets).abs().amax(1, keepdim=True).numpy()


def per_picture(similarity):
    def batched(a, b, batched):
        assert batched
        return numpy.array([similarity(*(unit(m).reshape(48, 48) for m in pair)) for pair in zip(a, b)])

    return batched


def unit(values):
    return (values - values.min()) / (values.max() - values.min())


def ssim(a, b):
    return structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )


def hogs(a, b):
    return stats.pearsonr(*[hog(m, pixels_per_cell=(16, 16)) for m in (a, b)]).statistic


WAYS = {
    "Spearman": (signed, None),
    "Spearman of magnitudes": (magnitudes, None),
    "SSIM": (magnitudes, per_picture(ssim)),
    "HOG": (magnitudes, per_picture(hogs)),
}


def main():
    network, pictures = Network(), WEIGHTS["pictures"].numpy()
    with torch.no_grad():
        target = network(WEIGHTS["pictures"]).argmax(1).numpy()
    fixture = {"target": target.tolist()}
    for order in ["top_down", "independent"]:
        fixture[order] = {"mean": {}}
        for way, (explain, similarity) in WAYS.items():
            plain = dict(similarity_func=similarity, layer_order=order, abs=False, normalise=False, disable_warnings=True)
            ask = dict(model=network, x_batch=pictures, y_batch=target, explain_func=explain, channel_first=True)
            fixture[order][way] = quantus.MPRT(**plain)(**ask)
            fixture[order]["mean"][way] = quantus.MPRT(**plain, return_average_correlation=True)(**ask)
    (HERE / "randomization.json").write_text(json.dumps(fixture, indent=1) + "\n")
    print({name: version(name) for name in ["numpy", "scipy", "scikit-image", "quantus", "torch"]})
    print(json.dumps(fixture["top_down"], indent=1))


if __name__ == "__main__":
    main()
