"""What is trending and what is new, for everybody: read at most once a second."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from encoders.candidates import NEW_SECONDS
from exporters.vector_store import CollectionNames, VectorStore
from streams.catalog_replica import CatalogReplica
from streams.trending_board import trending_items

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

KEPT = 500
"""Items that are looked at: some are hidden from a user, or ruled out."""


class PopularItems:
    """Available items, the most trending and the newest first; reading them blocks."""

    def __init__(
        self,
        store: VectorStore,
        names: CollectionNames,
        replica: CatalogReplica,
        max_age_seconds: float = 1.0,
    ) -> None:
        self._store, self._names, self._replica = store, names, replica
        self._max_age_seconds = max_age_seconds
        self._read_at = -np.inf
        self._trending: tuple[Integers, Floats] = (np.zeros(0, np.int64), np.zeros(0, np.float32))
        self._new = np.zeros(0, np.int64)

    def trending(self) -> tuple[Integers, Floats]:
        """Rows [m] and their share of the strongest (0 to 1), the most trending first."""
        self.refresh()
        return self._trending

    def new(self) -> Integers:
        """Rows [m] of new items, the newest first; those of an unknown age are none."""
        self.refresh()
        return self._new

    def expire(self) -> None:
        """Let the next reading be a new one, however young the last."""
        self._read_at = -np.inf

    def refresh(self) -> None:
        """Read again what is too old."""
        now = time.monotonic()
        if now - self._read_at >= self._max_age_seconds:
            self._trending, self._new = self._read_trending(), self._read_new()
            self._read_at = now

    def _read_trending(self) -> tuple[Integers, Floats]:
        strongest = trending_items(self._store, self._names, KEPT)
        items = self._replica.items
        with self._replica.lock:
            found = [
                (items.rows[item_id], share)
                for item_id, share in strongest
                if item_id in items and items.available[items.rows[item_id]]
            ]
        rows, shares = zip(*found, strict=True) if found else ((), ())
        return np.array(rows, np.int64), np.array(shares, np.float32)

    def _read_new(self) -> Integers:
        """Of the items that came within ``NEW_SECONDS`` before the newest."""
        items = self._replica.items
        with self._replica.lock:  # columns of one length
            created = np.where(items.available, items.created_ms, 0)
        newest = np.argsort(-created, kind="stable")[:KEPT]
        since = max(0, int(created.max(initial=0)) - 1000 * NEW_SECONDS)
        return newest[created[newest] > since]
