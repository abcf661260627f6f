"""How far this worker has come: what it acknowledged, and when; lag, stall and the start are read off it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

Source = tuple[str, int]
"""(topic without prefix, partition)."""


class Progress:
    """Acknowledged positions of the partitions that this worker owns.

    A position is the offset of the next message to work on. Times are seconds on the monotonic clock.
    """

    def __init__(self) -> None:
        self._next: dict[Source, int] = {}
        self.moved_at = time.monotonic()
        """When something was acknowledged last, or partitions were assigned."""

    def begin(self, committed: Mapping[Source, int]) -> None:
        """Start from the group's commits after an assignment; what was acknowledged here since stays."""
        self._next = {source: max(at, self._next.get(source, 0)) for source, at in committed.items()}
        self.moved_at = time.monotonic()

    def acknowledged(self, sources: Iterable[tuple[Source, int]]) -> None:
        """Note the offsets of acknowledged messages, in order."""
        for source, offset in sources:
            self._next[source] = offset + 1
        self.moved_at = time.monotonic()

    def lag(self, ends: Mapping[Source, int]) -> dict[Source, int]:
        """Messages not yet acknowledged in each partition; ``ends``: the offset after the last message."""
        return {source: max(0, end - self._next.get(source, 0)) for source, end in ends.items()}
