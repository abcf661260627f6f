"""Freshet's points, layouts and conditions in the types of qdrant-client, and back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from qdrant_client import models

from encoders.errors import StoreError
from exporters.qdrant_conditions import AnyOf, AtLeast, AtMost, Condition, NoneOf
from exporters.qdrant_points import Layout, Point, Sparse

INDEX_TYPES = {
    "integer": models.PayloadSchemaType.INTEGER,
    "float": models.PayloadSchemaType.FLOAT,
    "keyword": models.PayloadSchemaType.KEYWORD,
}


def dense_params(layout: Layout) -> dict[str, models.VectorParams]:
    """What a collection's dense vectors are made with."""
    return {
        name: models.VectorParams(
            size=size,
            distance=models.Distance.DOT,
            # m = 0 builds no graph: vectors that are only fetched by id.
            hnsw_config=None if name in layout.searched else models.HnswConfigDiff(m=0),
        )
        for name, size in layout.sizes.items()
    }


def sparse_params(layout: Layout) -> dict[str, models.SparseVectorParams] | None:
    """What a collection's sparse vectors are made with, if it has any."""
    return {name: models.SparseVectorParams() for name in layout.sparse} or None


def check_layout(collection: str, layout: Layout, stored: models.CollectionParams) -> None:
    """Raise ``StoreError`` where a collection holds vectors of other names or sizes."""
    vectors = stored.vectors or {}
    sizes = {name: one.size for name, one in vectors.items()} if isinstance(vectors, dict) else vectors
    sparse = tuple(stored.sparse_vectors or ())
    if sizes != dict(layout.sizes) or sparse != layout.sparse:
        raise StoreError(
            f"collection {collection} holds vectors of sizes {sizes} and sparse ones {sparse}, "
            f"not {dict(layout.sizes)} and {layout.sparse}: "
            "use another model version or prefix, or delete the collection"
        )


def server_filter(conditions: Sequence[Condition]) -> models.Filter:
    """A filter that asks for all of the conditions."""
    return models.Filter(
        must=[_field(one) for one in conditions if not isinstance(one, NoneOf)] or None,
        must_not=[_field(one) for one in conditions if isinstance(one, NoneOf)] or None,
    )


def _field(condition: Condition) -> models.FieldCondition:
    match condition:
        case AtLeast(key, minimum):
            return models.FieldCondition(key=key, range=models.Range(gte=minimum))
        case AtMost(key, maximum):
            return models.FieldCondition(key=key, range=models.Range(lte=maximum))
        case AnyOf(key, values) | NoneOf(key, values):
            return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def conditional_upsert(point: Point, version_key: str) -> models.UpsertOperation:
    """A write that takes effect where nothing is stored or what is stored has a lower ``version_key``."""
    vectors: dict[str, object] = {name: vector.tolist() for name, vector in point.vectors.items()}
    for name, sparse in point.sparse.items():
        vectors[name] = models.SparseVector(
            indices=sparse.dimensions.tolist(), values=sparse.weights.tolist()
        )
    struct = models.PointStruct(id=str(point.id), vector=vectors, payload=point.payload)
    older = models.FieldCondition(key=version_key, range=models.Range(lt=point.payload[version_key]))
    return models.UpsertOperation(
        upsert=models.PointsList(points=[struct], update_filter=models.Filter(must=[older]))
    )


def point_of(record: models.Record) -> Point:
    """A point as it was read, with the vectors that were asked for."""
    dense, sparse = {}, {}
    for name, vector in (record.vector if isinstance(record.vector, dict) else {}).items():
        if isinstance(vector, models.SparseVector):
            sparse[name] = Sparse.of(vector.indices, vector.values)
        else:
            dense[name] = np.array(vector, dtype=np.float32)
    return Point(id_of(record.id), record.payload or {}, dense, sparse)


def id_of(id_: models.ExtendedPointId) -> UUID:
    """The id of a point, which Freshet wrote as a UUID."""
    return id_ if isinstance(id_, UUID) else UUID(str(id_))
