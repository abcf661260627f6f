"""Users as the pipeline needs them: from the cache or the store, back by compare-and-swap, and who waits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporters.vector_store import CollectionNames, UserRecord, VectorSizes, VectorStore
from streams.state import UserState, pack, unpack
from streams.user_cache import UserCache

TOKEN_BITS = 52
"""Exact in Qdrant's 64-bit floats."""


@dataclass(frozen=True, slots=True)
class _Wait:
    """What a waiting user waits for, and until when (wall clock, milliseconds)."""

    item_ids: frozenset[str]
    deadline_ms: int


class UserStates:
    """Loads and saves states. All methods block; one batch at a time uses it."""

    def __init__(
        self,
        store: VectorStore,
        names: CollectionNames,
        sizes: VectorSizes,
        cache: UserCache,
    ) -> None:
        self._store = store
        self._names = names
        self._sizes = sizes
        self._cache = cache
        self._waits: dict[str, _Wait] = {}

    def __len__(self) -> int:
        return len(self._cache)

    @property
    def waiting_count(self) -> int:
        """How many users have an event that waits for its item."""
        return len(self._waits)

    def load(self, user_ids: Sequence[str]) -> list[UserState]:
        """The users' states, taken out of the cache or read in one request; new users begin empty."""
        taken = {user_id: self._cache.take(user_id) for user_id in user_ids}
        missing = [user_id for user_id, state in taken.items() if state is None]
        records = self._store.retrieve_users(self._names, missing) if missing else []
        read = {
            user_id: self._state(user_id, record) for user_id, record in zip(missing, records, strict=True)
        }
        return [taken[user_id] or read[user_id] for user_id in user_ids]

    def save(self, users: Sequence[UserState], now_ms: int) -> list[str]:
        """Write changed users; those whose write won are kept, the ids of the others are returned."""
        if not users:
            return []
        for user in users:
            user.sequence += 1
        token = secrets.randbits(TOKEN_BITS)
        lost = self._store.upsert_users(self._names, [_record(user, token, now_ms) for user in users])
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
        for page in self._store.waiting_users(self._names):
            for record in page:
                user = self._state(record.user_id, record)
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

    def _state(self, user_id: str, record: UserRecord | None) -> UserState:
        if record is None:
            return UserState.new(user_id, self._sizes.item, self._sizes.state)
        return UserState(user_id, record.interest, record.state, unpack(record.blob), record.sequence)


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
