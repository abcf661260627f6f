"""A lock for each name, made when it is first asked for."""

from __future__ import annotations

from threading import RLock


class NamedLocks:
    """Locks by name. Threads that ask for one name at a time get the same lock, unlike from a defaultdict."""

    def __init__(self) -> None:
        self._locks: dict[str, RLock] = {}

    def __getitem__(self, name: str) -> RLock:
        # One step of the interpreter: the lock of whoever comes first is everybody's.
        return self._locks.setdefault(name, RLock())
