"""Is a difference beyond noise? Paired, seeded; and how far vectors are from being all the same."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from encoders.evaluation.metrics import Values

Vectors = npt.NDArray[np.float32]


def mcnemar(champion: Values, challenger: Values) -> float:
    """One-sided exact McNemar test on hits [c], 0 or 1 (McNemar, Psychometrika 1947; exact: binomial).

    Of the cases that one model alone hits, how likely are so many or more for the challenger, if each is as
    likely for either? 1 where no case tells them apart.
    """
    gained = int(((challenger > 0) & ~(champion > 0)).sum())
    lost = int(((champion > 0) & ~(challenger > 0)).sum())
    told = gained + lost
    if gained == 0:
        return 1.0
    whole = math.lgamma(told + 1) - told * math.log(2.0)
    terms = [
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(told - k + 1)) for k in range(gained, told + 1)
    ]
    return min(1.0, math.fsum(terms))


def spread(vectors: Vectors) -> float:
    """1 - |mean|² of unit vectors [n, d]: 0 where all are the same, near 1 where they point everywhere.

    The mean of 1 - cosine over all pairs, a vector with itself included. Not a number where a vector is not
    finite, or where there are none.
    """
    if not len(vectors):
        return math.nan
    center = vectors.astype(np.float64).mean(axis=0)
    return float(1.0 - center @ center)
