"""The progressive protocol for data with times: recommend, then learn, on one global clock.

A method learns from what lies before a moment; what comes after is replayed in order, in chunks of baskets of
distinct users: it recommends for all of a chunk, then it observes it (prequential evaluation: Gama et al.,
"On evaluating stream learning algorithms", 2013; Vinagre et al., "Evaluation of recommender systems in
streaming environments", 2014). A global split lets nothing of the future in (Ji et al., "A critical study on
data leakage in recommender system offline evaluation", TOIS 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from encoders.evaluation.timeline import (
    CHUNK,
    Basket,
    Events,
    Floats,
    Integers,
    Mask,
    Stage,
    Timeline,
    Vectors,
    baskets_of,
    chunks_of,
)

__all__ = ["Basket", "Events", "ProgressiveMethod", "Replayed", "Stage", "replay", "run", "validation"]

QUANTILE = 0.8
"""Share of the events that is the past; of the past, the share that tuning fits on."""
LENGTH = 20
"""Of the lists that are kept: the largest cutoff."""
PADDING = -1
NO_PROGRESS: Callable[[int, int], None] = lambda done, total: None  # noqa: E731


class ProgressiveMethod(Protocol):
    """One way to recommend that keeps learning, as a running system does."""

    @property
    def name(self) -> str:
        """In tables and files."""

    def fit(self, past: Events, stage: Stage) -> None:
        """Learn from what lies before the split; called once, before anything else."""

    def recommend(self, users: Integers, seconds: Floats, k: int) -> Integers:
        """Lists for users [b] at their times [b]: item indices, best first, -1 padding -> [b, at most k].

        Only items that have arrived by then. What a user had need not be left out: the caller asks for
        more and cuts, where ``Stage.repeats`` is false.
        """

    def observe(self, baskets: Sequence[Basket]) -> None:
        """What the users of the last lists did; in time order."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay, b baskets in time order."""

    users: Integers
    """[b]"""
    seconds: Floats
    """[b]"""
    lists: Integers
    """[b, LENGTH], -1 padding."""
    targets: Integers
    """[b, t]: the distinct items of each basket, -1 padding."""

    @property
    def ranks(self) -> Integers:
        """[b, t]: each target's place in its list from 1, LENGTH + 1 where it is not there, 0 for padding."""
        row, place = np.nonzero(self.targets != PADDING)
        hits = self.lists[row] == self.targets[row, place][:, None]  # [all targets, LENGTH]
        ranks = np.zeros(self.targets.shape, dtype=np.int64)
        ranks[row, place] = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, self.lists.shape[1] + 1)
        return ranks


def run(
    method: ProgressiveMethod,
    timeline: Timeline,
    text_vectors: Vectors | None = None,
    *,
    quantile: float = QUANTILE,
    progress: Callable[[int, int], None] = NO_PROGRESS,
) -> tuple[Replayed, Stage]:
    """Split the timeline at ``quantile`` of its events, fit the method on the past and replay the rest."""
    past, future = timeline.events.split(quantile)
    stage = timeline.stage(float(future.seconds[0]), text_vectors)
    method.fit(past, stage)
    return replay(method, past, future, stage, progress=progress), stage


def validation(timeline: Timeline, quantile: float = QUANTILE) -> Timeline:
    """The past alone: running it splits it again, so that settings are chosen without the test part."""
    past, _ = timeline.events.split(quantile)
    return Timeline(timeline.name, past, timeline.user_ids, timeline.items, timeline.repeats)


def replay(
    method: ProgressiveMethod,
    past: Events,
    future: Events,
    stage: Stage,
    *,
    size: int = CHUNK,
    progress: Callable[[int, int], None] = NO_PROGRESS,
) -> Replayed:
    """Recommend for each chunk of baskets, then let the method observe it; ``progress(done, total)``."""
    baskets = baskets_of(future)
    had = _Had(past, stage)
    lists, targets = [], []
    done = 0
    for chunk in chunks_of(baskets, size):
        users = np.array([basket.user for basket in chunk], dtype=np.int64)
        seconds = np.array([basket.seconds for basket in chunk])
        found = method.recommend(users, seconds, min(LENGTH + had.longest(users), stage.n_items))
        lists.append(_cut(found, (stage.arrivals > seconds[:, None]) | had.mask(users)))
        targets += [had.without(basket) for basket in chunk]
        method.observe(chunk)
        had.add(chunk)
        done += len(chunk)
        progress(done, len(baskets))
    return Replayed(
        np.array([basket.user for basket in baskets], dtype=np.int64),
        np.array([basket.seconds for basket in baskets]),
        np.concatenate(lists),
        _padded(targets),
    )


class _Had:
    """What each user had, where that may be neither recommended nor a target."""

    def __init__(self, past: Events, stage: Stage) -> None:
        self._stage = stage
        self._items: dict[int, set[int]] = {}
        self.add(baskets_of(past))

    def add(self, baskets: Sequence[Basket]) -> None:
        if not self._stage.repeats:
            for basket in baskets:
                self._items.setdefault(basket.user, set()).update(basket.items.tolist())

    def longest(self, users: Integers) -> int:
        return max(len(self._items.get(user, ())) for user in users.tolist())

    def mask(self, users: Integers) -> Mask:
        """[b, n_items]"""
        mask = np.zeros((len(users), self._stage.n_items), dtype=np.bool_)
        for row, user in enumerate(users.tolist()):
            mask[row, list(self._items.get(user, ()))] = True
        return mask

    def without(self, basket: Basket) -> Integers:
        """The basket's targets: its distinct items."""
        items = np.unique(basket.items)
        return items[~np.isin(items, list(self._items.get(basket.user, ())))]


def _cut(lists: Integers, forbidden: Mask) -> Integers:
    """Drop what is forbidden [b, n] or stands there twice, close the gaps: [b, k] -> [b, LENGTH]."""
    cut = np.full((len(lists), LENGTH), PADDING, dtype=np.int64)
    for row, (found, out) in enumerate(zip(lists, forbidden)):
        real = found[found != PADDING]
        _, first = np.unique(real, return_index=True)
        kept = real[np.sort(first)]
        kept = kept[~out[kept]][:LENGTH]
        cut[row, : len(kept)] = kept
    return cut


def _padded(rows: Sequence[Integers]) -> Integers:
    padded = np.full((len(rows), max(map(len, rows), default=0)), PADDING, dtype=np.int64)
    for at, row in enumerate(rows):
        padded[at, : len(row)] = row
    return padded
