"""The running system's two stages in the progressive protocol: a model with its ranker, growing evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.covisitation import CovisitationConfig
from encoders.evaluation.timeline import Basket, Events, Floats, Integers, Stage, baskets_of
from encoders.events import Item
from encoders.features import PADDING
from encoders.progressive_rows import SLAB
from encoders.replayed_worker import ReplayedWorker, Sources
from encoders.runtime import ServingModel


class ProgressiveTwoStage:
    """A ``ProgressiveMethod``: candidates of all sources, ranked by the model's ranker."""

    def __init__(
        self,
        model: ServingModel,
        items: Sequence[Item],
        *,
        name: str = "two-stage",
        config: CovisitationConfig | None = None,
        sources: Sources | None = None,
    ) -> None:
        """``items``: of the timeline, in its order."""
        self.name = name
        self._model, self._items = model, items
        self._config, self._sources = config, sources

    def fit(self, past: Events, stage: Stage) -> None:
        """Learn the past as the stream it was. The ranker is the model's, trained before."""
        self._worker = ReplayedWorker(self._model, stage, self._items, self._config, self._sources)
        baskets = baskets_of(past)
        for start in range(0, len(baskets), SLAB):
            self._worker.learn(baskets[start : start + SLAB])

    def recommend(self, users: Integers, seconds: Floats, k: int) -> Integers:
        """Lists for users [b] at their times [b] -> [b, k], padded."""
        lists = np.full((len(users), k), PADDING, np.int64)
        for row, (user, when) in enumerate(zip(users.tolist(), seconds.tolist())):
            found = self._worker.rank(user, when, k)
            lists[row, : len(found)] = found
        return lists

    def observe(self, baskets: Sequence[Basket]) -> None:
        """Learn a chunk of baskets."""
        self._worker.learn(baskets)
