"""The port to a Qdrant engine: the few calls that differ between a server and the engine in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from exporters.qdrant_conditions import AtLeast, Conditions
from exporters.qdrant_points import Layout, Point
from exporters.vector_store import Vector

# A point id as its 128-bit integer and its score: as a dictionary's key a UUID costs ten times an integer.
Hit = tuple[int, float]


class Engine(Protocol):
    """Thread-safe. Raises ``StoreUnavailable`` for passing faults and ``StoreError`` for others."""

    @property
    def shared(self) -> bool:
        """Whether another process may write to it."""

    def ensure(self, collection: str, layout: Layout) -> None:
        """Create the collection and its payload indexes where missing; refuse another layout of vectors."""

    def exists(self, collection: str) -> bool:
        """Whether the collection is there."""

    def upsert_newer(self, collection: str, batch: Sequence[Point], version_key: str) -> None:
        """Write each point where it is absent or its stored ``payload[version_key]`` is lower; wait."""

    def retrieve(
        self, collection: str, ids: Sequence[UUID], vectors: Sequence[str], keys: Sequence[str] | None
    ) -> list[Point]:
        """The points that exist, in any order, with these vectors and payload keys (``None``: all keys)."""

    def nearest(
        self,
        collection: str,
        vector: str,
        queries: Vector,
        limits: Sequence[int],
        where: AtLeast,
        filters: Sequence[Conditions],
    ) -> list[list[Hit]]:
        """For each query [n, d] the ids and scores of the nearest points, best first, in one request.

        ``where`` holds for the answers of all queries, ``filters[i]`` for those of query ``i``.
        """

    def scroll(
        self, collection: str, where: Conditions, vectors: Sequence[str], start: UUID | None, limit: int
    ) -> tuple[list[Point], UUID | None]:
        """One page in the order of ids from ``start`` on, and where the next one starts, if anywhere."""

    def count(self, collection: str) -> int:
        """The exact number of points."""

    def ping(self) -> None:
        """Return when the engine answers."""

    def close(self) -> None:
        """Release what is held."""
