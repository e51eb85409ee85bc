"""Localization metrics by Quantus, scikit-learn and scipy, on the maps and masks in the fixture.

    pip install quantus scikit-learn scipy numpy
    python localization.py

writes `localization.json` beside this file. Quantus sums values with their sign for mass accuracy, so it is given the
positive part of the maps there; its attribution localisation does that itself. No two values of a map are equal: ties
are where definitions differ.
"""

import json
import pathlib
from importlib.metadata import version

import numpy as np
import quantus
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import jaccard_score

PICTURES, HEIGHT, WIDTH = 8, 9, 12
TOLERANCE, THRESHOLD = 2, 0.2
generator = np.random.default_rng(0)

masks = np.zeros((PICTURES, 1, HEIGHT, WIDTH), bool)
y, x = np.mgrid[:HEIGHT, :WIDTH]
for mask in masks:
    centre, radii = generator.uniform([2, 2], [HEIGHT - 2, WIDTH - 2]), generator.uniform(1, 4, 2)
    mask[0] = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1
    mask[0, int(centre[0]), int(centre[1])] = True
maps = generator.normal(size=masks.shape) + masks * generator.uniform(0, 3, (PICTURES, 1, 1, 1))
maps = maps.round(6).astype(np.float32).astype(float)
images = np.zeros((PICTURES, 1, HEIGHT, WIDTH), np.float32)
settings = dict(disable_warnings=True, display_progressbar=False, normalise=False, abs=False)


def ask(metric, attributions, index=slice(None)):
    values = metric(
        model=None, x_batch=images[index], y_batch=np.zeros(PICTURES, int)[index], a_batch=attributions[index],
        s_batch=masks[index].astype(int),
    )
    return [float(value) for value in values]


def top_k(index):
    k = int(masks[index].sum())
    return ask(quantus.TopKIntersection(k=k, **settings), maps, slice(index, index + 1))[0]


def overlap(map, mask, threshold):
    return float(jaccard_score(mask.ravel(), (map >= threshold).ravel()))


def near(map, mask):
    return float(distance_transform_edt(~mask).ravel()[map.argmax()] <= TOLERANCE)


pairs = list(zip(maps[:, 0], masks[:, 0]))
positive = np.maximum(maps, 0)
fixture = {
    "versions": {name: version(name) for name in ["quantus", "scikit-learn", "scipy", "numpy"]},
    "size": [HEIGHT, WIDTH],
    "tolerance": TOLERANCE,
    "threshold": THRESHOLD,
    "maps": [[round(float(value), 6) for value in map.ravel()] for map in maps],
    "masks": ["".join("#" if inside else "." for inside in mask.ravel()) for mask in masks],
    "pointing_game": ask(quantus.PointingGame(**settings), maps),
    "pointing_game_within_tolerance": [near(map, mask) for map, mask in pairs],
    "mass_accuracy": ask(quantus.RelevanceMassAccuracy(**settings), positive),
    "attribution_localisation": ask(
        quantus.AttributionLocalisation(positive_attributions=True, max_size=1.0, **settings), maps),
    "rank_accuracy": ask(quantus.RelevanceRankAccuracy(**settings), maps),
    "top_k_intersection": [top_k(index) for index in range(PICTURES)],
    "best_threshold": [max(overlap(map, mask, t) for t in np.unique(map)) for map, mask in pairs],
    "fixed_threshold": [overlap(map, mask, THRESHOLD * map.max()) for map, mask in pairs],
}
assert all(len(np.unique(map)) == map.size for map in maps)
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(fixture) + "\n")
