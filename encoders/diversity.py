"""Diversity of ranked lists: Maximal Marginal Relevance and caps, a batch of users at a time. Pure numpy.

Carbonell, Goldstein: "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
Summaries" (SIGIR 1998). Item after item is chosen that is best by::

    (1 - strength) · relevance - strength · (largest cosine to an item chosen before)

which for the first item is its relevance alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NO_ITEM: Final = -1
"""In an order: the list has ended."""
NO_CODE: Final = -1
"""In a cap: the item belongs to no group and is never held back."""


class Cap(NamedTuple):
    """At most ``limit`` (1 or more) of each code in a list; codes [b, m] as of categories or brands."""

    codes: Integers
    limit: int


def scaled(scores: Floats) -> Floats:
    """Scores [b, m] of any scale -> relevance: 0 (a user's worst) to 1 (their best); -inf stays."""
    real = np.isfinite(scores)
    best = np.where(real, scores, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    worst = np.where(real, scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    span = np.where(best > worst, best - worst, 1.0)
    relevance: Floats = np.where(real, 1.0 + (scores - np.where(real, best, 0.0)) / span, -np.inf)
    return relevance.astype(np.float32, copy=False)


def mmr(
    relevance: Floats, vectors: Floats | None, strength: float, k: int, caps: Sequence[Cap] = ()
) -> Integers:
    """Choose k of m candidates for each of b users: -> order [b, k], places in the candidates' axis.

    ``relevance`` [b, m] is best first, 0 to 1, with -inf for padding at the end; ``vectors`` [b, m, d] have
    unit length and may be None at ``strength`` 0 (of 0 to 1). A list that caps or padding leave short ends in
    ``NO_ITEM``: nothing is filled in. Equal candidates are chosen in their order.
    """
    if strength == 0 and not caps:
        return _plain(relevance, k)
    free = np.isfinite(relevance)  # [b, m]: may be chosen still
    value = np.where(free, relevance, np.float32(0)) * np.float32(1 - strength)
    similar = None if strength == 0 or vectors is None else vectors @ vectors.transpose(0, 2, 1)  # [b, m, m]
    return _greedy(value, free, similar, strength, k, [_Room(cap) for cap in caps])


def _plain(relevance: Floats, k: int) -> Integers:
    """The first k as they stand."""
    kept = relevance[:, :k]
    order = np.full((len(relevance), k), NO_ITEM, dtype=np.int64)
    order[:, : kept.shape[1]] = np.where(np.isfinite(kept), np.arange(kept.shape[1]), NO_ITEM)
    return order


def _greedy(
    value: Floats, free: Mask, similar: Floats | None, strength: float, k: int, rooms: list[_Room]
) -> Integers:
    """One place of all lists at a time; ``free`` is used up."""
    users = np.arange(len(value))
    order = np.full((len(value), k), NO_ITEM, dtype=np.int64)
    nearest: Floats | None = None  # [b, m]: largest cosine to a chosen item
    for place in range(min(k, value.shape[1])):
        score = value if nearest is None else value - np.float32(strength) * nearest
        chosen = np.where(free, score, -np.inf).argmax(axis=1)  # [b]
        going = free[users, chosen]
        if not going.any():
            break
        order[going, place] = chosen[going]
        free[users, chosen] = False
        for room in rooms:
            room.take(users, chosen, free)
        if similar is not None:
            rows = similar[users, chosen]
            nearest = rows if nearest is None else np.maximum(nearest, rows, out=nearest)
    return order


class _Room:
    """How many more of each candidate's group [b, m] a list takes."""

    def __init__(self, cap: Cap) -> None:
        self._codes = cap.codes
        self._left = np.full(cap.codes.shape, cap.limit)

    def take(self, users: Integers, chosen: Integers, free: Mask) -> None:
        """Count the items just chosen [b]; take what no longer has room out of ``free``."""
        code = self._codes[users, chosen][:, None]
        self._left -= (self._codes == code) & (code != NO_CODE)
        free &= self._left > 0
