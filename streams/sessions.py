"""Recommendations for a session without a user: a list of recent items in, an answer out, nothing stored."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from encoders.events import EventType, Interaction
from exporters.vector_store import VectorStore
from streams.fold_types import Behaviours
from streams.generation import Generation
from streams.list_maker import Query
from streams.lookup import Answer, answer
from streams.messages import Id
from streams.reencoding import encode_events
from streams.rules import MAX_RULES, Rule
from streams.scenarios import Scenario
from streams.state import FULL_STRENGTH, Applied

MAX_ITEMS = 100
EventName = Literal["click", "purchase", "cart", "dislike"]


class SessionItem(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing the visitor did, oldest first in the list; ``seconds_ago`` before now."""

    item_id: Id
    event_type: EventName = "click"
    seconds_ago: Annotated[float, Meta(ge=0, le=1e9)] = 0.0


class SessionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /recommendations``."""

    items: Annotated[list[SessionItem], Meta(min_length=1, max_length=MAX_ITEMS)]
    k: Annotated[int, Meta(ge=1, le=200)] | None = None
    exclude: Annotated[list[Id], Meta(max_length=1_000)] = []
    scenario: Annotated[str, Meta(max_length=40)] = "home"
    filters: Annotated[list[Rule], Meta(max_length=MAX_RULES)] = []


class UnknownItems(Exception):
    """None of the items is in the catalogue."""


def recommend_session(
    store: VectorStore,
    generation: Generation,
    request: SessionRequest,
    scenario: Scenario,
    behaviours: Behaviours,
    now_ms: int,
) -> tuple[Answer, list[str]]:
    """A scenario's list for a session, less its own items and the excluded ones; and the items nobody knows.

    ``now_ms``: milliseconds since 1970-01-01 UTC. Blocks.

    Raises ``UnknownItems``, ``StoreUnavailable`` or ``StoreError``.
    """
    generation.replica.ensure(one.item_id for one in request.items)
    known = [one for one in request.items if one.item_id in generation.replica]
    unknown = sorted({one.item_id for one in request.items} - {one.item_id for one in known})
    if not known:
        raise UnknownItems(f"none of these items is in the catalogue: {', '.join(unknown[:5])}")
    events = [_applied(one, behaviours, now_ms) for one in known]
    _, interests = encode_events(generation.model, generation.replica.items, [events])
    hidden = {one.item_id for one in known} | set(request.exclude)
    query = Query(interests[0], events, hidden, now_ms, seed=" ".join(sorted(hidden)))
    chosen = generation.recommender.recommend(scenario, [query])[0]
    return answer(store, generation.names, "session", len(known), chosen), unknown


def _applied(one: SessionItem, behaviours: Behaviours, now_ms: int) -> Applied:
    """What was done, as a user's history would hold it."""
    kind, at_ms = EventType[one.event_type.upper()], now_ms - round(1000 * one.seconds_ago)
    strength = behaviours.strength(Interaction("", one.item_id, kind, at_ms))
    return Applied(one.item_id, int(kind), at_ms, round(strength * FULL_STRENGTH))
