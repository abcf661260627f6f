"""The worker's replica of the catalogue: item vectors in memory, read from the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from exporters.vector_store import CollectionNames, ItemRecord, Vector, VectorStore

REFRESH_OVERLAP_MS = 30_000
"""How far a refresh looks back beyond the last: other clocks may run behind, and writes take time."""


def wall_clock_ms() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


class CatalogReplica:
    """Item vectors in memory, for the encoder's steps; fed from the store, never from Kafka."""

    def __init__(
        self, store: VectorStore, names: CollectionNames, clock_ms: Callable[[], int] = wall_clock_ms
    ) -> None:
        self._store = store
        self._names = names
        self._clock_ms = clock_ms
        self._refreshed_ms = 0
        self.vectors: dict[str, Vector] = {}
        """Item id -> unit vector [d]."""

    def __contains__(self, item_id: object) -> bool:
        return item_id in self.vectors

    def __len__(self) -> int:
        return len(self.vectors)

    def refresh(self) -> int:
        """Read what the store received since the last refresh (at first: all); blocks. Returns a count."""
        read, began_ms = 0, self._clock_ms()
        since = max(0, self._refreshed_ms - REFRESH_OVERLAP_MS)
        for page in self._store.scroll_items(self._names, updated_since_ms=since):
            self.add(page)
            read += len(page)
        self._refreshed_ms = began_ms
        return read

    def ensure(self, item_ids: Iterable[str]) -> None:
        """Ask the store for the items that are not here yet; blocks. Those that it lacks stay unknown."""
        missing = sorted({item_id for item_id in item_ids if item_id not in self.vectors})
        if missing:
            found = self._store.retrieve_items(self._names, missing)
            self.add([one for one in found if one is not None])

    def add(self, records: Sequence[ItemRecord]) -> None:
        """Take in items as stored."""
        # Copies: a view would keep the array of a whole page alive for as long as one of its items is here.
        self.vectors.update((record.item_id, record.vector.copy()) for record in records)
