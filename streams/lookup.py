"""What a user would be recommended now: for the command line and for HTTP, without Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporters.vector_store import CollectionNames, ItemRecord, VectorStore
from streams.list_maker import Query
from streams.messages import RecommendedItem
from streams.recommender import Recommender
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
    user = stored_users(store, names, [user_id])[0]
    chosen = recommender.recommend(scenario, [query_for(user, scenario)])[0]
    events = user.history.applied if user else 0
    return answer(store, names, "history" if events else "trending", events, chosen)


def stored_users(
    store: VectorStore, names: CollectionNames, user_ids: Sequence[str]
) -> list[UserState | None]:
    """The users as stored, in the order asked for; blocks."""
    return [
        UserState(record.user_id, record.interest, record.state, unpack(record.blob)) if record else None
        for record in store.retrieve_users(names, user_ids)
    ]


def query_for(user: UserState | None, scenario: Scenario) -> Query:
    """What to ask for a user who may not have done anything yet."""
    if user is None or not user.history.applied:
        return Query(np.zeros(0, np.float32), [], set(), at_ms=0)
    return query_of(user, scenario)


def answer(
    store: VectorStore, names: CollectionNames, basis: str, events: int, items: list[RecommendedItem]
) -> Answer:
    """Items with what the store knows of them; blocks."""
    records = store.retrieve_items(names, [one.item_id for one in items]) if items else []
    return Answer(basis, events, items, records)
