"""How far apart two sets of vectors are: the distance of their centroids, and maximum mean discrepancy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
MAX_ROWS = 1_000
"""Vectors of each set that are compared, drawn at random: memory and time grow with their square."""


class Alignment(NamedTuple):
    """Both are 0 for two samples of one distribution, up to noise."""

    centroid_distance: float
    """Length of the difference of the means, of vectors scaled to unit length."""
    mmd: float
    """Unbiased estimate of the squared discrepancy; may be slightly negative."""


def alignment(one: Vectors, other: Vectors, *, seed: int = 0) -> Alignment:
    """Compare two sets of directions [n, d] and [m, d], two of each at least.

    MMD² with a Gaussian kernel, its squared width the median of all pairs (Gretton et al., "A kernel
    two-sample test", JMLR 2012, lemma 6).
    """
    rng = np.random.default_rng(seed)
    first, second = _sample(one, rng), _sample(other, rng)
    distance = float(np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)))
    return Alignment(distance, _mmd(first, second))


def _mmd(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    both = np.concatenate([one, other])
    squared = np.maximum(2.0 - 2.0 * both @ both.T, 0.0)  # of unit vectors
    median = float(np.median(squared[np.triu_indices(len(both), 1)]))
    kernel = np.exp(-squared / max(median, 1e-12))
    n, m = len(one), len(other)
    within_one = (kernel[:n, :n].sum() - n) / (n * (n - 1))
    within_other = (kernel[n:, n:].sum() - m) / (m * (m - 1))
    return float(within_one + within_other - 2.0 * kernel[:n, n:].mean())


def _sample(vectors: Vectors, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    if len(vectors) > MAX_ROWS:
        vectors = vectors[np.sort(rng.permutation(len(vectors))[:MAX_ROWS])]
    exact = vectors.astype(np.float64)
    return np.asarray(exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12))
