"""How alike scikit-image, SciPy and Quantus find maps; `similarity.rs` beside this folder compares.

    pip install numpy scipy scikit-image quantus torch safetensors
    python similarity.py

Writes here `similarity.safetensors`: pairs of signed maps `a_0`, `b_0`, … (float32) and for each pair one row of
`expected` (float64): Spearman's correlation (scipy.stats.spearmanr), the one of Quantus' MPRT (its `correlation_spearman` of
magnitudes over their maximum), SSIM of the magnitudes from 0 to 1, the Pearson correlation of their HOG, the share of the 100
largest magnitudes in common, and the centre of mass of a's magnitudes (scipy.ndimage). The versions are in its metadata.

Written with numpy 2.4.6, scipy 1.15.3, scikit-image 0.25.2, quantus 0.6.0.
"""

import pathlib
import sys
from importlib.metadata import version

sys.modules["tensorflow"] = None  # Quantus imports it where it can, and it brings an LLVM of its own

import numpy
from quantus.functions.normalise_func import normalise_by_max
from quantus.functions.similarity_func import correlation_spearman
from safetensors.numpy import save_file
from scipy import ndimage, stats
from skimage.feature import hog
from skimage.metrics import structural_similarity

HERE = pathlib.Path(__file__).parent
LIBRARIES = ["numpy", "scipy", "scikit-image", "quantus"]


def unit(values):
    return (values - values.min()) / (values.max() - values.min())


def top(values, k):
    return set(numpy.argsort(-values.ravel(), kind="stable")[:k])


def compare(a, b):
    a, b = a.astype(numpy.float64), b.astype(numpy.float64)
    magnitude_a, magnitude_b = unit(abs(a)), unit(abs(b))
    features = [hog(m, pixels_per_cell=(16, 16)) for m in (magnitude_a, magnitude_b)]
    ssim = structural_similarity(
        magnitude_a, magnitude_b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    over_max = [normalise_by_max(abs(m)).ravel() for m in (a, b)]
    return [
        stats.spearmanr(a.ravel(), b.ravel()).statistic,
        correlation_spearman(*over_max),
        ssim,
        stats.pearsonr(*features).statistic,
        len(top(magnitude_a, 100) & top(magnitude_b, 100)) / 100,
        *ndimage.center_of_mass(abs(a)),
    ]


def pairs(generator):
    def noise(*shape):
        return generator.standard_normal(shape)

    # Nothing in common; a common smooth part; few large values among many small ones, as gradients are; blocks, with ties.
    yield noise(48, 48), noise(48, 48)
    smooth = ndimage.gaussian_filter(noise(57, 70), 4) * 8
    yield smooth + 0.2 * noise(57, 70), smooth + 0.2 * noise(57, 70)
    heavy = noise(64, 50) ** 5
    yield heavy, heavy * (1 + 0.5 * noise(64, 50)) + noise(64, 50) ** 3
    blocks = numpy.kron(noise(7, 6).round(), numpy.ones((8, 9)))
    yield blocks, blocks + numpy.kron(noise(8, 6).round(), numpy.ones((7, 9)))


def main():
    arrays, expected = {}, []
    for index, (a, b) in enumerate(pairs(numpy.random.default_rng(0))):
        a, b = a.astype(numpy.float32), b.astype(numpy.float32)
        arrays |= {f"a_{index}": a, f"b_{index}": b}
        expected.append(compare(a, b))
    arrays["expected"] = numpy.array(expected)
    save_file(arrays, HERE / "similarity.safetensors", {name: version(name) for name in LIBRARIES})
    print({name: version(name) for name in LIBRARIES})
    print(arrays["expected"].round(4))


if __name__ == "__main__":
    main()
