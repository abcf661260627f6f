"""Lists that were made elsewhere, in an environment of their own, replayed like any other method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from encoders.evaluation.streaming import StreamingMethod
from encoders.evaluation.timeline import Basket, Events, Floats, Integers


class FixedLists(StreamingMethod):
    """Scores 1 / place in the list that was made for a user at a time; no list says nothing."""

    def __init__(self, name: str, lists: Mapping[tuple[int, float], Integers]) -> None:
        """``lists``: (user, seconds) -> item indices [at most k], best first, -1 padding."""
        self.name = name
        self._lists = lists

    def _start(self, past: Events) -> None:
        """The lists were made from it."""

    def _learn(self, baskets: Sequence[Basket]) -> None:
        """The lists are made."""

    def _scores(self, users: Integers, seconds: Floats) -> Floats:
        scores = np.zeros((len(users), self._stage.n_items))
        for row, key in enumerate(zip(users.tolist(), seconds.tolist())):
            items = self._lists.get(key, np.empty(0, dtype=np.int64))
            items = items[items >= 0]
            scores[row, items] = 1.0 / np.arange(1, len(items) + 1)
        return scores
