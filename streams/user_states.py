"""Users as the pipeline needs them: from the cache or the store, back by compare-and-swap, and who waits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporters.vector_store import UserRecord
from streams.reencoding import encode_histories
from streams.serving import Serving
from streams.state import UserState, pack
from streams.user_cache import UserCache
from streams.user_versions import read_users

TOKEN_BITS = 52
"""Exact in Qdrant's 64-bit floats."""


@dataclass(frozen=True, slots=True)
class _Wait:
    """What a waiting user waits for, and until when (wall clock, milliseconds)."""

    item_ids: frozenset[str]
    deadline_ms: int


class UserStates:
    """Loads and saves states of the model at work. All methods block; one batch at a time uses it."""

    def __init__(self, serving: Serving, cache: UserCache) -> None:
        self._serving = serving
        self._cache = cache
        self._waits: dict[str, _Wait] = {}

    def __len__(self) -> int:
        return len(self._cache)

    @property
    def waiting_count(self) -> int:
        """How many users have an event that waits for its item."""
        return len(self._waits)

    def load(self, user_ids: Sequence[str]) -> list[UserState]:
        """The users' states, taken out of the cache or read in one request; new users begin empty.

        Those whose vectors another model made last are encoded from their histories, all at once.
        """
        taken = {user_id: self._cache.take(user_id) for user_id in user_ids}
        missing = [user_id for user_id, state in taken.items() if state is None]
        read = dict(zip(missing, self._read(missing), strict=True))
        users = [taken[user_id] or read[user_id] for user_id in user_ids]
        self._encode([user for user in users if user.encoded_by != self._serving.names.users])
        return users

    def save(self, users: Sequence[UserState], now_ms: int) -> list[str]:
        """Write changed users; those whose write won are kept, the ids of the others are returned."""
        if not users:
            return []
        for user in users:
            user.sequence += 1
        token = secrets.randbits(TOKEN_BITS)
        serving = self._serving
        records = [_record(user, token, now_ms) for user in users]
        lost = serving.store.upsert_users(serving.names, records)
        gone = set(lost)
        for user in users:
            if user.user_id not in gone:
                self.keep(user)
        return lost

    def keep(self, user: UserState) -> None:
        """Put a state that equals the stored one back into the cache."""
        self._cache.put(user)
        self._note_wait(user)

    def take_over(self, partitions: set[int]) -> None:
        """After a rebalance: forget all states, and find the waiting users of the partitions owned now."""
        self._cache.clear()
        self._waits.clear()
        serving = self._serving
        for names in (serving.names, *serving.elsewhere):
            for page in serving.store.waiting_users(names):
                # Read again: another version may know that the wait is over.
                for user in self._read([record.user_id for record in page]):
                    if any(one.partition in partitions for one in user.history.waiting):
                        self._note_wait(user)

    def waiting_items(self) -> set[str]:
        """The unknown items that events wait for."""
        return {item_id for wait in self._waits.values() for item_id in wait.item_ids}

    def due(self, known: Callable[[str], bool], now_ms: int) -> list[str]:
        """Users with a waiting event whose item has arrived or whose time is up."""
        return [
            user_id
            for user_id, wait in self._waits.items()
            if now_ms >= wait.deadline_ms or any(map(known, wait.item_ids))
        ]

    def _note_wait(self, user: UserState) -> None:
        waiting = user.history.waiting
        if waiting:
            deadline_ms = min(one.deadline_ms for one in waiting)
            self._waits[user.user_id] = _Wait(frozenset(one.item_id for one in waiting), deadline_ms)
        else:
            self._waits.pop(user.user_id, None)

    def _read(self, user_ids: Sequence[str]) -> list[UserState]:
        serving = self._serving
        sizes = serving.generation.sizes
        return read_users(serving.store, serving.names, sizes, serving.elsewhere, user_ids)

    def _encode(self, users: Sequence[UserState]) -> None:
        """Give users of another version the vectors that the model at work makes of their histories."""
        if not users:
            return
        serving = self._serving
        serving.replica.ensure(one.item_id for user in users for one in user.history.events)
        states, interests = encode_histories(serving.model, serving.replica.items, users)
        for user, state, interest in zip(users, states, interests, strict=True):
            user.state, user.interest, user.encoded_by = state.copy(), interest.copy(), serving.names.users
        serving.metrics.reencoded_users.inc(len(users))


def _record(user: UserState, token: int, now_ms: int) -> UserRecord:
    return UserRecord(
        user_id=user.user_id,
        interest=user.interest,
        state=user.state,
        blob=pack(user.history),
        sequence=user.sequence,
        token=token,
        waiting=len(user.history.waiting),
        updated_at_ms=now_ms,
    )
