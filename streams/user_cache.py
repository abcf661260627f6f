"""User states in memory, the least recently used first to go.

A state is taken out while a batch works on it and put back when its write is known to have won: after a fault
nothing doubtful is left here, and the next batch reads the store.
"""

from __future__ import annotations

from collections import OrderedDict

from streams.state import UserState


class UserCache:
    """At most ``capacity`` states. Not thread-safe: one batch at a time uses it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._states: OrderedDict[str, UserState] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def take(self, user_id: str) -> UserState | None:
        """Remove and return a user's state, or ``None``."""
        return self._states.pop(user_id, None)

    def put(self, user: UserState) -> None:
        """Keep a state that equals the stored one."""
        self._states[user.user_id] = user
        if len(self._states) > self._capacity:
            self._states.popitem(last=False)

    def clear(self) -> None:
        """Forget everything: partitions moved, so another worker may write these users."""
        self._states.clear()
