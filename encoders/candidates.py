"""The first stage offline: a few hundred candidates a user, as Qdrant retrieves them for the worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from encoders.batching import Sequences, pad
from encoders.config import DAY_SECONDS
from encoders.covisitation import CovisitationConfig, Neighbours, count
from encoders.feature_columns import HAD_DECAY
from encoders.features import (
    DETAILED,
    MAX_HISTORY,
    PADDING,
    SLOW,
    Catalogue,
    Floats,
    Histories,
    Integers,
    features,
)
from encoders.runtime import ServingModel

MAX_EVENTS = 50
"""Newest events that the interest is made from."""
SPARE: Final = 200
"""Co-visited items beyond those asked for, at most, in place of those that are hidden from a user."""
NEW_SECONDS: Final = 30 * DAY_SECONDS
"""Items that came within this time before the newest are new."""
ROWS = 128
"""Users at a time: bounds the score matrices to 128 x n floats."""


@dataclass(frozen=True, slots=True)
class CandidateCounts:
    """How many candidates each source gives at most."""

    dense: int = 50
    """Nearest to the user's interest."""
    covisited: int = 60
    """Of those that the user's events speak for."""
    trending: int = 10
    """The same for everybody, less what is hidden from a user. In data without times: the most popular."""
    new: int = 10
    """Likewise; in data without times: none."""
    again: int = 50
    """Of what the user had, most often and lately, where things are had twice."""


ORDER_ONLY: Final = CandidateCounts(dense=100, covisited=150, trending=20)
"""For data without times, where asking costs little."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The candidates of a batch of users, and the plain score that orders everything without a ranker."""

    candidates: Integers
    """[b, c], ``PADDING`` where sources agree or have nothing."""
    fused: Floats
    """[b, n], of all items."""
    features: Floats
    """[b, c, F]"""


class Retriever:
    """Retrieves and describes candidates from one catalogue."""

    def __init__(
        self, catalogue: Catalogue, exponent: float = 0.25, counts: CandidateCounts | None = None
    ) -> None:
        self._catalogue = catalogue
        self._neighbours: Neighbours = catalogue.neighbours.normalised(exponent)
        self._counts = counts or ORDER_ONLY

    def batches(self, histories: Histories, interests: Floats) -> Iterator[Retrieved]:
        """All users [b] with interests [b, d], ``ROWS`` at a time."""
        for start in range(0, len(interests), ROWS):
            rows = slice(start, start + ROWS)
            yield self.retrieve(Histories(histories.items[rows], histories.weights[rows]), interests[rows])

    def retrieve(self, histories: Histories, interests: Floats) -> Retrieved:
        """Candidates of one batch of users."""
        dense, covisited = interests @ self._catalogue.vectors.T, self.covisited(histories)  # [b, n] each
        candidates = self._candidates(dense, covisited)
        found = features(histories, interests, candidates, self._catalogue)
        return Retrieved(candidates, fused(dense, covisited, histories), found)

    def covisited(self, histories: Histories) -> Floats:
        """Decayed sum of the neighbours of each user's events: -> [b, n]."""
        newest = histories.newest(DETAILED)
        places = np.arange(newest.items.shape[1], dtype=np.float32)
        return self._neighbours.scores(newest.items, newest.weights * np.float32(SLOW) ** places)

    def _candidates(self, dense: Floats, covisited: Floats) -> Integers:
        counts = self._counts
        popular = _best(self._catalogue.popularity[None], counts.trending)
        covisit = _best(covisited, counts.covisited)
        covisit[np.take_along_axis(covisited, covisit, axis=1) <= 0] = PADDING
        together = np.concatenate(
            [_best(dense, counts.dense), covisit, np.repeat(popular, len(dense), axis=0)], axis=1
        )
        together.sort(axis=1)
        together[:, 1:][together[:, 1:] == together[:, :-1]] = PADDING
        return together


def fused(dense: Floats, covisited: Floats, histories: Histories, weight: float = 1.0) -> Floats:
    """Similarity plus co-visitation relative to the user's best, what the history holds last: [b, n]."""
    best = np.maximum(covisited.max(axis=1, keepdims=True), 1e-9)
    scores: Floats = dense + np.float32(weight) * covisited / best
    rows, places = np.nonzero(histories.weights)
    scores[rows, histories.items[rows, places]] -= 10.0
    return scores


def had(histories: Histories, k: int) -> Integers:
    """The k items that each user had most often and most lately, [b, at most k], in no order, padded."""
    rows, places = np.nonzero(histories.weights)
    n = int(histories.items.max(initial=0)) + 1
    keys, where = np.unique(rows * n + histories.items[rows, places], return_inverse=True)
    sums = np.bincount(where, HAD_DECAY**places, minlength=len(keys))
    owners, items = np.divmod(keys, n)
    order = np.lexsort((-sums, owners))
    counts = np.bincount(owners, minlength=len(histories.items))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.full((len(histories.items), min(k, int(counts.max(initial=0)))), PADDING)
    kept = rank < k
    found[owners[order[kept]], rank[kept]] = items[order[kept]]
    return found


def interests_of(model: ServingModel, vectors: Floats, histories: Sequences) -> Floats:
    """Interest vectors [n, d] after whole histories, by the model's own graph."""
    starts = np.maximum(histories.offsets[:-1], histories.offsets[1:] - MAX_EVENTS)
    pieces = np.stack([starts, histories.offsets[1:]], axis=1)  # [n, 2]
    interests = np.empty((len(histories), vectors.shape[1]), dtype=np.float32)
    by_length = np.argsort(pieces[:, 1] - pieces[:, 0], kind="stable")
    for start in range(0, len(histories), 512):
        rows = by_length[start : start + 512]
        batch = pad(histories, pieces[rows])
        interests[rows] = model.prefill(vectors[batch.items], batch.event_types, batch.gaps, batch.lengths)[1]
    return interests


def newest_first(histories: Sequences) -> Histories:
    """The newest ``MAX_HISTORY`` events of each history, as features read them."""
    lengths = np.minimum(np.diff(histories.offsets), MAX_HISTORY)
    places = np.arange(max(int(lengths.max(initial=1)), 1))
    real = places < lengths[:, None]  # [n, t]
    at = np.where(real, histories.offsets[1:, None] - 1 - places, 0)
    return Histories(np.where(real, histories.items[at], 0), real.astype(np.float32))


def catalogue_of(vectors: Floats, evidence: Sequences, config: CovisitationConfig) -> Catalogue:
    """Vectors [n, d] with co-visitation and popularity counted from what users did."""
    popularity = np.bincount(evidence.items, minlength=len(vectors)).astype(np.float32)
    return Catalogue(vectors, count(evidence, len(vectors), config), popularity)


def _best(scores: Floats, k: int) -> Integers:
    """[b, n] -> [b, min(k, n)], in no particular order."""
    k = min(k, scores.shape[1])
    if k == scores.shape[1]:
        return np.tile(np.arange(k), (len(scores), 1))
    return np.argpartition(-scores, k - 1, axis=1)[:, :k].astype(np.int64)
