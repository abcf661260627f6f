"""The worker's replica of the catalogue: item vectors in memory, read from the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporters.vector_store import CollectionNames, ItemRecord, Vector, VectorStore

REFRESH_OVERLAP_MS = 10_000
"""How far a refresh looks back beyond the newest item seen: other workers' clocks may run behind."""


class CatalogReplica:
    """Item vectors in memory, for the encoder's steps; fed from the store, never from Kafka."""

    def __init__(self, store: VectorStore, names: CollectionNames) -> None:
        self._store = store
        self._names = names
        self._newest_ms = 0
        self.vectors: dict[str, Vector] = {}
        """Item id -> unit vector [d]."""

    def __contains__(self, item_id: object) -> bool:
        return item_id in self.vectors

    def __len__(self) -> int:
        return len(self.vectors)

    def refresh(self) -> int:
        """Read what the store received since the last refresh (at first: all); blocks. Returns a count."""
        read = 0
        since = max(0, self._newest_ms - REFRESH_OVERLAP_MS)
        for page in self._store.scroll_items(self._names, updated_since_ms=since):
            self.add(page)
            read += len(page)
        return read

    def ensure(self, item_ids: Iterable[str]) -> None:
        """Ask the store for the items that are not here yet; blocks. Those that it lacks stay unknown."""
        missing = sorted({item_id for item_id in item_ids if item_id not in self.vectors})
        if missing:
            found = self._store.retrieve_items(self._names, missing)
            self.vectors.update((one.item_id, one.vector) for one in found if one is not None)

    def add(self, records: Sequence[ItemRecord]) -> None:
        """Take in items as stored."""
        for record in records:
            self.vectors[record.item_id] = record.vector
            self._newest_ms = max(self._newest_ms, record.updated_at_ms)
