"""Writes curves.json: what xplique, Quantus and pytorch-grad-cam say about the maps of a tiny network.

python curves.py > curves.json

The versions are written into the file. Baselines and numbers of steps are set to be the same in all of them, and the noise
of ROAD to 0: it is drawn from torch's and numpy's generators.
"""

import json
import subprocess
import sys
import warnings
from importlib.metadata import version

import numpy as np

warnings.filterwarnings("ignore")
N, CHANNELS, HEIGHT, WIDTH, STEPS, REGION = 3, 3, 12, 8, 12, 4
SHAPE, PIXELS = (N, CHANNELS, HEIGHT, WIDTH), HEIGHT * WIDTH


def plain(values):
    """As one list, without the digits that f32 does not have."""
    return [float(np.format_float_positional(value, unique=True)) for value in np.asarray(values).reshape(-1)]


def xplique(given):
    """Run alone: TensorFlow's LLVM and torch's do not go together."""
    import tensorflow as tf
    from xplique.metrics import Deletion, Insertion

    arrays = {name: np.array(values, dtype=np.float32) for name, values in given.items()}

    class Model(tf.Module):
        def __call__(self, x):
            flat = tf.reshape(tf.transpose(x, (0, 3, 1, 2)), (-1, CHANNELS * PIXELS))
            hidden = tf.nn.relu(flat @ arrays["hidden"].reshape(6, -1).T + arrays["hidden_bias"])
            return hidden @ arrays["logits"].reshape(4, -1).T + arrays["logits_bias"]

    def curves(metric, baseline):
        for image in range(N):
            x = arrays["pictures"].reshape(SHAPE)[image : image + 1].transpose(0, 2, 3, 1)
            y = np.eye(4, dtype=np.float32)[[given["classes"][image]]]
            asked = metric(Model(), x, y, steps=STEPS, baseline_mode=baseline, activation="softmax")
            map = arrays["maps"].reshape(N, HEIGHT, WIDTH)[image : image + 1]
            yield list(asked.detailed_evaluate(map).values()), asked.evaluate(map)

    other = arrays["other"].reshape(SHAPE[1:]).transpose(1, 2, 0)[None]
    out = {}
    for name, metric, baseline in [("deletion", Deletion, 0.0), ("insertion", Insertion, lambda _: other)]:
        points, areas = zip(*curves(metric, baseline))
        out[f"xplique_{name}_curve"], out[f"xplique_{name}"] = plain(np.float32(points)), plain(np.float32(areas))
    return out


if sys.argv[1:] == ["xplique"]:
    json.dump(xplique(json.load(sys.stdin)), sys.stdout)
    sys.exit()

# Not needed here.
sys.modules["tensorflow"] = None
import quantus  # noqa: E402
import torch  # noqa: E402
from pytorch_grad_cam.metrics import road  # noqa: E402
from pytorch_grad_cam.metrics.perturbation_confidence import (  # noqa: E402
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from quantus.functions.perturb_func import noisy_linear_imputation  # noqa: E402
from torch import nn  # noqa: E402

generator = np.random.default_rng(8)


def numbers(*shape, scale=1.0):
    """Three decimals: the same f32 on both sides."""
    return np.round(generator.normal(0, scale, shape), 3).astype(np.float32)


arrays = {
    "hidden": numbers(6, CHANNELS * PIXELS, scale=0.1),
    "hidden_bias": numbers(6, scale=0.2),
    "logits": numbers(4, 6, scale=0.5),
    "logits_bias": numbers(4, scale=0.2),
    "pictures": numbers(*SHAPE),
    # What pixels become.
    "other": numbers(1, *SHAPE[1:]),
}
classes = np.array([2, 0, 3])
hidden, logits = nn.Linear(CHANNELS * PIXELS, 6), nn.Linear(6, 4)
net = nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), logits).eval()
for layer, name in [(hidden, "hidden"), (logits, "logits")]:
    layer.weight.data, layer.bias.data = torch.tensor(arrays[name]), torch.tensor(arrays[f"{name}_bias"])
