"""Who was seen on the topics lately, for the choice of a shopper."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock


class Visitors:
    """The last ``most`` users with an event, each with the number of events seen."""

    def __init__(self, most: int = 200) -> None:
        self._most = most
        self._events: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def saw(self, user_id: str) -> None:
        """Note an event of a user, who is the latest now."""
        with self._lock:
            self._events[user_id] = self._events.pop(user_id, 0) + 1
            if len(self._events) > self._most:
                self._events.popitem(last=False)

    def latest(self, count: int) -> list[tuple[str, int]]:
        """The latest users and their events, the latest first."""
        with self._lock:
            return list(reversed(self._events.items()))[:count]
