"""What the season bench keeps of its replay: each question as it was asked, with what the user did then.

The evidence does not depend on who orders the candidates, so one replay gives every arm its lists, its rows
to train on and its cases for the gate. Torch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from encoders.evaluation.metrics import hit_rate, ndcg
from encoders.evaluation.progressive import LENGTH, PADDING, Replayed
from encoders.evaluation.timeline import Basket, Integers
from encoders.features import FEATURES, Floats
from encoders.gate.decision import Measured
from encoders.ranker import Ranker, RankingRows, rank_with
from encoders.replayed_worker import RECENT, Asked
from encoders.two_stage import Rank, scored

SLAB: Final = 128
"""Questions that are ranked at a time."""
CUTOFF: Final = 10


@dataclass(frozen=True, slots=True)
class Case:
    """One basket, asked about before it was learned."""

    basket: Basket
    asked: Asked
    """Its features in half precision, as rows to train on are."""
    cpu_seconds: float
    """Of finding and describing the candidates: what a trainer spends on the same question."""


class Cases:
    """All cases so far, in time order."""

    def __init__(self) -> None:
        self._cases: list[Case] = []
        self._seconds: list[float] = []

    def add(self, basket: Basket, asked: Asked, cpu_seconds: float) -> None:
        """Keep one; none is older than those before it."""
        half = replace(asked, features=asked.features.astype(np.float16))
        self._cases.append(Case(basket, half, cpu_seconds))
        self._seconds.append(basket.seconds)

    def between(self, start: float, end: float) -> list[Case]:
        """Those at ``start`` or later and before ``end``, in seconds since 1970-01-01 UTC."""
        return self._cases[bisect_left(self._seconds, start) : bisect_left(self._seconds, end)]


def rank_of(ranker: Ranker | None) -> Rank:
    """The ranker as a function; ``None``: the plain score."""
    return (lambda features: None) if ranker is None else rank_with(ranker)


def lists_of(asked: Sequence[Asked], rank: Rank) -> tuple[Integers, Floats]:
    """The best ``LENGTH`` candidates of each question and their scores, [b, LENGTH] each, -1 padding.

    The same as ``Asked.best`` question by question, many at a time.
    """
    found = [_lists(asked[start : start + SLAB], rank) for start in range(0, len(asked), SLAB)]
    items, scores = zip(*found, strict=True)
    return np.concatenate(items), np.concatenate(scores)


def rows_of(cases: Sequence[Case]) -> list[RankingRows]:
    """What a ranker learns from these cases: those with a target among the candidates, as one; or none."""
    kept = [case for case in cases if np.isin(case.asked.candidates, case.basket.items).any()]
    if not kept:
        return []
    candidates, features = _side_by_side([case.asked for case in kept], np.dtype(np.float16))
    targets = np.stack([np.isin(row, case.basket.items) for row, case in zip(candidates, kept, strict=True)])
    return [RankingRows(features, candidates != PADDING, targets)]


def measured(cases: Sequence[Case], rank: Rank) -> Measured:
    """NDCG and hits at ten of these cases [c] in the order of ``rank``."""
    lists, _ = lists_of([case.asked for case in cases], rank)
    ranks = replayed([case.basket for case in cases], lists).ranks
    return Measured(ndcg(ranks, CUTOFF), hit_rate(ranks, CUTOFF))


def replayed(baskets: Sequence[Basket], lists: Integers) -> Replayed:
    """Baskets [b] with the lists [b, LENGTH] that came before them."""
    targets = [np.unique(basket.items) for basket in baskets]
    padded = np.full((len(targets), max(map(len, targets))), PADDING, np.int64)
    for row, items in zip(padded, targets, strict=True):
        row[: len(items)] = items
    users = np.array([basket.user for basket in baskets], np.int64)
    return Replayed(users, np.array([basket.seconds for basket in baskets]), lists, padded)


def _lists(asked: Sequence[Asked], rank: Rank) -> tuple[Integers, Floats]:
    candidates, features = _side_by_side(asked, np.dtype(np.float32), LENGTH)
    known = np.array([one.known for one in asked])
    scores = np.where(known[:, None], scored(features, rank)[0], features[:, :, RECENT])
    scores = np.where(candidates == PADDING, -np.inf, scores).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :LENGTH]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _side_by_side(
    asked: Sequence[Asked], precision: np.dtype[np.floating], least: int = 0
) -> tuple[Integers, npt.NDArray[np.floating]]:
    """Candidates [b, c] and features [b, c, F] of several questions, padded; c is ``least`` or more."""
    width = max(least, *(len(one.candidates) for one in asked))
    candidates = np.full((len(asked), width), PADDING, np.int64)
    features = np.zeros((len(asked), width, len(FEATURES)), precision)
    for row, one in enumerate(asked):
        candidates[row, : len(one.candidates)] = one.candidates
        features[row, : len(one.candidates)] = one.features[0]
    return candidates, features
