"""What streaming baselines share: users' histories, a popularity board, scores that become lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import Self

import numpy as np

from encoders.config import DAY_SECONDS
from encoders.evaluation.timeline import Basket, Events, Floats, Integers, Stage, baskets_of

TYPE_WEIGHTS = np.array([1.0, 3.0, 2.0, 0.0, 1.0])
"""By ``EventType``: click, purchase, cart, dislike, rating."""
OWN_LENGTH = 1_000
"""Newest events of a user's own history that count."""
FILL = 1e-6
"""Of a row's largest score: what popularity adds, so that it orders only what a method is silent about."""


class UserHistories:
    """Every user's events, oldest first."""

    def __init__(self) -> None:
        self._items: defaultdict[int, list[int]] = defaultdict(list)
        self._types: defaultdict[int, list[int]] = defaultdict(list)
        self._seconds: defaultdict[int, list[float]] = defaultdict(list)

    def add(self, basket: Basket) -> None:
        """Append a basket's lines."""
        self._items[basket.user] += basket.items.tolist()
        self._types[basket.user] += basket.event_types.tolist()
        self._seconds[basket.user] += [basket.seconds] * len(basket.items)

    def length(self, user: int) -> int:
        """How many events a user has."""
        return len(self._items.get(user, ()))

    def newest(self, user: int, length: int) -> Events:
        """At most ``length`` newest events of a user, oldest first."""
        items = np.array(self._items.get(user, [])[-length:], dtype=np.int64)
        types = np.array(self._types.get(user, [])[-length:], dtype=np.int64)
        seconds = np.array(self._seconds.get(user, [])[-length:], dtype=np.float64)
        return Events(np.full(len(items), user), items, types, seconds)


class PopularityBoard:
    """Events of each item in a sliding window of time; ``window_seconds`` infinite: of all time."""

    def __init__(self, n_items: int, window_seconds: float = np.inf) -> None:
        self._counts = np.zeros(n_items)
        self._window = window_seconds
        self._parts: list[tuple[float, Integers]] = []
        self._first = 0

    def add(self, items: Integers, seconds: Floats) -> None:
        """Count events [e] in time order, none before those that were added."""
        np.add.at(self._counts, items, 1.0)
        if np.isfinite(self._window) and len(items):
            starts = np.flatnonzero(np.r_[True, np.diff(seconds) > 0])
            self._parts += list(zip(seconds[starts].tolist(), np.split(items, starts[1:])))

    def at(self, seconds: float) -> Floats:
        """[n_items]: events from ``seconds - window`` on; ``seconds`` never falls from call to call."""
        while self._first < len(self._parts) and self._parts[self._first][0] < seconds - self._window:
            np.subtract.at(self._counts, self._parts[self._first][1], 1.0)
            self._first += 1
        return self._counts


class StreamingMethod(ABC):
    """A ``ProgressiveMethod`` that scores all items.

    Shops live from people who buy again, so every method may add the user's own history to its scores; and
    where they say nothing, the events of the last 7 days do.
    """

    name: str
    _own, _own_decay = 0.0, 1.0

    def adding_own(self, own: float = 0.0, own_decay: float = 1.0) -> Self:
        """Add what the user had: ``own``, as a share of the largest score, to the item he had most often,
        less to the others, older events counting less by ``own_decay`` each step.
        """
        self._own, self._own_decay = own, own_decay
        return self

    def fit(self, past: Events, stage: Stage) -> None:
        """Learn the past."""
        self._stage = stage
        self._histories = UserHistories()
        self._fallback = PopularityBoard(stage.n_items, 7 * DAY_SECONDS)
        self._fallback.add(past.items, past.seconds)
        for basket in baskets_of(past):
            self._histories.add(basket)
        self._start(past)

    def recommend(self, users: Integers, seconds: Floats, k: int) -> Integers:
        """Users [b] at times [b] -> [b, k], best first."""
        scores = self._scores(users, seconds)  # [b, n_items]
        if self._own:
            largest = np.maximum(scores.max(axis=1, keepdims=True), FILL)
            scores = scores + self._own * largest * self._own_history(users, self._own_decay)
        popular = self._fallback.at(float(seconds.min()))
        scale = FILL * np.maximum(np.abs(scores).max(axis=1, keepdims=True), FILL)
        scores = scores + scale * popular / max(float(popular.max()), 1.0)
        return best(np.where(self._stage.arrivals <= seconds[:, None], scores, -np.inf), k)

    def observe(self, baskets: Sequence[Basket]) -> None:
        """Learn a chunk of baskets."""
        self._learn(baskets)
        for basket in baskets:
            self._histories.add(basket)
            self._fallback.add(basket.items, np.full(len(basket.items), basket.seconds))

    def _own_history(self, users: Integers, decay: float) -> Floats:
        """Decayed counts of what each user [b] had, the largest 1 -> [b, n_items]."""
        counts = np.zeros((len(users), self._stage.n_items))
        for row, user in enumerate(users.tolist()):
            items, weights = weighted_items(self._histories.newest(user, OWN_LENGTH), decay)
            np.add.at(counts[row], items, weights)
        shares: Floats = counts / np.maximum(counts.max(axis=1, keepdims=True), FILL)
        return shares

    @abstractmethod
    def _start(self, past: Events) -> None:
        """Learn the past; the histories hold it already."""

    @abstractmethod
    def _learn(self, baskets: Sequence[Basket]) -> None:
        """Learn baskets that the histories do not hold yet."""

    @abstractmethod
    def _scores(self, users: Integers, seconds: Floats) -> Floats:
        """[b, n_items]; 0 where nothing is known."""


def best(scores: Floats, k: int) -> Integers:
    """The k best of each row [b, n], best first, equal ones by index; -1 where a score is -infinite."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.where(np.isneginf(np.take_along_axis(scores, order, axis=1)), -1, order)


def weighted_items(history: Events, decay: float) -> tuple[Integers, Floats]:
    """Items of a history [t], oldest first; what each weighs: its type times ``decay ** age in events``."""
    weights = decay ** np.arange(len(history) - 1, -1, -1, dtype=np.float64)
    return history.items, weights * TYPE_WEIGHTS[history.event_types]
