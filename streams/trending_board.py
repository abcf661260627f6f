"""Trending counts of the partitions that this worker owns, and their place in the store."""

from __future__ import annotations

from collections.abc import Iterable

from encoders.events import EventType
from exporters.vector_store import CollectionNames, CounterRecord, VectorStore
from streams.fold_types import Received
from streams.trending import DecayedCounts, pack_counts, top, unpack_counts

PREFIX = "trending-"
"""Of the names of its counters: others keep counters, too."""
FLUSH_MS = 1_000
"""A crash loses at most this much of what trends; users' states lose nothing."""


class TrendingBoard:
    """Counts events as they are applied and writes them, once a second, in the caller's thread."""

    def __init__(
        self, store: VectorStore, names: CollectionNames, half_life_hours: float, source_epoch: int = 0
    ) -> None:
        self._store = store
        self._names = names
        self._half_life_ms = half_life_hours * 3_600_000
        self._epoch = source_epoch
        self._counts: dict[int, DecayedCounts] = {}
        self._dirty: set[int] = set()
        self._flushed_ms = 0

    def count(self, received: Received, item_id: str, event_type: EventType, timestamp_ms: int) -> None:
        """Count an event that was applied by a write that won: that happens once, so nothing counts twice."""
        counts = self._counts.get(received.partition)
        if counts is None:
            self.load([*self._counts, received.partition])
            counts = self._counts[received.partition]
        counts.count(received.topic, received.offset, item_id, event_type, timestamp_ms)
        self._dirty.add(received.partition)

    def load(self, partitions: Iterable[int]) -> dict[tuple[str, int], int]:
        """Begin with what the store holds of these partitions, forget the others; blocks.

        Returns the last counted offset of each (topic, partition): no topic can end before it.
        """
        self.flush(0, force=True)
        stored = {one.name: one.blob for one in self._store.read_counters(self._names)}
        self._dirty.clear()
        self._counts = {
            partition: self._counts_in(stored.get(self._name(partition))) for partition in partitions
        }
        return {
            (topic, partition): offset
            for partition, counts in self._counts.items()
            for topic, offset in counts.offsets.items()
        }

    def flush(self, now_ms: int, *, force: bool = False) -> None:
        """Write what changed, at most once a ``FLUSH_MS`` unless forced; blocks."""
        if not self._dirty or (now_ms - self._flushed_ms < FLUSH_MS and not force):
            return
        for partition in self._dirty:
            self._counts[partition].prune()
        records = [self._record(partition) for partition in sorted(self._dirty)]
        self._store.upsert_counters(self._names, records)
        self._dirty.clear()
        self._flushed_ms = now_ms

    def _counts_in(self, blob: bytes | None) -> DecayedCounts:
        return DecayedCounts(self._half_life_ms) if blob is None else unpack_counts(blob)

    def _record(self, partition: int) -> CounterRecord:
        counts = self._counts[partition]
        sequence = sum(offset + 1 for offset in counts.offsets.values())
        return CounterRecord(self._name(partition), pack_counts(counts), sequence)

    def _name(self, partition: int) -> str:
        return f"{PREFIX}{self._epoch}-{partition}"


def trending_items(store: VectorStore, names: CollectionNames, n: int) -> list[tuple[str, float]]:
    """The ``n`` strongest items over all partitions, with their share of the strongest (0 to 1); blocks."""
    counters = (one for one in store.read_counters(names) if one.name.startswith(PREFIX))
    return top((unpack_counts(one.blob) for one in counters), n)
