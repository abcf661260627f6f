"""The running system's two stages in the progressive protocol: a model with its ranker, growing evidence.

Several ways to order the same candidates may be compared in one replay: what users did, the evidence and the
features are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from encoders.diversity import NO_ITEM, mmr, scaled
from encoders.evaluation.progressive import LENGTH, Replayed
from encoders.evaluation.timeline import Basket, Events, Floats, Integers, Stage, baskets_of
from encoders.events import Item
from encoders.features import PADDING
from encoders.replayed_worker import SLAB, USUAL, Asked, ReplayConfig, ReplayedWorker
from encoders.runtime import ServingModel
from encoders.two_stage import Rank

SHORTLIST = 3
"""Times the list's length that diversity chooses from."""


@dataclass(frozen=True, slots=True)
class Ordering:
    """What makes a list of candidates."""

    rank: Rank
    diversity: float = 0.0
    """Strength of maximal marginal relevance, 0 to 1."""


class ProgressiveTwoStage:
    """A ``ProgressiveMethod``: candidates of all sources, in the order of the model's ranker or of others."""

    name = "two-stage"

    def __init__(
        self,
        model: ServingModel,
        items: Sequence[Item],
        config: ReplayConfig = USUAL,
        orderings: Mapping[str, Ordering] | None = None,
    ) -> None:
        """``items``: of the timeline, in its order. ``orderings`` by name: lists are by the first of them."""
        self._model, self._items, self._config = model, items, config
        self._orderings = orderings or {self.name: Ordering(model.rank)}
        self._lists: dict[str, list[Integers]] = {name: [] for name in self._orderings}

    def fit(self, past: Events, stage: Stage) -> None:
        """Learn the past as the stream it was. The ranker is trained before."""
        self._worker = ReplayedWorker(self._model, stage, self._items, self._config)
        baskets = baskets_of(past)
        for start in range(0, len(baskets), SLAB):
            self._worker.learn(baskets[start : start + SLAB])

    def recommend(self, users: Integers, seconds: Floats, k: int) -> Integers:
        """Lists for users [b] at their times [b] -> [b, LENGTH], padded; nothing in them needs to be cut."""
        for user, when in zip(users.tolist(), seconds.tolist()):
            asked = self._worker.ask(user, when)
            for name, ordering in self._orderings.items():
                self._lists[name].append(self._list(asked, ordering))
        first = next(iter(self._orderings))
        return np.stack(self._lists[first][-len(users) :])

    def observe(self, baskets: Sequence[Basket]) -> None:
        """Learn a chunk of baskets."""
        self._worker.learn(baskets)

    def replays(self, first: Replayed) -> dict[str, Replayed]:
        """What came of every ordering, where ``first`` is what came of the replay."""
        return {name: replace(first, lists=np.stack(lists)) for name, lists in self._lists.items()}

    def _list(self, asked: Asked, ordering: Ordering) -> Integers:
        found = np.full(LENGTH, PADDING, np.int64)
        items, scores = asked.best(ordering.rank, SHORTLIST * LENGTH)
        vectors = self._worker.vectors[items][None] if ordering.diversity else None
        order = mmr(scaled(scores[None]), vectors, ordering.diversity, LENGTH)[0]
        chosen = items[order[order != NO_ITEM]]
        found[: len(chosen)] = chosen
        return found
