"""Krippendorff's alpha and Spearman correlations by `krippendorff` and scipy, on the tables in the fixture.

    pip install krippendorff scipy numpy
    python reliability.py

writes `reliability.json` beside this file.
"""

import json
import pathlib
from importlib.metadata import version
from itertools import combinations

import krippendorff
import numpy as np
from scipy.stats import rankdata, spearmanr

generator = np.random.default_rng(0)
METHODS, PICTURES = 4, 15


def table(values):
    return [[None if np.isnan(value) else round(float(value), 6) for value in row] for row in values]


def alphas(raters, units, levels, missing, agreement):
    """Ratings that depend on the unit (agreement 1) or not at all (0), in whole numbers so that there are ties."""
    truth = generator.uniform(0, levels, units)
    ratings = np.floor(agreement * truth + (1 - agreement) * generator.uniform(0, levels, (raters, units)))
    ratings[generator.uniform(size=ratings.shape) < missing] = np.nan
    alpha = lambda level: float(krippendorff.alpha(ratings, level_of_measurement=level))
    return {"ratings": table(ratings), "ordinal": alpha("ordinal"), "interval": alpha("interval")}


def correlations(a, b):
    """Mean over the rows; columns where one is missing are left out."""
    values = []
    for a, b in zip(a, b):
        both = ~np.isnan(a) & ~np.isnan(b)
        values.append(spearmanr(a[both], b[both]).statistic)
    return float(np.mean(values))


quality, difficulty = np.arange(METHODS)[:, None], generator.normal(size=PICTURES)
scores = {
    "clear": 2 * quality + difficulty + generator.normal(size=(METHODS, PICTURES)),
    "noisy": quality + 2 * difficulty + 3 * generator.normal(size=(METHODS, PICTURES)),
    "reversed": -quality - difficulty + 0.5 * generator.normal(size=(METHODS, PICTURES)),
}
scores = {name: values.round(2) for name, values in scores.items()}
scores["noisy"][1, [3, 9]] = np.nan
scores["reversed"][2, 3] = np.nan
lower = {"reversed"}

metrics = []
for name, values in scores.items():
    ranks = rankdata(values[:, ~np.isnan(values).any(axis=0)], axis=0)
    pairs = list(combinations(values, 2))
    metrics.append({
        "name": name,
        "direction": "lower" if name in lower else "higher",
        "methods": table(values),
        "inter_rater": float(krippendorff.alpha(ranks.T, level_of_measurement="ordinal")),
        "inter_method": correlations(*zip(*pairs)),
    })
sign = lambda a, b: -1 if (a in lower) != (b in lower) else 1
fixture = {
    "versions": {name: version(name) for name in ["krippendorff", "scipy", "numpy"]},
    "alphas": [
        alphas(3, 10, 4, 0, 0.8), alphas(5, 20, 6, 0.2, 0.6), alphas(12, 5, 3, 0.4, 0.3), alphas(30, 8, 9, 0.1, 0),
    ],
    "metrics": metrics,
    "consistency": [[sign(a, b) * correlations(scores[a], scores[b]) for b in scores] for a in scores],
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(fixture) + "\n")
