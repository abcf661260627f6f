"""A memory store that logs its writes and fails where a test says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from encoders.errors import StoreUnavailable
from exporters.vector_store import (
    CollectionNames,
    CounterRecord,
    EvidenceRecord,
    ItemFilter,
    ItemRecord,
    ScoredItem,
    UserRecord,
    Vector,
)
from tests.fakes.memory_vector_store import MemoryVectorStore

Result = TypeVar("Result")
When = Literal["before", "after"]
"""Whether a call fails before it takes effect or after: in the second case the caller cannot know."""


class FaultyVectorStore(MemoryVectorStore):
    """``faults`` maps a method to when its next call fails; ``meanwhile`` to what happens just before it."""

    def __init__(self, log: list[str] | None = None) -> None:
        super().__init__()
        self.log: list[str] = [] if log is None else log
        self.faults: dict[str, When] = {}
        self.meanwhile: dict[str, Callable[[], object]] = {}

    def retrieve_items(
        self, names: CollectionNames, item_ids: Sequence[str], with_text: bool = False
    ) -> list[ItemRecord | None]:
        return self._call(
            "retrieve_items",
            lambda: super(FaultyVectorStore, self).retrieve_items(names, item_ids, with_text),
        )

    def upsert_items(self, names: CollectionNames, items: Sequence[ItemRecord]) -> None:
        self._call("upsert_items", lambda: super(FaultyVectorStore, self).upsert_items(names, items))

    def nearest_items(
        self,
        names: CollectionNames,
        queries: Vector,
        limits: Sequence[int],
        filters: Sequence[ItemFilter | None] | None = None,
    ) -> list[list[ScoredItem]]:
        return self._call(
            "nearest_items",
            lambda: super(FaultyVectorStore, self).nearest_items(names, queries, limits, filters),
        )

    def retrieve_users(self, names: CollectionNames, user_ids: Sequence[str]) -> list[UserRecord | None]:
        return self._call(
            "retrieve_users", lambda: super(FaultyVectorStore, self).retrieve_users(names, user_ids)
        )

    def upsert_users(self, names: CollectionNames, users: Sequence[UserRecord]) -> list[str]:
        return self._call("upsert_users", lambda: super(FaultyVectorStore, self).upsert_users(names, users))

    def upsert_evidence(self, names: CollectionNames, records: Sequence[EvidenceRecord]) -> list[str]:
        return self._call(
            "upsert_evidence", lambda: super(FaultyVectorStore, self).upsert_evidence(names, records)
        )

    def retrieve_evidence(
        self, names: CollectionNames, item_ids: Sequence[str]
    ) -> list[EvidenceRecord | None]:
        return self._call(
            "retrieve_evidence", lambda: super(FaultyVectorStore, self).retrieve_evidence(names, item_ids)
        )

    def upsert_counters(self, names: CollectionNames, counters: Sequence[CounterRecord]) -> None:
        self._call("upsert_counters", lambda: super(FaultyVectorStore, self).upsert_counters(names, counters))

    def _call(self, method: str, call: Callable[[], Result]) -> Result:
        if event := self.meanwhile.pop(method, None):
            event()
        fault = self.faults.pop(method, None)
        if fault == "before":
            raise StoreUnavailable(f"{method}: told to fail before it takes effect")
        result = call()
        self.log.append(method)
        if fault == "after":
            raise StoreUnavailable(f"{method}: told to fail after it took effect")
        return result
