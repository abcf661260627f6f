"""Bootstrap intervals that draw whole users: what one user does next is like what he did before."""

from __future__ import annotations

import numpy as np

from encoders.evaluation.metrics import Ranks, Values

DRAWS = 1_000
LEVEL = 0.95
_AT_ONCE = 2_000_000
"""Drawn users held in memory at a time."""


def interval_by_user(
    values: Values, users: Ranks, *, seed: int = 0, draws: int = DRAWS, level: float = LEVEL
) -> tuple[float, float]:
    """Percentile interval of the mean of ``values`` [cases], users [cases] drawn with all their cases.

    The cluster bootstrap (Davison & Hinkley, Bootstrap Methods, 1997, 3.8): as many users as there are, with
    replacement; the mean is over the cases of the drawn. The same seed gives the same interval, and the same
    draws for any values of the same cases. Not a number where there are no cases.
    """
    if not len(values):
        return float("nan"), float("nan")
    _, owner = np.unique(users, return_inverse=True)
    sums, counts = np.bincount(owner, values), np.bincount(owner).astype(np.float64)  # [users]
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // len(sums))
    means = []
    for start in range(0, draws, step):
        drawn = rng.integers(0, len(sums), (min(step, draws - start), len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def difference_by_user(
    ours: Values, theirs: Values, users: Ranks, *, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of ``ours - theirs`` [cases], paired case by case, and the ends of its interval by user."""
    difference = ours - theirs
    return float(difference.mean()), *interval_by_user(difference, users, seed=seed)
