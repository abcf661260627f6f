"""How much of a ranking a cheaper model keeps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
_ROWS = 1_024


def neighbour_overlap(one: Vectors, other: Vectors, k: int = 10, rows: Integers | None = None) -> float:
    """Mean share of each item's k nearest others that two models agree on.

    ``one`` [n, d] and ``other`` [n, d'] are unit vectors of the same items, in dimensions of their own;
    ``rows``: of these items alone. 1 where there are no k others.
    """
    if len(one) <= k:
        return 1.0
    asked = np.arange(len(one)) if rows is None else rows
    return _agreement((one[asked], one), (other[asked], other), k, asked)


def list_overlap(one: tuple[Vectors, Vectors], other: tuple[Vectors, Vectors], k: int = 10) -> float:
    """Mean share of the k items nearest to each of q interests that two models agree on.

    A model is its interests [q, d] and its item vectors [n, d], unit length. 1 where there are no more than
    k items.
    """
    return 1.0 if len(one[1]) <= k else _agreement(one, other, k, None)


def _agreement(
    one: tuple[Vectors, Vectors], other: tuple[Vectors, Vectors], k: int, own: Integers | None
) -> float:
    shares = []
    for start in range(0, len(one[0]), _ROWS):
        part = slice(start, start + _ROWS)
        itself = None if own is None else own[part]
        mine, theirs = (_nearest(asked[part], items, k, itself).tolist() for asked, items in (one, other))
        shares += [len(set(a) & set(b)) / k for a, b in zip(mine, theirs, strict=True)]
    return float(np.mean(shares))


def _nearest(asked: Vectors, items: Vectors, k: int, itself: Integers | None) -> Integers:
    scores = asked @ items.T
    if itself is not None:
        scores[np.arange(len(asked)), itself] = -np.inf
    return np.argpartition(-scores, k - 1, axis=1)[:, :k].astype(np.int64)
