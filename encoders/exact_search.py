"""The best of many scores, cheaply: the maxima of blocks give a bound that few scores reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

LARGEST_SCAN: Final = 50_000
"""Vectors: beyond, a graph in an engine is cheaper than looking at all of them."""
BLOCK: Final = 16
"""Scores a block. A block takes every n/16-th score, because maxima over the outer axis vectorise."""


def lower_bounds(scores: Floats, limits: Sequence[int]) -> Floats:
    """For each row of scores [q, n] one that at least ``limits[i]`` of its scores reach: -> [q].

    It is the limit-th largest maximum of a block; the lowest float where there are too few blocks.
    """
    q, n = scores.shape
    blocks = n // BLOCK
    lowest = np.full(q, -np.finfo(np.float32).max, np.float32)
    places = np.array([max(0, blocks - max(1, limit)) for limit in limits])
    if not places.any():
        return lowest
    maxima = scores[:, : blocks * BLOCK].reshape(q, BLOCK, blocks).max(axis=1)  # [q, blocks]
    ordered = np.partition(maxima, np.unique(places), axis=1)
    bounds = np.where(places > 0, ordered[np.arange(q), places], lowest)
    return np.maximum(bounds, lowest)


def top_rows(scores: Floats, k: int, padding: int = -1) -> Integers:
    """Places of the k largest of each row of scores [q, n], in no order: -> [q, k], padded.

    Scores of -inf are left out.
    """
    found = np.full((len(scores), k), padding, np.int64)
    if k < 1:
        return found
    for row, (own, bound) in enumerate(zip(scores, lower_bounds(scores, [k] * len(scores)), strict=True)):
        places = np.flatnonzero(own >= bound)
        if len(places) > k:
            places = places[np.argpartition(-own[places], k - 1)[:k]]
        found[row, : len(places)] = places
    return found
