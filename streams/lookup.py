"""What the store would recommend to a user now: for the command line and for HTTP, without Kafka."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exporters.vector_store import CollectionNames, ItemRecord, VectorStore
from streams.messages import RecommendedItem
from streams.recommending import Rules, choose, held_back
from streams.state import unpack
from streams.trending_board import trending_items

TRENDING_MARGIN = 5
"""How many times k trending items are looked at, so that delisted ones can be left out."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Recommendations; ``basis`` says what they rest on: ``history``, ``session`` or ``trending``."""

    basis: str
    events: int
    items: list[RecommendedItem]
    records: list[ItemRecord | None]
    """The recommended items as stored, in the same order."""


def recommend(store: VectorStore, names: CollectionNames, user_id: str, rules: Rules) -> Answer:
    """Nearest items for a known user, what is trending for one without history; blocks.

    Raises ``StoreUnavailable`` or ``StoreError``.
    """
    record = store.retrieve_users(names, [user_id])[0]
    history = unpack(record.blob) if record is not None else None
    if record is None or history is None or not history.applied:
        return answer(store, names, "trending", 0, _trending(store, names, rules.k))
    hidden = held_back(history, rules)
    found = store.nearest_items(names, np.stack([record.interest]), [rules.k + len(hidden)])[0]
    chosen = choose(found, hidden, rules.k)
    return answer(store, names, "history", history.applied, chosen)


def _trending(store: VectorStore, names: CollectionNames, k: int) -> list[RecommendedItem]:
    candidates = trending_items(store, names, TRENDING_MARGIN * k)
    records = store.retrieve_items(names, [item_id for item_id, _ in candidates]) if candidates else []
    available = {one.item_id for one in records if one is not None and one.available}
    return [
        RecommendedItem(item_id, round(share, 6)) for item_id, share in candidates if item_id in available
    ][:k]


def answer(
    store: VectorStore, names: CollectionNames, basis: str, events: int, items: list[RecommendedItem]
) -> Answer:
    """Items with what the store knows of them; blocks."""
    records = store.retrieve_items(names, [one.item_id for one in items]) if items else []
    return Answer(basis, events, items, records)
