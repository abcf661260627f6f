"""Whether users turned to other texts: distances between samples of vectors in the text space. Pure.

The text space belongs to no model version, so that samples from before and after a release compare. Vectors
are reduced by a fixed random projection, which keeps distances (Johnson and Lindenstrauss 1984).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.drift.population import chi_squared_quantile

Vectors = npt.NDArray[np.float32]

PROJECTED = 32
PERMUTATIONS = 300
SEED = 20_1107


class Shift(NamedTuple):
    """A distance, and the largest that chance makes of an unchanged population."""

    distance: float
    chance: float


def projected(texts: Vectors) -> Vectors:
    """Text vectors [n, t] -> [n, 32], the same way in every process."""
    reduced: Vectors = texts @ _projection(texts.shape[1])
    return reduced


def centroid_shift(reference: Vectors, current: Vectors, alpha: float) -> Shift:
    """Distance between the means of [n, p] and [m, p], over the root mean square distance from the mean.

    Without a change the squared distance is a sum of chi-squared variables with mean tr(S) (1/n + 1/m) and
    variance 2 tr(S^2) (1/n + 1/m)^2, S the covariance; ``chance`` is the upper ``alpha`` quantile of a scaled
    chi-squared with that mean and variance (Satterthwaite, Biometrics 1946).
    """
    n, m = len(reference), len(current)
    if min(n, m) < 2:
        return Shift(0.0, 0.0)
    centred = np.concatenate([reference - reference.mean(axis=0), current - current.mean(axis=0)])
    covariance = centred.T.astype(np.float64) @ centred / (n + m - 2)
    trace = float(np.trace(covariance))
    if trace <= 0:
        return Shift(0.0, 0.0)
    distance = float(np.square(reference.mean(axis=0) - current.mean(axis=0), dtype=np.float64).sum())
    freedom = trace**2 / float(np.square(covariance).sum())
    quantile = trace * (1 / n + 1 / m) * chi_squared_quantile(1 - alpha, freedom) / freedom
    return Shift((distance / trace) ** 0.5, (quantile / trace) ** 0.5)


def mmd_shift(reference: Vectors, current: Vectors, alpha: float, seed: int = 0) -> Shift:
    """Squared maximum mean discrepancy of [n, p] and [m, p]: unbiased, Gaussian kernel, median bandwidth.

    ``chance`` is the upper ``alpha`` quantile over random permutations of who belongs where (Gretton et al.,
    "A Kernel Two-Sample Test", JMLR 2012, equation 3 and section 5). Works on [n + m, n + m].
    """
    n, m = len(reference), len(current)
    if min(n, m) < 2:
        return Shift(0.0, 0.0)
    kernel = _kernel(np.concatenate([reference, current]))
    belongs = np.zeros((1 + PERMUTATIONS, n + m), np.float32)
    belongs[0, :n] = 1.0
    rng = np.random.default_rng(seed)
    belongs[1:] = rng.permuted(np.tile(belongs[0], (PERMUTATIONS, 1)), axis=1)
    within = ((belongs @ kernel) * belongs).sum(axis=1, dtype=np.float64)
    touching = belongs @ kernel.sum(axis=1)
    between = touching - within
    others = kernel.sum(dtype=np.float64) - within - 2 * between
    squared = within / (n * (n - 1)) + others / (m * (m - 1)) - 2 * between / (n * m)
    return Shift(float(squared[0]), float(np.quantile(squared[1:], 1 - alpha)))


def _kernel(points: Vectors) -> Vectors:
    """Gaussian kernel [n, n], 0 on the diagonal; its width is the median distance of two points."""
    norms = np.square(points).sum(axis=1)
    squared = np.maximum(norms[:, None] + norms[None, :] - 2 * points @ points.T, 0.0)
    median = float(np.median(squared[np.triu_indices(len(points), 1)]))
    kernel: Vectors = np.exp(-squared / max(median, 1e-12)).astype(np.float32)
    np.fill_diagonal(kernel, 0.0)
    return kernel


@lru_cache(maxsize=4)
def _projection(width: int) -> Vectors:
    drawn = np.random.default_rng(SEED).standard_normal((width, PROJECTED), dtype=np.float32)
    return drawn / np.float32(PROJECTED**0.5)
