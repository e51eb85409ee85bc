"""Deletion and insertion by xplique, and the imputation of ROAD by pytorch-grad-cam, on one small linear model.

    python curves.py        (with xplique 2.0.2, tensorflow 2.20, grad-cam 1.5.7, torch 2.15, numpy) writes curves.json

The model is softmax(W · picture) with 4 classes, pictures have 3 colours and 8 × 8 pixels. xplique takes channels last, and means
over the colours of a map: the maps given to it have one. Both of its metrics start from or go to 0.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

if sys.argv[1:]:
    # Torch and tensorflow cannot be loaded by one process: this one fills pictures, for the other.
    import torch
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    given = np.load(sys.argv[1])
    imputer = NoisyLinearImputer(noise=0.0)
    pairs = zip(given["pictures"], given["known"])
    filled = [imputer(torch.tensor(picture), torch.tensor(known)).numpy() for picture, known in pairs]
    np.save(sys.argv[2], np.array(filled))
    sys.exit()

import tensorflow as tf
from xplique.metrics import Deletion, Insertion

random = np.random.default_rng(0)
weights = random.normal(size=(4, 3, 8, 8)).astype("float32")
pictures = random.normal(size=(3, 3, 8, 8)).astype("float32") * 0.3
maps = random.normal(size=(3, 8, 8)).astype("float32")
classes = [2, 0, 3]

last = tf.constant(weights.transpose(2, 3, 1, 0).reshape(-1, 4))
inputs = tf.keras.Input((8, 8, 3))
outputs = tf.keras.layers.Lambda(lambda x: tf.nn.softmax(tf.reshape(x, (-1, 192)) @ last))(inputs)
model = tf.keras.Model(inputs, outputs)
steps = 8
arguments = dict(
    model=model,
    inputs=pictures.transpose(0, 2, 3, 1),
    targets=np.eye(4, dtype="float32")[classes],
    batch_size=64,
    baseline_mode=0.0,
    steps=steps,
)


def curve(metric):
    """The mean probability over the pictures by share of pixels."""
    points = metric(**arguments).detailed_evaluate(maps[..., None])
    return [float(value) for _, value in sorted(points.items())]


known = (random.uniform(size=(3, 8, 8)) > 0.6).astype("float32")
with tempfile.TemporaryDirectory() as folder:
    given, out = f"{folder}/given.npz", f"{folder}/out.npy"
    np.savez(given, pictures=pictures, known=known)
    subprocess.run([sys.executable, __file__, given, out], check=True)
    filled = np.load(out)

flat = lambda array: np.asarray(array, dtype="float64").round(7).reshape(-1).tolist()
fixture = {
    "weights": flat(weights),
    "pictures": flat(pictures),
    "maps": flat(maps),
    "classes": classes,
    "steps": steps,
    "deletion": curve(Deletion),
    "insertion": curve(Insertion),
    "removed": (known == 0).reshape(-1).tolist(),
    "filled": flat(filled),
}
Path(__file__).with_suffix(".json").write_text(json.dumps(fixture) + "\n")
print({key: fixture[key] for key in ("deletion", "insertion")})
