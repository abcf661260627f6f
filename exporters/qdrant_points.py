"""How Freshet's records lie in Qdrant: point ids, vectors, payloads; the same for both adapters.

A collection holds points ``(id, named vectors, payload)``. A point's id is the 128-bit BLAKE2b digest of the
record's own id, since Qdrant takes only integers and UUIDs; the own id is kept in the payload.

=============  ==========================================  ==================================================
collection     vectors                                     payload
=============  ==========================================  ==================================================
items          ``item`` [d] (indexed), ``text`` [t]        item_id, title, categories, price, available,
                                                           text_digest, source_offset, updated_at
users          ``interest`` [d], ``state`` [s]             user_id, blob, sequence, token, waiting, updated_at
counters       ``none`` [1] (never written)                name, blob, sequence
=============  ==========================================  ==================================================
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from uuid import UUID

import numpy as np

from exporters.vector_store import CounterRecord, ItemRecord, UserRecord, Vector, VectorSizes

Payload = dict[str, Any]

NO_VECTOR: Vector = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Point:
    """One point as both engines know it; ``vectors`` holds what was asked for, or what is to be written."""

    id: UUID
    payload: Payload
    vectors: Mapping[str, Vector] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The one filter Freshet needs: points whose integer payload ``key`` is at least ``minimum``."""

    key: str
    minimum: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What a collection is made of: sizes of its vectors, which of them are searched, indexed payload keys.

    All distances are dot products: zeros are storable, and on unit vectors it is the cosine. A vector that is
    only ever fetched by id is not ``searched``: building a graph over it would cost and serve nobody.
    """

    sizes: Mapping[str, int]
    searched: frozenset[str] = frozenset()
    integer_keys: tuple[str, ...] = ()


# A flag is the integer 1 or 0: qdrant-edge 0.9.0 reads ``MatchValue(True)`` as 1, which matches no boolean.
AVAILABLE = AtLeast("available", 1)
WAITING = AtLeast("waiting", 1)


def updated_since(timestamp_ms: int) -> AtLeast | None:
    """Filter on ``updated_at`` (milliseconds since 1970), or none when everything is asked for."""
    return AtLeast("updated_at", timestamp_ms) if timestamp_ms > 0 else None


def items_layout(sizes: VectorSizes) -> Layout:
    """Layout of an items collection."""
    return Layout(
        {"item": sizes.item, "text": sizes.text}, frozenset({"item"}), (AVAILABLE.key, "updated_at")
    )


def users_layout(sizes: VectorSizes) -> Layout:
    """Layout of a users collection."""
    return Layout({"interest": sizes.item, "state": sizes.state}, integer_keys=(WAITING.key,))


# The engine in this process wants at least one vector in a collection; no point ever has this one.
COUNTERS_LAYOUT = Layout({"none": 1})


def point_id(record_id: str) -> UUID:
    """The point id of a user, an item or a counter, whatever the length and alphabet of its own id."""
    return UUID(bytes=blake2b(record_id.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def item_point(item: ItemRecord) -> Point:
    """An item as a point."""
    payload = {
        "item_id": item.item_id,
        "title": item.title,
        "categories": list(item.categories),
        "price": item.price,
        "available": int(item.available),
        "text_digest": item.text_digest,
        "source_offset": item.source_offset,
        "updated_at": item.updated_at_ms,
    }
    return Point(point_id(item.item_id), payload, {"item": item.vector, "text": item.text_vector})


def item_record(point: Point) -> ItemRecord:
    """A point of an items collection as an item; ``text_vector`` is empty [0] where it was not fetched."""
    payload = point.payload
    return ItemRecord(
        item_id=payload["item_id"],
        vector=point.vectors["item"],
        text_vector=point.vectors.get("text", NO_VECTOR),
        title=payload["title"],
        categories=tuple(payload["categories"]),
        price=payload["price"],
        available=bool(payload["available"]),
        text_digest=payload["text_digest"],
        source_offset=payload["source_offset"],
        updated_at_ms=payload["updated_at"],
    )


def user_point(user: UserRecord) -> Point:
    """A user as a point; the history is one string: lists of numbers cost twenty times more to write."""
    payload = {
        "user_id": user.user_id,
        "blob": b64encode(user.blob).decode("ascii"),
        "sequence": user.sequence,
        "token": user.token,
        "waiting": user.waiting,
        "updated_at": user.updated_at_ms,
    }
    return Point(point_id(user.user_id), payload, {"interest": user.interest, "state": user.state})


def user_record(point: Point) -> UserRecord:
    """A point of a users collection as a user."""
    payload = point.payload
    return UserRecord(
        user_id=payload["user_id"],
        interest=point.vectors["interest"],
        state=point.vectors["state"],
        blob=b64decode(payload["blob"]),
        sequence=payload["sequence"],
        token=payload["token"],
        waiting=payload["waiting"],
        updated_at_ms=payload["updated_at"],
    )


def counter_point(counter: CounterRecord) -> Point:
    """A counter as a point without vectors."""
    blob = b64encode(counter.blob).decode("ascii")
    return Point(point_id(counter.name), {"name": counter.name, "blob": blob, "sequence": counter.sequence})


def counter_record(point: Point) -> CounterRecord:
    """A point of the counters collection as a counter."""
    return CounterRecord(point.payload["name"], b64decode(point.payload["blob"]), point.payload["sequence"])
