"""The worker's replica of the catalogue and of its evidence: in memory, read from the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from threading import RLock

import numpy as np

from encoders.evidence import NOTHING, Evidence
from exporters.vector_store import CollectionNames, EvidenceRecord, ItemRecord, VectorStore
from streams.evidence_state import take_in
from streams.item_table import UNKNOWN, ItemTable

REFRESH_OVERLAP_MS = 30_000
"""How far a refresh looks back beyond the last: other clocks may run behind, and writes take time."""
OWN_OVERLAP_MS = 5_000
"""The same where this process alone writes."""


def wall_clock_ms() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def overlap_ms(store: VectorStore) -> int:
    """How far to look back beyond the last reading."""
    return REFRESH_OVERLAP_MS if store.shared else OWN_OVERLAP_MS


class CatalogReplica:
    """Items and what users did with them, for the encoder's steps and for ranking; fed from the store.

    ``lock`` is held while evidence changes, and by whoever must see all of it at one time.
    """

    def __init__(
        self,
        store: VectorStore,
        names: CollectionNames,
        clock_ms: Callable[[], int] = wall_clock_ms,
        evidence: Evidence | None = None,
    ) -> None:
        self._store = store
        self._names = names
        self._clock_ms = clock_ms
        self._read_ms = 0
        self._sequences: dict[str, int] = {}
        self.lock = RLock()
        self.items = ItemTable()
        self.evidence = evidence or Evidence()

    def __contains__(self, item_id: object) -> bool:
        return item_id in self.items

    def __len__(self) -> int:
        return len(self.items)

    def refresh(self) -> int:
        """Read what the store received since the last refresh (at first: all); blocks. Counts items read.

        Where no other process can write, only the first one reads: this worker's own writes are here already.
        """
        if self._read_ms and not self._store.shared:
            return 0
        return self.catch_up()

    def catch_up(self) -> int:
        """Read what the store received since it was last read, whoever wrote it; blocks."""
        began_ms = self._clock_ms()
        since = max(0, self._read_ms - overlap_ms(self._store))
        read = self.read_items(since)
        for records in self._store.scroll_evidence(self._names, updated_since_ms=since):
            self.take_in(records)
        self._read_ms = began_ms
        return read

    def read_items(self, since_ms: int) -> int:
        """Read the items that the store received since then, in milliseconds; blocks. Counts them."""
        read = 0
        for page in self._store.scroll_items(self._names, updated_since_ms=since_ms):
            self.add(page)
            read += len(page)
        return read

    def take_over(self, before: CatalogReplica) -> list[str]:
        """Know of evidence what the replica of another model knows, which then is not to be read again.

        Evidence is of no model version. Returns the items of ``before`` that the store lacks under this one.
        """
        ids = before.items.ids
        self.ensure(ids)
        with before.lock, self.lock:
            rows = np.array([self.items.rows.get(item_id, UNKNOWN) for item_id in ids], np.int64)
            self.evidence.copy_from(before.evidence, rows)
            self._sequences, self._read_ms = dict(before._sequences), before._read_ms
        return [item_id for item_id, row in zip(ids, rows.tolist(), strict=True) if row == UNKNOWN]

    def ensure(self, item_ids: Iterable[str]) -> None:
        """Ask the store for the items that are not here yet; blocks. Those that it lacks stay unknown."""
        missing = sorted({item_id for item_id in item_ids if item_id not in self.items})
        if missing:
            found = self._store.retrieve_items(self._names, missing)
            self.add([one for one in found if one is not None])

    def add(self, records: Sequence[ItemRecord]) -> None:
        """Take in items as stored."""
        with self.lock:
            self.items.put(records)
            self.evidence.grow(len(self.items))

    def take_in(self, records: Iterable[EvidenceRecord]) -> None:
        """Take in evidence of known items as stored, where it is newer than what is here."""
        with self.lock:
            for record in records:
                if record.item_id in self.items and self._sequences.get(record.item_id, -1) < record.sequence:
                    self._sequences[record.item_id] = record.sequence
                    take_in(self.evidence, self.items, record)

    def reset_evidence(self, item_ids: Iterable[str]) -> None:
        """The store holds nothing of these known items."""
        with self.lock:
            for item_id in item_ids:
                self.evidence.put(self.items.rows[item_id], NOTHING, self.evidence.landmark)

    def wrote(self, item_id: str, sequence: int) -> None:
        """Note that this worker wrote what is here: reading it back would change nothing."""
        self._sequences[item_id] = sequence

    def forget_evidence(self, item_ids: Iterable[str]) -> None:
        """What is here may differ from the store: the next reading replaces it."""
        for item_id in item_ids:
            self._sequences.pop(item_id, None)
