"""How much of a ranking a cheaper model keeps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
_ROWS = 1_024


def neighbour_overlap(one: Vectors, other: Vectors, k: int = 10) -> float:
    """Mean share of each item's k nearest others that two models agree on.

    ``one`` [n, d] and ``other`` [n, d'] are unit vectors of the same items, in dimensions of their own. 1
    where there are no k others.
    """
    if len(one) <= k:
        return 1.0
    shares = []
    for start in range(0, len(one), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(one)))
        pairs = zip(_nearest(one, rows, k).tolist(), _nearest(other, rows, k).tolist())
        shares += [len(set(mine) & set(theirs)) / k for mine, theirs in pairs]
    return float(np.mean(shares))


def _nearest(vectors: Vectors, rows: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    scores = vectors[rows] @ vectors.T
    scores[np.arange(len(rows)), rows] = -np.inf
    return np.argpartition(-scores, k - 1, axis=1)[:, :k].astype(np.int64)
