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


class TrainingReason(Struct, frozen=True, kw_only=True):
    """What asks for a training: a statistic that passed its threshold, the calendar, or a person."""

    kind: Literal["drift", "periodic", "manual"]
    detector: str = ""
    statistic: float = 0.0
    threshold: float = 0.0
    detail: Annotated[str, Meta(max_length=2_000)] = ""


class TrainingRequest(Struct, frozen=True, kw_only=True):
    """Topic ``training-requests`` (key: the model's name): train a successor of ``parent``.

    On the events of a window; times are milliseconds since 1970-01-01 UTC, by the records' times on Kafka.
    """

    request_id: Id
    model: Id
    parent: Id
    """The version that serves."""
    reasons: Annotated[list[TrainingReason], Meta(min_length=1, max_length=64)]
    window_from_ms: Annotated[int, Meta(ge=0)]
    window_until_ms: Annotated[int, Meta(ge=0)]
    requested_at: int


class ModelAt(Struct, frozen=True, kw_only=True):
    """One version of a model, and where it and its items lie."""

    version: Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    uri: Annotated[str, Meta(min_length=1, max_length=2_000)]
    """Folder of the version: a path, or any location that fsspec reads."""
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the folder's manifest, which holds the digests of its files."""
    items: Annotated[int, Meta(ge=0)] = 0
    """Items in its collection when it was released; 0: the workers fill it."""


class ModelRelease(Struct, frozen=True, kw_only=True):
    """Topic ``model-releases`` (compacted; key: the model's name): the whole of what is to be served.

    A worker obeys the highest ``number``; to roll back is a new number with an older champion.
    """

    model: Id
    number: Annotated[int, Meta(ge=1)]
    champion: ModelAt
    challenger: ModelAt | None = None
    mode: Literal["none", "shadow", "canary"] = "none"
    """What the challenger does: nothing, is scored beside the champion, or answers a share of the users."""
    canary_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    lineage: Annotated[list[str], Meta(max_length=16)] = []
    """Earlier champions, newest first: where users are found that have not come since."""
    gate: dict[str, Any] | None = None
    """Summary of the report that let the champion through."""
    released_at: int


PUBLISHED: dict[str, type[Struct]] = {
    "items": ItemMessage,
    "clicks": ClickMessage,
    "purchases": PurchaseMessage,
    "recommendations": Recommendation,
    "training-requests": TrainingRequest,
    "model-releases": ModelRelease,
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
