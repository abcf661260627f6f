"""Session neighbours that learn while they replay: VSKNN over users' whole histories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.errors import DataError
from encoders.evaluation.streaming import StreamingMethod
from encoders.evaluation.timeline import Basket, Events, Floats, Integers

MAX_CELLS = 2_000_000_000
"""Users times items: who had what is held as a byte each."""


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
        self._holders = np.zeros((n, users), dtype=np.bool_)
        self._members = [np.empty(0, dtype=np.int64)] * users
        self._sizes, self._counts = np.zeros(users), np.zeros(n)
        order = np.argsort(past.users, kind="stable")
        who, starts = np.unique(past.users[order], return_index=True)
        for user, items in zip(who.tolist(), np.split(past.items[order], starts[1:])):
            self._mark(user, items)

    def _learn(self, baskets: Sequence[Basket]) -> None:
        for basket in baskets:
            self._mark(basket.user, basket.items)

    def _mark(self, user: int, items: Integers) -> None:
        distinct = np.unique(items)
        new = distinct[~self._holders[distinct, user]]
        self._holders[new, user] = True
        self._members[user] = np.concatenate([self._members[user], new])
        self._sizes[user] += len(new)
        self._counts[new] += 1.0

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
        items = np.concatenate([self._members[row] for row in near] or [near])
        each = np.repeat(votes, self._sizes[near].astype(np.int64))
        scores: Floats = np.bincount(items, each, minlength=self._stage.n_items) * idf
        return scores

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
