"""Population stability: whether counts over buckets come from the reference's distribution. Pure.

Buckets are hashes of names (categories, items), so that counts of all workers add up without a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]

BUCKETS = 64
SMOOTHING = 0.5
"""Added to every bucket that is used (Jeffreys' prior): an empty one has a finite logarithm."""
LEAST_EXPECTED = 5.0
"""Buckets with fewer expected events go together: below, chi-squared is no approximation (Cochran 1954)."""
SCORE_BINS = 10


class Stability(NamedTuple):
    """A population stability index, and the largest that chance makes of an unchanged population."""

    value: float
    chance: float


def bucket(name: str) -> int:
    """The bucket of a name, the same in every process."""
    return crc32(name.encode("utf-8", "surrogatepass")) % BUCKETS


def stability(reference: Counts, current: Counts, alpha: float, dispersion: float = 1.0) -> Stability:
    """Compare counts [b] with counts [b]: sum of (p - q) ln(p / q), of the shares p and q.

    Under no change, ``value / (1 / n + 1 / m)`` is chi-squared with one degree of freedom less than buckets
    (Yurdakul, "Statistical Properties of Population Stability Index", 2018); ``chance`` is its upper
    ``alpha`` quantile. ``dispersion``: how much more windows differ than independent events would.
    """
    old, new = _gathered(reference, current)
    n, m = float(old.sum()), float(new.sum())
    if not n or not m or len(old) < 2:
        return Stability(0.0, 0.0)
    p, q = (old + SMOOTHING) / (n + SMOOTHING * len(old)), (new + SMOOTHING) / (m + SMOOTHING * len(new))
    value = float(((p - q) * np.log(p / q)).sum())
    return Stability(value, dispersion * chi_squared_quantile(1 - alpha, len(old) - 1) * (1 / n + 1 / m))


def dispersion(windows: Sequence[Counts]) -> float:
    """By how much windows of the reference differ more than independent events would, at least 1.

    Pearson's chi-squared of homogeneity over its degrees of freedom: events of one user come in bursts, and a
    threshold for independent ones would be too low (Rao and Scott, Annals of Statistics 1984, first order).
    """
    table = np.stack(windows).astype(np.float64)  # [w, b]
    table = table[:, table.sum(axis=0) >= LEAST_EXPECTED * len(table)]
    total = table.sum()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    if freedom < 1 or not table.sum(axis=1).all():
        return 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / total
    statistic = float(((table - expected) ** 2 / expected).sum())
    return max(1.0, statistic / float(freedom))


def score_counts(reference: Values, current: Values) -> tuple[Counts, Counts]:
    """Counts of both over the deciles of the reference: values [n], [m] -> [10], [10]."""
    if not len(reference) or not len(current):
        return np.zeros(SCORE_BINS, np.int64), np.zeros(SCORE_BINS, np.int64)
    edges = np.quantile(reference, np.arange(1, SCORE_BINS) / SCORE_BINS)
    old, new = (
        np.bincount(np.searchsorted(edges, values), minlength=SCORE_BINS).astype(np.int64)
        for values in (reference, current)
    )
    return old, new


def chi_squared_quantile(probability: float, freedom: float) -> float:
    """The quantile of chi-squared by Wilson and Hilferty (PNAS 1931): less than 2 % off from 3 degrees on."""
    z = NormalDist().inv_cdf(probability)
    spread = 2.0 / (9.0 * freedom)
    return float(freedom * max(0.0, 1.0 - spread + z * spread**0.5) ** 3)


def _gathered(reference: Counts, current: Counts) -> tuple[Values, Values]:
    """Both, the buckets in which little is expected gathered into one."""
    both = (reference + current).astype(np.float64)
    smaller = min(reference.sum(), current.sum()) / max(both.sum(), 1.0)
    rare = both * smaller < LEAST_EXPECTED
    old, new = (np.append(counts[~rare], counts[rare].sum()) for counts in (reference, current))
    used = old + new > 0
    return old[used], new[used]
