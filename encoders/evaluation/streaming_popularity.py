"""The same list for everybody, or what a user had before: the floor for everything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.config import DAY_SECONDS
from encoders.evaluation.streaming import PopularityBoard, StreamingMethod
from encoders.evaluation.timeline import Basket, Events, Floats, Integers


class StreamingPopularity(StreamingMethod):
    """Events of each item in the last ``days``, counted up to the chunk before."""

    def __init__(self, days: float | None = None) -> None:
        self.name = "popularity" if days is None else f"popularity-{days:g}-days"
        self._window = np.inf if days is None else days * DAY_SECONDS

    def _start(self, past: Events) -> None:
        self._board = PopularityBoard(self._stage.n_items, self._window)
        self._board.add(past.items, past.seconds)

    def _learn(self, baskets: Sequence[Basket]) -> None:
        for basket in baskets:
            self._board.add(basket.items, np.full(len(basket.items), basket.seconds))

    def _scores(self, users: Integers, seconds: Floats) -> Floats:
        counts = self._board.at(float(seconds.min()))
        return np.broadcast_to(counts, (len(users), len(counts)))


class StreamingRepeats(StreamingMethod):
    """What the user had before, by decayed counts (personal popularity; Li et al., "A next basket
    recommendation reality check", TOIS 2023), then what is popular.
    """

    name = "own-history"

    def __init__(self, decay: float = 1.0) -> None:
        """``decay`` of older events, each step."""
        self._decay = decay

    def _start(self, past: Events) -> None:
        """The histories are all there is."""

    def _learn(self, baskets: Sequence[Basket]) -> None:
        """The histories learn."""

    def _scores(self, users: Integers, seconds: Floats) -> Floats:
        return self._own_history(users, self._decay)


class StreamingNewest(StreamingMethod):
    """The items that came last. A probe more than a rival: an item arrives because somebody is about to turn
    to it, so this is what recall of new items costs nothing to reach.
    """

    name = "newest"

    def _start(self, past: Events) -> None:
        """The stage knows all arrivals."""

    def _learn(self, baskets: Sequence[Basket]) -> None:
        """The stage knows all arrivals."""

    def _scores(self, users: Integers, seconds: Floats) -> Floats:
        ages: Floats = np.maximum(seconds[:, None] - self._stage.arrivals, 0.0)  # [b, n_items]
        return -ages
