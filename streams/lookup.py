"""What a user would be recommended now: for the command line and for HTTP, without Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporters.vector_store import CollectionNames, ItemRecord, VectorStore
from streams.generation import Generation
from streams.list_maker import Query
from streams.messages import RecommendedItem
from streams.recommending import query_of
from streams.reencoding import encode_histories
from streams.scenarios import Scenario
from streams.state import UserState
from streams.user_versions import read_users


@dataclass(frozen=True, slots=True)
class Answer:
    """Recommendations; ``basis`` says what they rest on: ``history``, ``session`` or ``trending``."""

    basis: str
    events: int
    items: list[RecommendedItem]
    records: list[ItemRecord | None]
    """The recommended items as stored, in the same order."""


def recommend(
    store: VectorStore,
    generation: Generation,
    user_id: str,
    scenario: Scenario,
    elsewhere: Sequence[CollectionNames] = (),
) -> Answer:
    """A scenario's list for a known user, what is trending for one without history; blocks.

    ``elsewhere``: other versions under which the user may have been stored last. Raises
    ``StoreUnavailable`` or ``StoreError``.
    """
    user = stored_users(store, generation, [user_id], elsewhere)[0]
    chosen = generation.recommender.recommend(scenario, [query_for(user, scenario)])[0]
    events = user.history.applied
    return answer(store, generation.names, "history" if events else "trending", events, chosen)


def stored_users(
    store: VectorStore,
    generation: Generation,
    user_ids: Sequence[str],
    elsewhere: Sequence[CollectionNames] = (),
) -> list[UserState]:
    """The users as stored, in the order asked for, with vectors of this generation's model; blocks."""
    users = read_users(store, generation.names, generation.sizes, elsewhere, user_ids)
    foreign = [user for user in users if user.encoded_by is None]
    if foreign:
        found = encode_histories(generation.model, generation.replica.items, foreign)
        for user, state, interest in zip(foreign, *found, strict=True):
            user.state, user.interest = state, interest
    return users


def query_for(user: UserState, scenario: Scenario) -> Query:
    """What to ask for a user who may not have done anything yet."""
    if not user.history.applied:
        return Query(np.zeros(0, np.float32), [], set(), at_ms=0)
    return query_of(user, scenario)


def answer(
    store: VectorStore, names: CollectionNames, basis: str, events: int, items: list[RecommendedItem]
) -> Answer:
    """Items with what the store knows of them; blocks."""
    records = store.retrieve_items(names, [one.item_id for one in items]) if items else []
    return Answer(basis, events, items, records)