pictures = arrays["pictures"]
x = torch.tensor(pictures).requires_grad_()
net(x)[np.arange(N), classes].sum().backward()
# Gradient × input summed over the colours and disturbed; no two pixels alike.
maps = (x.grad * x).detach().numpy().sum(1) + generator.normal(0, 0.05, (N, HEIGHT, WIDTH))
maps = np.round(maps / np.abs(maps).max() / 2 + 0.5, 5).astype(np.float32)
assert all(len(np.unique(map)) == PIXELS for map in maps)
arrays["maps"] = maps

out = {"versions": {name: version(name) for name in ("xplique", "quantus", "grad-cam", "torch", "tensorflow", "numpy")}}
given = {name: plain(values) for name, values in arrays.items()} | {"classes": classes.tolist()}
out |= given
process = subprocess.run(
    [sys.executable, __file__, "xplique"], input=json.dumps(given), capture_output=True, text=True, check=True
)
out |= json.loads(process.stdout)

# Quantus. Its metrics take one number of the input as a feature: three at a time are a pixel, because the map is repeated
# for every colour.
common = {"disable_warnings": True, "display_progressbar": False, "normalise": False, "abs": False}
call = {"model": net, "x_batch": pictures, "y_batch": classes, "a_batch": maps[:, None], "device": "cpu"}


def zero(arr, indices, **_):
    arr = arr.copy()
    np.put_along_axis(arr, np.asarray(indices), 0.0, axis=1)
    return arr


flipping = {"perturb_func": zero, "return_aggregate": False} | common
metric = quantus.PixelFlipping(features_in_step=CHANNELS * PIXELS // STEPS, **flipping)
out["quantus_pixels_probability"] = plain(np.float32(metric(**call, softmax=True)))
metric = quantus.PixelFlipping(features_in_step=CHANNELS * PIXELS // PIXELS, **flipping)
out["quantus_pixels_score"] = plain(np.float32(metric(**call, softmax=False)))
for order in ("morf", "lerf"):
    metric = quantus.RegionPerturbation(patch_size=REGION, regions_evaluation=4, order=order, **flipping)
    out[f"quantus_regions_{order}"] = plain(np.float32(metric(**call, softmax=False)))

# ROAD. Percentages are of thresholds in pytorch-grad-cam: what is removed is counted.
percentiles = [90, 70, 50, 30, 10]
removed = [int((maps[0] >= np.percentile(maps[0], percentile)).sum()) for percentile in percentiles]
out["removed"] = removed


def probability(index):
    return lambda logits: torch.softmax(logits, -1)[classes[index]]


for name, order in [("most", RemoveMostRelevantFirst), ("least", RemoveLeastRelevantFirst)]:
    rows, filled = [], []
    for percentile in percentiles:
        imputer = road.NoisyLinearImputer(noise=0.0)
        metric = PerturbationConfidenceMetric(order(percentile, imputer))
        scores, changed = metric(
            torch.tensor(pictures), maps, [probability(i) for i in range(N)], net,
            return_visualization=True, return_diff=False,
        )
        rows.append(scores)
        filled.append(changed.numpy())
    out[f"road_{name}"] = plain(np.stack(rows, 1))
    if name == "most":
        out["road_pictures"] = plain(np.stack(filled, 1)[0])
        # Quantus fills them alike. The rest of its ROAD fails on pictures of more than one colour: it counts the numbers of
        # the repeated map as pixels.
        order = np.argsort(-maps[0].reshape(-1))
        for count, picture in zip(removed, filled):
            by_quantus = noisy_linear_imputation(pictures[0], order[:count].copy(), noise=0.0)
            assert np.abs(by_quantus - picture[0]).max() < 1e-6
json.dump(out, sys.stdout)
