"""The messages on the topics: what producers send and consumers read, as JSON.

Inbound structs ignore unknown fields, so that a producer may send more than Freshet reads. ``freshet schema``
prints all of them as JSON Schema. Decoding and its reasons for refusal are in ``streams.codec``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

SCHEMA_VERSION = "1"
"""Sent as the header ``schema_version`` of every message that Freshet publishes."""

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Price = Annotated[float, Meta(ge=0, le=1e12)]
Timestamp = (
    Annotated[int, Meta(description="milliseconds since 1970-01-01 UTC")]
    | Annotated[datetime, Meta(tz=True, description="RFC 3339, with its offset from UTC")]
)


class ItemMessage(Struct, frozen=True, kw_only=True):
    """Topic ``items`` (key: ``item_id``): an item of the catalogue, whole; a null value delists it."""

    item_id: Id
    title: Annotated[str, Meta(max_length=2_000)]
    description: Annotated[str, Meta(max_length=50_000)] = ""
    categories: Annotated[list[Annotated[str, Meta(max_length=500)]], Meta(max_length=64)] = []
    price: Price | None = None
    available: bool = True
    brand: Annotated[str, Meta(max_length=500)] | None = None
    created_at: (
        Annotated[Timestamp, Meta(description="since when in the catalogue; default: the first message")]
        | None
    ) = None
    attributes: dict[str, Any] = {}


class EventMessage(Struct, frozen=True, kw_only=True):
    """What ``clicks`` and ``purchases`` have in common (key: ``user_id``)."""

    event_id: Id
    user_id: Id
    item_id: Id
    timestamp: Timestamp
    session_id: Annotated[str, Meta(max_length=256)] | None = None
    context: dict[str, Any] | None = None


class ClickMessage(EventMessage, frozen=True, kw_only=True):
    """Topic ``clicks`` (key: ``user_id``): a user looked at an item, or what ``event_type`` says.

    A ``rating`` goes with ``event_type`` rating, on the shop's own scale (settings ``behaviours.rating_*``).
    """

    event_type: Literal["click", "cart", "dislike", "rating"] = "click"
    rating: Annotated[float, Meta(ge=-1e6, le=1e6)] | None = None


class PurchaseMessage(EventMessage, frozen=True, kw_only=True):
    """Topic ``purchases`` (key: ``user_id``): a user bought ``quantity`` of an item at ``price`` each."""

    quantity: Annotated[int, Meta(ge=1)] = 1
    price: Price | None = None


ReasonKind = Literal["similar_to", "together_with", "trending", "new", "taste", "again", "explored"]


class Reason(Struct, frozen=True, omit_defaults=True, gc=False):
    """Why an item is recommended: the evidence that its score would miss most.

    ``similar_to`` and ``together_with`` (others turned to both) name an item of the user's history;
    ``trending``; ``new`` in the catalogue; ``taste`` in categories and prices; ``again``, since the user
    turned to it before; ``explored``, put in to learn who likes a new item.
    """

    kind: ReasonKind
    item_id: str | None = None


class RecommendedItem(Struct, frozen=True, gc=False):
    """One recommended item; scores order one list, and say nothing across lists."""

    item_id: str
    score: float
    reason: Reason


class Trigger(Struct, frozen=True):
    """The event that a recommendation answers."""

    topic: str
    event_id: str
    item_id: str


class Recommendation(Struct, frozen=True, kw_only=True):
    """Topic ``recommendations`` (key: ``user_id``): the user's ranked items, best first.

    ``scenario`` names the rules that made the list. ``event_time`` and ``generated_at`` are milliseconds
    since 1970-01-01 UTC. After a fault a recommendation may be published again, by the evidence of then.
    """

    user_id: str
    scenario: str
    items: list[RecommendedItem]
    model_version: str
    trigger: Trigger
    event_time: int
    generated_at: int


PUBLISHED: dict[str, type[Struct]] = {
    "items": ItemMessage,
    "clicks": ClickMessage,
    "purchases": PurchaseMessage,
    "recommendations": Recommendation,
}
"""Topic (without prefix) -> message. ``dead-letters`` carries the refused bytes, its facts are headers."""

DEAD_LETTER_HEADERS = (
    "topic",
    "partition",
    "offset",
    "reason",
    "error",
    "app_version",
    "schema_version",
)
"""Headers of a message on ``dead-letters``; its key and value are the received bytes, unchanged."""


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of every topic's value: ``{"topics": {topic: $ref}, "$defs": {...}}``."""
    schemas, definitions = msgspec.json.schema_components(
        list(PUBLISHED.values()), ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Freshet messages, schema version {SCHEMA_VERSION}",
        "topics": dict(zip(PUBLISHED, schemas, strict=True)),
        "dead_letter_headers": list(DEAD_LETTER_HEADERS),
        "$defs": definitions,
    }
