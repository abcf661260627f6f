"""Exact nearest neighbours over vectors in memory: what a small collection costs least to search.

The engine in this process takes several hundred microseconds for one exact query over 20,000 vectors of 128
dimensions and holds the interpreter lock meanwhile; one matrix product for a whole batch costs a fraction of
it, and lets go of the lock. ``freshet bench pipeline`` shows it as the stage ``retrieve``.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock
from typing import TypeVar
from uuid import UUID

import numpy as np
import numpy.typing as npt

from encoders.dot_products import dot_products
from encoders.exact_search import LARGEST_SCAN, lower_bounds
from exporters.named_locks import NamedLocks
from exporters.qdrant_conditions import AtLeast, Conditions
from exporters.qdrant_engine import Engine, Hit
from exporters.qdrant_points import Layout, Point
from exporters.vector_store import Vector

T = TypeVar("T")
QUERIES_AT_ONCE = 64
SLACK = np.float32(1e-5)
"""More than a matrix product's rounding: scores this near to the bound are computed again, one by one."""
PAGE = 1_000


class Mirror:
    """The vectors [n, d] of one collection and the payload number that searches filter on. Thread-safe."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[int, int] = {}
        self._ids = np.empty(0, object)
        self._vectors = np.empty((0, 0), np.float32)
        self._numbers = np.empty(0, np.float64)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dim(self) -> int:
        """d; 0 before the first point."""
        return self._vectors.shape[1]

    def put(self, points: Sequence[Point], vector: str, key: str) -> None:
        """Take in points as they are stored now."""
        with self._lock:
            for point in points:
                row = self._row(point.id.int, len(point.vectors[vector]))
                self._vectors[row] = point.vectors[vector]
                self._numbers[row] = point.payload[key]

    def nearest(self, queries: Vector, limits: Sequence[int], minimum: float) -> list[list[Hit]]:
        """For each query [q, d] the best hits by dot product among points with a number >= ``minimum``."""
        with self._lock:
            n = len(self._rows)
            hidden = np.flatnonzero(self._numbers[:n] < minimum)
            found: list[list[Hit]] = []
            for start in range(0, len(queries), QUERIES_AT_ONCE):
                chunk = slice(start, start + QUERIES_AT_ONCE)
                found += self._search(queries[chunk], limits[chunk], n, hidden)
            return found

    def _search(
        self, queries: Vector, limits: Sequence[int], n: int, hidden: npt.NDArray[np.intp]
    ) -> list[list[Hit]]:
        if n == len(hidden):
            return [[] for _ in limits]
        scores = dot_products(queries, self._vectors[:n])  # [q, n]
        scores[:, hidden] = -np.inf
        bounds = lower_bounds(scores, limits) - SLACK  # [q]
        return [
            self._exact(query, np.flatnonzero(row >= bound), limit)
            for query, row, bound, limit in zip(queries, scores, bounds, limits, strict=True)
        ]

    def _exact(self, query: Vector, rows: npt.NDArray[np.intp], limit: int) -> list[Hit]:
        """Scores of few rows, each summed by itself: the same to the last bit in any batch."""
        scores = (self._vectors[rows] * query).sum(axis=1)
        best = np.argsort(-scores, kind="stable")[:limit]
        return list(zip(self._ids[rows[best]].tolist(), scores[best].tolist(), strict=True))

    def _row(self, id_: int, dim: int) -> int:
        row = self._rows.get(id_)
        if row is None:
            row = self._rows[id_] = len(self._rows)
            if row >= len(self._ids):
                self._grow(max(1_024, 2 * row), dim)
            self._ids[row] = id_
        return row

    def _grow(self, capacity: int, dim: int) -> None:
        old = len(self._ids)
        ids, numbers = np.empty(capacity, object), np.zeros(capacity, np.float64)
        vectors = np.zeros((capacity, dim), np.float32)
        ids[:old], numbers[:old] = self._ids, self._numbers
        if old:
            vectors[:old] = self._vectors
        self._ids, self._numbers, self._vectors = ids, numbers, vectors


class MirroredEngine:
    """An ``Engine`` whose small collections are searched in memory; the engine below stays the authority.

    Only for an engine that no other process writes to.
    """

    def __init__(self, engine: Engine, largest_scan: int = LARGEST_SCAN) -> None:
        self._engine = engine
        self.shared = engine.shared
        self._largest = largest_scan
        # One each: a write to a collection that waits holds up nothing else.
        self._locks = NamedLocks()
        self._mirrors: dict[str, tuple[Mirror, str, str]] = {}
        # What only the engine does.
        self.retrieve, self.scroll, self.count = engine.retrieve, engine.scroll, engine.count
        self.exists, self.ping, self.close = engine.exists, engine.ping, engine.close

    def __repr__(self) -> str:
        return f"MirroredEngine({self._engine!r})"

    def ensure(self, collection: str, layout: Layout) -> None:
        """As the engine does."""
        self._engine.ensure(collection, layout)

    def upsert_newer(self, collection: str, batch: Sequence[Point], version_key: str) -> None:
        """Write to the engine, then take in what it holds now: a stale write must not show."""
        with self._locks[collection]:
            self._engine.upsert_newer(collection, batch, version_key)
            if collection in self._mirrors:
                mirror, vector, key = self._mirrors[collection]
                mirror.put(
                    self._engine.retrieve(collection, _distinct(batch), (vector,), (key,)), vector, key
                )

    def forget(self, collection: str) -> None:
        """The engine holds other points than were written through here: read them again when asked."""
        with self._locks[collection]:
            self._mirrors.pop(collection, None)

    def nearest(
        self,
        collection: str,
        vector: str,
        queries: Vector,
        limits: Sequence[int],
        where: AtLeast,
        filters: Sequence[Conditions],
    ) -> list[list[Hit]]:
        """In memory up to ``largest_scan`` points and without a filter, else in the engine."""
        mirror = None if all(filters) else self._mirror(collection, vector, where.key)
        if mirror is None or queries.shape[1] != mirror.dim:
            # Nothing that it could answer, or too many, or a query that only the engine can refuse.
            return self._engine.nearest(collection, vector, queries, limits, where, filters)
        if not any(filters):
            return mirror.nearest(queries, limits, where.minimum)
        # A query is answered by the same scan whatever else is asked with it: the two round differently.
        plain = [row for row, more in enumerate(filters) if not more]
        others = [row for row, more in enumerate(filters) if more]
        found = dict(zip(plain, mirror.nearest(queries[plain], _picked(limits, plain), where.minimum)))
        hits = self._engine.nearest(
            collection, vector, queries[others], _picked(limits, others), where, _picked(filters, others)
        )
        found.update(zip(others, hits, strict=True))
        return [found[row] for row in range(len(limits))]

    def _mirror(self, collection: str, vector: str, key: str) -> Mirror | None:
        """Read the collection once; from then on every write keeps the mirror up to date."""
        found = self._mirrors.get(collection) or self._read(collection, vector, key)
        return found[0] if found and len(found[0]) <= self._largest else None

    def _read(self, collection: str, vector: str, key: str) -> tuple[Mirror, str, str] | None:
        with self._locks[collection]:
            if collection in self._mirrors:
                return self._mirrors[collection]
            if self._engine.count(collection) > self._largest:
                return None
            mirror, start = Mirror(), None
            while True:
                page, start = self._engine.scroll(collection, (), (vector,), start, PAGE)
                mirror.put(page, vector, key)
                if start is None:
                    break
            found = self._mirrors[collection] = mirror, vector, key
            return found


def _picked(sequence: Sequence[T], rows: Sequence[int]) -> list[T]:
    return [sequence[row] for row in rows]


def _distinct(batch: Sequence[Point]) -> list[UUID]:
    return list({point.id: None for point in batch})
