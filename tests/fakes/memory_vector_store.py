"""The vector store as plain dictionaries: for tests of the pipeline that are not about the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from threading import RLock
from typing import Any

import numpy as np

from encoders.errors import StoreError
from exporters.vector_store import (
    CollectionNames,
    CounterRecord,
    EvidenceRecord,
    ItemFilter,
    ItemRecord,
    ScoredItem,
    UserRecord,
    Vector,
    VectorSizes,
)

PAGE, COPIED = 500, 20
NO_VECTOR = np.zeros(0, dtype=np.float32)


class MemoryVectorStore:
    """A ``VectorStore`` that forgets with the process. ``down`` (an error) makes every call raise it."""

    def __init__(self) -> None:
        self.shared = False
        self.down: Exception | None = None
        self._collections: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, tuple[int, ...]] = {}
        self._lock = RLock()

    def ensure_collections(self, names: CollectionNames, sizes: VectorSizes) -> None:
        with self._lock:
            self._ensure(names.items, (sizes.item, sizes.text))
            self._ensure(names.users, (sizes.item, sizes.state))
            self._ensure(names.counters, ())
            self._ensure(names.evidence, ())

    def has_users(self, names: CollectionNames) -> bool:
        self.ping()
        return names.users in self._collections

    def upsert_items(self, names: CollectionNames, items: Sequence[ItemRecord]) -> None:
        for item in items:
            self._check(names.items, item.vector, item.text_vector)
            self._write(names.items, item.item_id, item, "source_offset")

    def retrieve_items(
        self, names: CollectionNames, item_ids: Sequence[str], with_text: bool = False
    ) -> list[ItemRecord | None]:
        stored = self._stored(names.items)
        return [_seen(stored.get(item_id), with_text) for item_id in item_ids]

    def scroll_items(self, names: CollectionNames, updated_since_ms: int = 0) -> Iterator[list[ItemRecord]]:
        for page in self._items(names, updated_since_ms, PAGE):
            yield [replace(item, text_vector=NO_VECTOR) for item in page]

    def copy_items(
        self,
        source: CollectionNames,
        target: CollectionNames,
        encode: Callable[[Vector], Vector],
        updated_since_ms: int = 0,
    ) -> Iterator[list[ItemRecord]]:
        for page in self._items(source, updated_since_ms, COPIED):
            there = self.retrieve_items(target, [item.item_id for item in page])
            older = [
                item
                for item, stored in zip(page, there, strict=True)
                if stored is None or stored.source_offset < item.source_offset
            ]
            if older:
                vectors = encode(np.stack([item.text_vector for item in older]))
                older = [replace(item, vector=vector) for item, vector in zip(older, vectors, strict=True)]
                self.upsert_items(target, older)
            yield older

    def nearest_items(
        self,
        names: CollectionNames,
        queries: Vector,
        limits: Sequence[int],
        filters: Sequence[ItemFilter | None] | None = None,
    ) -> list[list[ScoredItem]]:
        items = [item for item in self._values(names.items) if item.available]
        return [
            self._nearest(names, [item for item in items if _passes(item, wanted)], query, limit)
            for query, limit, wanted in zip(queries, limits, filters or [None] * len(limits), strict=True)
        ]

    def retrieve_users(self, names: CollectionNames, user_ids: Sequence[str]) -> list[UserRecord | None]:
        stored = self._stored(names.users)
        return [stored.get(user_id) for user_id in user_ids]

    def upsert_users(self, names: CollectionNames, users: Sequence[UserRecord]) -> list[str]:
        for user in users:
            self._check(names.users, user.interest, user.state)
            self._write(names.users, user.user_id, user, "sequence")
        stored = self._stored(names.users)
        return [user.user_id for user in users if stored[user.user_id].token != user.token]

    def upsert_evidence(self, names: CollectionNames, records: Sequence[EvidenceRecord]) -> list[str]:
        for record in records:
            self._write(names.evidence, record.item_id, record.as_stored(), "sequence")
        stored = self._stored(names.evidence)
        return [record.item_id for record in records if stored[record.item_id].token != record.token]

    def retrieve_evidence(
        self, names: CollectionNames, item_ids: Sequence[str]
    ) -> list[EvidenceRecord | None]:
        stored = self._stored(names.evidence)
        return [stored.get(item_id) for item_id in item_ids]

    def scroll_evidence(
        self, names: CollectionNames, updated_since_ms: int = 0
    ) -> Iterator[list[EvidenceRecord]]:
        found = [one for one in self._values(names.evidence) if one.updated_at_ms >= updated_since_ms]
        for start in range(0, len(found), PAGE):
            yield found[start : start + PAGE]

    def waiting_users(self, names: CollectionNames) -> Iterator[list[UserRecord]]:
        found = [user for user in self._values(names.users) if user.waiting > 0]
        for start in range(0, len(found), PAGE):
            yield found[start : start + PAGE]

    def upsert_counters(self, names: CollectionNames, counters: Sequence[CounterRecord]) -> None:
        for counter in counters:
            self._write(names.counters, counter.name, counter, "sequence")

    def read_counters(self, names: CollectionNames) -> list[CounterRecord]:
        return self._values(names.counters)

    def count_items(self, names: CollectionNames) -> int:
        return len(self._stored(names.items))

    def count_users(self, names: CollectionNames) -> int:
        return len(self._stored(names.users))

    def ping(self) -> None:
        if self.down is not None:
            raise self.down

    def close(self) -> None:
        """Nothing is held."""

    def _ensure(self, collection: str, sizes: tuple[int, ...]) -> None:
        self.ping()
        if self._sizes.setdefault(collection, sizes) != sizes:
            raise StoreError(f"collection {collection} holds other sizes than {sizes}")
        self._collections.setdefault(collection, {})

    def _stored(self, collection: str) -> dict[str, Any]:
        self.ping()
        if collection not in self._collections:
            raise StoreError(f"there is no collection {collection}")
        return self._collections[collection]

    def _items(self, names: CollectionNames, since_ms: int, size: int) -> Iterator[list[ItemRecord]]:
        found = [item for item in self._values(names.items) if item.updated_at_ms >= since_ms]
        for start in range(0, len(found), size):
            yield found[start : start + size]

    def _values(self, collection: str) -> list[Any]:
        with self._lock:
            return list(self._stored(collection).values())

    def _check(self, collection: str, *vectors: Vector) -> None:
        self._stored(collection)
        if tuple(len(vector) for vector in vectors) != self._sizes[collection]:
            raise StoreError(f"collection {collection} wants vectors of {self._sizes[collection]}")

    def _write(self, collection: str, key: str, record: Any, version: str) -> None:
        with self._lock:
            stored = self._stored(collection)
            if key not in stored or getattr(stored[key], version) < getattr(record, version):
                stored[key] = record

    def _nearest(
        self, names: CollectionNames, items: Sequence[ItemRecord], query: Vector, limit: int
    ) -> list[ScoredItem]:
        if len(query) != self._sizes[names.items][0]:
            raise StoreError(f"a query of {len(query)} numbers for vectors of {self._sizes[names.items][0]}")
        if not items or not query.any():
            return []
        # Row by row, so that equal vectors score equal to the last bit.
        scores = (np.stack([item.vector for item in items]) * query).sum(axis=1)
        order = sorted((-float(score), item.item_id) for score, item in zip(scores, items))
        return [ScoredItem(item_id, -score) for score, item_id in order[:limit]]


def _passes(item: ItemRecord, wanted: ItemFilter | None) -> bool:
    if wanted is None:
        return True
    low, high = wanted.min_price, wanted.max_price
    if (low is not None or high is not None) and item.price is None:
        return False
    return (
        (low is None or item.price is None or item.price >= low)
        and (high is None or item.price is None or item.price <= high)
        and (not wanted.any_category or not set(item.categories).isdisjoint(wanted.any_category))
        and set(item.categories).isdisjoint(wanted.no_category)
        and (not wanted.any_brand or item.brand in wanted.any_brand)
        and item.brand not in wanted.no_brand
        and item.created_at_ms >= (wanted.created_since_ms or 0)
    )


def _seen(item: ItemRecord | None, with_text: bool) -> ItemRecord | None:
    if item is None or with_text:
        return item
    return replace(item, text_vector=NO_VECTOR)
