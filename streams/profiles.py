"""What the worker knows of a user, in words and on the map: for people who look, not for serving."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from encoders.events import EventType
from exporters.vector_store import CollectionNames, VectorStore
from streams.generation import Generation
from streams.item_map import Layout, LayoutCache, spread
from streams.lookup import stored_users
from streams.state import FULL_STRENGTH, Applied

SHOWN_EVENTS = 50
SHOWN_INTERESTS = 5
HALF_LIFE_EVENTS = 5.0
"""An event this many events ago counts half in the summary of interests."""
CATEGORY_LEVELS = 2
MAP_ITEMS = 1_500


class PastEvent(Struct, frozen=True):
    """One event of a history; ``timestamp`` is milliseconds since 1970-01-01 UTC."""

    item_id: str
    event_type: str
    timestamp: int


class Interest(Struct, frozen=True):
    """A category, from the widest name on, and its share of all that the history speaks for."""

    categories: tuple[str, ...]
    share: float


class UserProfile(Struct, frozen=True):
    """What a user did, the newest first, and likes; ``position`` is the interest's place on the map."""

    user_id: str
    model_version: str
    events: int
    history: list[PastEvent]
    interests: list[Interest]
    position: tuple[float, float] | None = None
    layout: str = ""
    """Which map: positions on different ones do not compare."""


class MapItem(Struct, frozen=True):
    """One item on the map, coordinates from -1 to 1."""

    item_id: str
    x: float
    y: float
    category: str | None


class MapAnchor(Struct, frozen=True):
    """A category's place on the map, which draws the items that are like it."""

    category: str
    x: float
    y: float


class ItemMap(Struct, frozen=True):
    """The available items, each drawn to the categories that it is like; of many, some evenly spread.

    Without categories there are no anchors, and the map shows the two main axes of the vectors.
    """

    model_version: str
    items: list[MapItem]
    anchors: list[MapAnchor]
    total: int
    layout: str = ""


def interests_of(
    events: Sequence[Applied], categories_of: Callable[[str], tuple[str, ...]]
) -> list[Interest]:
    """The strongest categories of a history, the newest event last; shares add up to at most 1.

    An event weighs its strength, halved every ``HALF_LIFE_EVENTS`` events. What speaks against an item takes
    from its category.
    """
    weights: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for age, event in enumerate(reversed(events)):
        categories = categories_of(event.item_id)[:CATEGORY_LEVELS]
        if categories:
            weights[categories] += event.strength / FULL_STRENGTH * 0.5 ** (age / HALF_LIFE_EVENTS)
    liked = {one: weight for one, weight in weights.items() if weight > 0}
    total = sum(liked.values())
    best = sorted(liked, key=lambda one: (-liked[one], one))[:SHOWN_INTERESTS]
    return [Interest(one, liked[one] / total) for one in best]


def profile(
    store: VectorStore,
    generation: Generation,
    user_id: str,
    elsewhere: Sequence[CollectionNames],
    layouts: LayoutCache,
) -> UserProfile:
    """A user as stored, empty for one without events; blocks.

    Raises ``StoreUnavailable`` or ``StoreError``.
    """
    user = stored_users(store, generation, [user_id], elsewhere)[0]
    items, events = generation.replica.items, user.history.events
    position, name = None, ""
    if user.interest.any() and len(items):
        name, layout = _layout(generation, layouts)
        x, y = layout(user.interest[None])[0].tolist()
        position = (x, y)

    def categories_of(item_id: str) -> tuple[str, ...]:
        row = items.rows.get(item_id)
        return () if row is None else items.categories[row]

    return UserProfile(
        user_id=user_id,
        model_version=generation.version,
        events=user.history.applied,
        history=[_past(event) for event in reversed(events[-SHOWN_EVENTS:])],
        interests=interests_of(events, categories_of),
        position=position,
        layout=name,
    )


def item_map(generation: Generation, layouts: LayoutCache) -> ItemMap:
    """The map of a generation's available items; blocks, the longest for the first of a version."""
    items = generation.replica.items
    available = np.flatnonzero(items.available)
    if not len(available):
        return ItemMap(generation.version, [], [], 0)
    name, layout = _layout(generation, layouts)
    rows = available[spread(len(available), MAP_ITEMS)]
    points = layout(items.vectors[rows]).tolist()
    shown = [
        MapItem(items.ids[row], x, y, _widest(items.categories[row]))
        for row, (x, y) in zip(rows.tolist(), points, strict=True)
    ]
    anchors = [
        MapAnchor(one, x, y) for one, (x, y) in zip(layout.names, layout.places.tolist(), strict=False)
    ]
    return ItemMap(generation.version, shown, anchors, len(available), name)


def _layout(generation: Generation, layouts: LayoutCache) -> tuple[str, Layout]:
    items = generation.replica.items
    vectors = items.vectors
    return layouts.of(generation.version, vectors, [_widest(one) for one in items.categories[: len(vectors)]])


def _widest(categories: tuple[str, ...]) -> str | None:
    return categories[0] if categories else None


def _past(event: Applied) -> PastEvent:
    return PastEvent(event.item_id, EventType(event.event_type).name.lower(), event.timestamp_ms)
