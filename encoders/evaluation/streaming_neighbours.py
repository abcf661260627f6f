"""Session neighbours that learn while they replay: VSKNN over users' whole histories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.errors import DataError
from encoders.evaluation.streaming import StreamingMethod
from encoders.evaluation.timeline import Basket, Events, Floats, Integers

MAX_CELLS = 2_000_000_000
"""Users times items: one bit of knowledge a cell is held as a byte, twice."""


class StreamingNeighbours(StreamingMethod):
    """Vector multiplication session-based kNN (Ludewig & Jannach, UMUAI 2018), a user's events one session.

    The asking user's newest items weigh less with age; the most similar users vote for their items, by how
    late the newest common item stands in the asking history, times the item's inverse document frequency.
    """

    name = "vsknn"

    def __init__(
        self,
        neighbours: int = 200,
        decay: float = 0.9,
        length: int = 50,
        shrink: float = 0.5,
    ) -> None:
        """``decay`` of the ``length`` newest items, each step; ``shrink``: the power of a neighbour's number
        of items that divides his similarity (½: cosine).
        """
        self._k, self._decay, self._length = neighbours, decay, length
        self._shrink = shrink

    def _start(self, past: Events) -> None:
        users, n = self._stage.n_users, self._stage.n_items
        if users * n > MAX_CELLS:
            raise DataError(
                f"vsknn here holds at most {MAX_CELLS:,} users x items, this set has {users * n:,}"
            )
        self._has = np.zeros((users, n), dtype=np.bool_)
        self._holders = np.zeros((n, users), dtype=np.bool_)
        self._sizes, self._counts = np.zeros(users), np.zeros(n)  # the sums of both
        self._mark(past.users, past.items)

    def _learn(self, baskets: Sequence[Basket]) -> None:
        for basket in baskets:
            self._mark(np.full(len(basket.items), basket.user), basket.items)

    def _mark(self, users: Integers, items: Integers) -> None:
        users, items = np.divmod(np.unique(users * self._stage.n_items + items), self._stage.n_items)
        new = ~self._has[users, items]
        users, items = users[new], items[new]
        self._has[users, items] = self._holders[items, users] = True
        np.add.at(self._sizes, users, 1.0)
        np.add.at(self._counts, items, 1.0)

    def _scores(self, users: Integers, seconds: Floats) -> Floats:
        return np.stack([self._one(user) for user in users.tolist()])

    def _one(self, user: int) -> Floats:
        history = self._histories.newest(user, self._length).items.tolist()
        newest = list(dict.fromkeys(reversed(history)))
        if not newest:
            return np.zeros(self._stage.n_items)
        weights: Floats = self._decay ** np.arange(len(newest), dtype=np.float64)  # [t]
        near, votes = self._nearest(user, newest, weights)
        idf = np.log(max(np.count_nonzero(self._sizes), 1) / np.maximum(self._counts, 1.0))
        scores = (votes.astype(np.float32) @ self._has[near].astype(np.float32)) * idf
        return np.asarray(scores, dtype=np.float64)

    def _nearest(self, user: int, newest: list[int], weights: Floats) -> tuple[Integers, Floats]:
        """The most similar other users [k] and what each of their votes weighs."""
        held = self._holders[newest]  # [t, users]
        similar = (weights.astype(np.float32) @ held.astype(np.float32)).astype(np.float64)  # [users]
        latest = weights[held.argmax(axis=0)]  # of the first of the items, which is the newest
        similar[user] = 0.0
        near = np.flatnonzero(similar)
        similar = similar[near] / self._sizes[near] ** self._shrink
        order = np.argsort(-similar, kind="stable")[: self._k]
        return near[order], similar[order] * latest[near[order]]
