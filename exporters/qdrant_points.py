"""How Freshet's records lie in Qdrant: point ids, vectors, payloads; the same for both adapters.

A collection holds points ``(id, named vectors, payload)``. A point's id is the 128-bit BLAKE2b digest of the
record's own id, since Qdrant takes only integers and UUIDs; the own id is kept in the payload.

=============  ==========================================  ==================================================
collection     vectors                                     payload
=============  ==========================================  ==================================================
items          ``item`` [d] (indexed), ``text`` [t]        item_id, title, categories, brand, price,
                                                           available, created_at, text_digest, source_offset,
                                                           updated_at
users          ``interest`` [d], ``state`` [s]             user_id, blob, sequence, token, waiting, updated_at
evidence       ``neighbours`` (sparse, indexed)            item_id, blob, sequence, token, updated_at
counters       ``none`` [1] (never written)                name, blob, sequence
=============  ==========================================  ==================================================

Times are milliseconds since 1970. Indexed payload: what searches and scrolls filter on (see the layouts).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from exporters.vector_store import CounterRecord, EvidenceRecord, ItemRecord, UserRecord, Vector, VectorSizes

Payload = dict[str, Any]
Index = Literal["integer", "float", "keyword"]

NO_VECTOR: Vector = np.zeros(0, dtype=np.float32)


class Sparse(NamedTuple):
    """A sparse vector: ``weights`` [m] at ascending ``dimensions`` [m], all other numbers being zero."""

    dimensions: npt.NDArray[np.uint32]
    weights: Vector

    @classmethod
    def of(cls, dimensions: Sequence[int], weights: Sequence[float]) -> Sparse:
        """From what an engine answers, in any order."""
        at = np.array(dimensions, dtype=np.uint32)
        order = np.argsort(at)
        return cls(at[order], np.array(weights, dtype=np.float32)[order])


NO_NEIGHBOURS = Sparse.of((), ())


@dataclass(frozen=True, slots=True)
class Point:
    """One point as both engines know it; its vectors are those asked for, or those to be written."""

    id: UUID
    payload: Payload
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    sparse: Mapping[str, Sparse] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a collection is made of: sizes of its vectors, which of them are searched, names of its sparse
    vectors, and which payload keys are indexed as what.

    All distances are dot products: zeros are storable, and on unit vectors it is the cosine. A vector that is
    only ever fetched by id is not ``searched``: building a graph over it would cost and serve nobody.
    """

    sizes: Mapping[str, int]
    searched: frozenset[str] = frozenset()
    sparse: tuple[str, ...] = ()
    indexes: Mapping[str, Index] = field(default_factory=dict)


def items_layout(sizes: VectorSizes) -> Layout:
    """Layout of an items collection."""
    return Layout(
        {"item": sizes.item, "text": sizes.text},
        searched=frozenset({"item"}),
        indexes={
            "available": "integer",
            "updated_at": "integer",
            "created_at": "integer",
            "price": "float",
            "categories": "keyword",
            "brand": "keyword",
        },
    )


def users_layout(sizes: VectorSizes) -> Layout:
    """Layout of a users collection."""
    return Layout({"interest": sizes.item, "state": sizes.state}, indexes={"waiting": "integer"})


EVIDENCE_LAYOUT = Layout({}, sparse=("neighbours",), indexes={"updated_at": "integer"})
# The engine in this process wants at least one vector in a collection; no point ever has this one.
COUNTERS_LAYOUT = Layout({"none": 1})


def point_id(record_id: str) -> UUID:
    """The point id of a user, an item or any other record, whatever the length and alphabet of its own id."""
    return UUID(bytes=blake2b(record_id.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def item_point(item: ItemRecord) -> Point:
    """An item as a point."""
    payload = {
        "item_id": item.item_id,
        "title": item.title,
        "categories": list(item.categories),
        "brand": item.brand,
        "price": item.price,
        "available": int(item.available),
        "created_at": item.created_at_ms,
        "text_digest": item.text_digest,
        "source_offset": item.source_offset,
        "updated_at": item.updated_at_ms,
    }
    return Point(point_id(item.item_id), payload, {"item": item.vector, "text": item.text_vector})


def item_record(point: Point) -> ItemRecord:
    """A point of an items collection as an item; ``text_vector`` is empty [0] where it was not fetched.

    Points of older versions have neither ``brand`` nor ``created_at``.
    """
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
        brand=payload.get("brand"),
        created_at_ms=payload.get("created_at", 0),
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


def evidence_point(evidence: EvidenceRecord) -> Point:
    """The evidence on an item as a point; where there are no neighbours, it has no vector."""
    stored = evidence.as_stored()
    payload = {
        "item_id": stored.item_id,
        "blob": b64encode(stored.blob).decode("ascii"),
        "sequence": stored.sequence,
        "token": stored.token,
        "updated_at": stored.updated_at_ms,
    }
    neighbours = {"neighbours": Sparse(stored.dimensions, stored.weights)} if len(stored.dimensions) else {}
    return Point(point_id(stored.item_id), payload, sparse=neighbours)


def evidence_record(point: Point) -> EvidenceRecord:
    """A point of an evidence collection as the evidence on an item."""
    payload = point.payload
    neighbours = point.sparse.get("neighbours", NO_NEIGHBOURS)
    return EvidenceRecord(
        item_id=payload["item_id"],
        dimensions=neighbours.dimensions,
        weights=neighbours.weights,
        blob=b64decode(payload["blob"]),
        sequence=payload["sequence"],
        token=payload["token"],
        updated_at_ms=payload["updated_at"],
    )


def counter_point(counter: CounterRecord) -> Point:
    """A counter as a point without vectors."""
    blob = b64encode(counter.blob).decode("ascii")
    return Point(point_id(counter.name), {"name": counter.name, "blob": blob, "sequence": counter.sequence})


def counter_record(point: Point) -> CounterRecord:
    """A point of the counters collection as a counter."""
    return CounterRecord(point.payload["name"], b64decode(point.payload["blob"]), point.payload["sequence"])
