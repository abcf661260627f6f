"""What a user would be recommended now: for the command line and for HTTP, without Kafka."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exporters.vector_store import CollectionNames, ItemRecord, VectorStore
from streams.messages import RecommendedItem
from streams.recommender import Query, Recommender
from streams.recommending import query_of
from streams.scenarios import Scenario
from streams.state import UserState, unpack


@dataclass(frozen=True, slots=True)
class Answer:
    """Recommendations; ``basis`` says what they rest on: ``history``, ``session`` or ``trending``."""

    basis: str
    events: int
    items: list[RecommendedItem]
    records: list[ItemRecord | None]
    """The recommended items as stored, in the same order."""


def recommend(
    store: VectorStore, names: CollectionNames, recommender: Recommender, user_id: str, scenario: Scenario
) -> Answer:
    """A scenario's list for a known user, what is trending for one without history; blocks.

    Raises ``StoreUnavailable`` or ``StoreError``.
    """
    record = store.retrieve_users(names, [user_id])[0]
    history = unpack(record.blob) if record is not None else None
    if record is None or history is None or not history.applied:
        nobody = Query(np.zeros(0, np.float32), [], set(), at_ms=0)
        return answer(store, names, "trending", 0, recommender.recommend(scenario, [nobody])[0])
    user = UserState(user_id, record.interest, record.state, history)
    chosen = recommender.recommend(scenario, [query_of(user, scenario)])[0]
    return answer(store, names, "history", history.applied, chosen)


def answer(
    store: VectorStore, names: CollectionNames, basis: str, events: int, items: list[RecommendedItem]
) -> Answer:
    """Items with what the store knows of them; blocks."""
    records = store.retrieve_items(names, [one.item_id for one in items]) if items else []
    return Answer(basis, events, items, records)
