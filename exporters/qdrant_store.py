"""The vector store on any Qdrant engine: what is asked, in which order. The adapters only translate calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

import numpy as np

from exporters import qdrant_points as points
from exporters.qdrant_conditions import AVAILABLE, WAITING, Conditions, conditions_of, updated_since
from exporters.qdrant_engine import Engine, Hit
from exporters.qdrant_points import Point
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

# Points in one request: an item of 128 + 384 floats is some 10 kB of JSON, and Qdrant takes 32 MB by default.
REQUEST_POINTS = 500
# Points written at a time by a copy: the engine in this process stops every other thread meanwhile, and of a
# server it is a request.
COPIED_POINTS, COPIED_OF_SERVER = 20, 100
# Ties are broken exactly as long as fewer items than this share one score.
LONGEST_TIE = 10_000
# Point ids whose item ids are remembered (about 200 bytes each); it starts anew when full.
REMEMBERED_ITEM_IDS = 500_000

T = TypeVar("T")


class QdrantVectorStore:
    """A ``VectorStore`` on an ``Engine``; see the port for what each call promises."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # A point id is a digest of the item id, so what is remembered can never be wrong.
        self._item_ids: dict[int, str] = {}

    @property
    def shared(self) -> bool:
        """Whether another process may write to the store."""
        return self._engine.shared

    def ensure_collections(self, names: CollectionNames, sizes: VectorSizes) -> None:
        """Create what is missing; raise ``StoreError`` where sizes differ from what exists."""
        self._engine.ensure(names.items, points.items_layout(sizes))
        self._engine.ensure(names.users, points.users_layout(sizes))
        self._engine.ensure(names.evidence, points.EVIDENCE_LAYOUT)
        self._engine.ensure(names.counters, points.COUNTERS_LAYOUT)

    def has_users(self, names: CollectionNames) -> bool:
        """Whether there is a collection of this version's users, empty or not."""
        return self._engine.exists(names.users)

    def upsert_items(self, names: CollectionNames, items: Sequence[ItemRecord]) -> None:
        """Write items and wait; a record whose ``source_offset`` is not above the stored one is ignored."""
        batch = [points.item_point(item) for item in items]
        self._write(names.items, batch, "source_offset")
        self._remember(batch)

    def retrieve_items(
        self, names: CollectionNames, item_ids: Sequence[str], with_text: bool = False
    ) -> list[ItemRecord | None]:
        """The items in the order asked for, ``None`` where there is none."""
        ids = [points.point_id(item_id) for item_id in item_ids]
        found = self._read(names.items, ids, _item_vectors(with_text))
        return [points.item_record(found[id_]) if id_ in found else None for id_ in ids]

    def scroll_items(self, names: CollectionNames, updated_since_ms: int = 0) -> Iterator[list[ItemRecord]]:
        """All items with ``updated_at_ms >= updated_since_ms``, in pages."""
        for page in self._pages(names.items, updated_since(updated_since_ms), _item_vectors(False)):
            self._remember(page)
            yield [points.item_record(point) for point in page]

    def copy_items(
        self,
        source: CollectionNames,
        target: CollectionNames,
        encode: Callable[[Vector], Vector],
        updated_since_ms: int = 0,
    ) -> Iterator[list[ItemRecord]]:
        """Write items of one version under another, with the vectors that ``encode`` makes of their texts."""
        size = COPIED_OF_SERVER if self.shared else COPIED_POINTS
        for page in self._pages(source.items, updated_since(updated_since_ms), ("text",)):
            texts = [point.vectors["text"] for point in page]
            encoded = [
                Point(point.id, point.payload, {"item": vector, "text": text})
                for point, vector, text in zip(page, encode(np.stack(texts)), texts, strict=True)
            ]
            for part in _parts(encoded, size):
                yield self._write_items(target.items, part)

    def nearest_items(
        self,
        names: CollectionNames,
        queries: Vector,
        limits: Sequence[int],
        filters: Sequence[ItemFilter | None] | None = None,
    ) -> list[list[ScoredItem]]:
        """For each query [n, d] the nearest available items, best first, ties in the order of ``item_id``."""
        wanted = [conditions_of(filter_) for filter_ in filters] if filters else [()] * len(limits)
        answers: list[list[ScoredItem]] = [[] for _ in limits]
        # One more than asked for shows whether the last place is shared; then ask for more, until it is not.
        asked = {row: limit + 1 for row, limit in enumerate(limits) if limit > 0 and bool(queries[row].any())}
        while asked:
            rows = list(asked)
            hits = self._engine.nearest(
                names.items,
                "item",
                queries[rows],
                [asked[row] for row in rows],
                AVAILABLE,
                [wanted[row] for row in rows],
            )
            for row, found in zip(rows, hits, strict=True):
                if _tie_is_cut(found, limits[row], asked[row]):
                    asked[row] *= 4
                else:
                    answers[row] = self._ranked(names.items, found)[: limits[row]]
                    del asked[row]
        return answers

    def retrieve_users(self, names: CollectionNames, user_ids: Sequence[str]) -> list[UserRecord | None]:
        """The users in the order asked for, ``None`` where there is none."""
        ids = [points.point_id(user_id) for user_id in user_ids]
        found = self._read(names.users, ids, ("interest", "state"))
        return [points.user_record(found[id_]) if id_ in found else None for id_ in ids]

    def upsert_users(self, names: CollectionNames, users: Sequence[UserRecord]) -> list[str]:
        """Compare-and-swap each user and wait; return the ids whose write lost."""
        lost = self._swap(names.users, [points.user_point(user) for user in users])
        return [users[row].user_id for row in lost]

    def waiting_users(self, names: CollectionNames) -> Iterator[list[UserRecord]]:
        """All users with ``waiting > 0``, in pages."""
        for page in self._pages(names.users, (WAITING,), ("interest", "state")):
            yield [points.user_record(point) for point in page]

    def upsert_evidence(self, names: CollectionNames, records: Sequence[EvidenceRecord]) -> list[str]:
        """Compare-and-swap the evidence on each item and wait; return the ids whose write lost."""
        lost = self._swap(names.evidence, [points.evidence_point(record) for record in records])
        return [records[row].item_id for row in lost]

    def retrieve_evidence(
        self, names: CollectionNames, item_ids: Sequence[str]
    ) -> list[EvidenceRecord | None]:
        """The evidence on these items in the order asked for, ``None`` where there is none."""
        ids = [points.point_id(item_id) for item_id in item_ids]
        found = self._read(names.evidence, ids, points.EVIDENCE_LAYOUT.sparse)
        return [points.evidence_record(found[id_]) if id_ in found else None for id_ in ids]

    def scroll_evidence(
        self, names: CollectionNames, updated_since_ms: int = 0
    ) -> Iterator[list[EvidenceRecord]]:
        """All evidence with ``updated_at_ms >= updated_since_ms``, in pages."""
        where = updated_since(updated_since_ms)
        for page in self._pages(names.evidence, where, points.EVIDENCE_LAYOUT.sparse):
            yield [points.evidence_record(point) for point in page]

    def upsert_counters(self, names: CollectionNames, counters: Sequence[CounterRecord]) -> None:
        """Write counters and wait; one whose ``sequence`` is not above the stored one is ignored."""
        self._write(names.counters, [points.counter_point(counter) for counter in counters], "sequence")

    def read_counters(self, names: CollectionNames) -> list[CounterRecord]:
        """All counters."""
        pages = self._pages(names.counters, (), ())
        return [points.counter_record(point) for page in pages for point in page]

    def count_items(self, names: CollectionNames) -> int:
        """How many items the collection holds, available or not."""
        return self._engine.count(names.items)

    def count_users(self, names: CollectionNames) -> int:
        """How many users the collection holds."""
        return self._engine.count(names.users)

    def ping(self) -> None:
        """Return when the store answers; raise ``StoreUnavailable`` otherwise."""
        self._engine.ping()

    def close(self) -> None:
        """Flush and release what is held; a second call does nothing."""
        self._engine.close()

    def _swap(self, collection: str, batch: Sequence[Point]) -> list[int]:
        """Compare-and-swap each point by its ``sequence``; the places in ``batch`` of those that lost."""
        self._write(collection, batch, "sequence")
        stored = self._read(collection, [point.id for point in batch], (), ("token",))
        return [
            row
            for row, point in enumerate(batch)
            if point.id not in stored or stored[point.id].payload["token"] != point.payload["token"]
        ]

    def _write_items(self, collection: str, batch: Sequence[Point]) -> list[ItemRecord]:
        """Write those that are absent or older there, and return them."""
        there = self._read(collection, [point.id for point in batch], (), ("source_offset",))
        newer = [point for point in batch if point.id not in there or _outranks(point, there[point.id])]
        self._write(collection, newer, "source_offset")
        self._remember(newer)
        return [points.item_record(point) for point in newer]

    def _write(self, collection: str, batch: Sequence[Point], version_key: str) -> None:
        for part in _parts(batch):
            self._engine.upsert_newer(collection, part, version_key)

    def _read(
        self,
        collection: str,
        ids: Sequence[UUID],
        vectors: Sequence[str],
        keys: Sequence[str] | None = None,
    ) -> dict[UUID, Point]:
        found: dict[UUID, Point] = {}
        for part in _parts(ids):
            found.update(
                (point.id, point) for point in self._engine.retrieve(collection, part, vectors, keys)
            )
        return found

    def _pages(
        self, collection: str, where: Conditions, vectors: Sequence[str], limit: int = REQUEST_POINTS
    ) -> Iterator[list[Point]]:
        start: UUID | None = None
        while True:
            page, start = self._engine.scroll(collection, where, vectors, start, limit)
            if page:
                yield page
            if start is None:
                return

    def _remember(self, items: Iterable[Point]) -> None:
        if len(self._item_ids) > REMEMBERED_ITEM_IDS:
            self._item_ids = {}
        self._item_ids.update((point.id.int, point.payload["item_id"]) for point in items)

    def _ranked(self, collection: str, found: Sequence[Hit]) -> list[ScoredItem]:
        """Hits, best first, as items; equal scores in the order of the item id."""
        item_ids = self._item_ids
        try:
            ranked = [ScoredItem(item_ids[id_], score) for id_, score in found]
        except KeyError:
            self._learn_item_ids(collection, found)
            item_ids = self._item_ids
            # An item deleted since the search has no item id any more, and is no answer either.
            ranked = [ScoredItem(item_ids[id_], score) for id_, score in found if id_ in item_ids]
        if len({score for _, score in ranked}) < len(ranked):
            ranked.sort(key=lambda one: (-one.score, one.item_id))
        return ranked

    def _learn_item_ids(self, collection: str, found: Sequence[Hit]) -> None:
        """Fetch the item ids of new point ids: with every hit they would cost a third of the search again."""
        unknown = [UUID(int=id_) for id_, _ in found if id_ not in self._item_ids]
        self._remember(self._read(collection, unknown, (), ("item_id",)).values())


def _outranks(point: Point, stored: Point) -> bool:
    newer: bool = point.payload["source_offset"] > stored.payload["source_offset"]
    return newer


def _parts(sequence: Sequence[T], size: int = REQUEST_POINTS) -> Iterator[Sequence[T]]:
    for start in range(0, len(sequence), size):
        yield sequence[start : start + size]


def _item_vectors(with_text: bool) -> tuple[str, ...]:
    return ("item", "text") if with_text else ("item",)


def _tie_is_cut(found: Sequence[Hit], limit: int, asked: int) -> bool:
    """Whether items beyond what was asked for may share the score of the last place."""
    return len(found) == asked < limit + LONGEST_TIE and found[-1][1] == found[limit - 1][1]
