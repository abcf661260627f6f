"""Freshet's points, layouts and conditions in the types of qdrant-edge, and back."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import cast
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from exporters.qdrant_conditions import AnyOf, AtLeast, AtMost, Condition, NoneOf
from exporters.qdrant_points import Layout, Point, Sparse

# m = 0 builds no graph: vectors that are only fetched by id.
_NO_GRAPH = edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000)

INDEX_TYPES = {
    "integer": edge.PayloadSchemaType.Integer,
    "float": edge.PayloadSchemaType.Float,
    "keyword": edge.PayloadSchemaType.Keyword,
}


def edge_config(layout: Layout) -> edge.EdgeConfig:
    """What a new shard is made with, and an existing one is compared with."""
    vectors = {
        name: edge.EdgeVectorParams(
            size=size,
            distance=edge.Distance.Dot,
            hnsw_config=None if name in layout.searched else _NO_GRAPH,
        )
        for name, size in layout.sizes.items()
    }
    sparse = {name: edge.EdgeSparseVectorParams() for name in layout.sparse}
    return edge.EdgeConfig(vectors=vectors, sparse_vectors=sparse, wal_enabled=True)


def edge_filter(conditions: Sequence[Condition]) -> edge.Filter:
    """A filter that asks for all of the conditions."""
    return edge.Filter(
        must=[_field(one) for one in conditions if not isinstance(one, NoneOf)],
        must_not=[_field(one) for one in conditions if isinstance(one, NoneOf)],
    )


def _field(condition: Condition) -> edge.FieldCondition:
    match condition:
        case AtLeast(key, minimum):
            return edge.FieldCondition(key, range=edge.RangeFloat(gte=minimum))
        case AtMost(key, maximum):
            return edge.FieldCondition(key, range=edge.RangeFloat(lte=maximum))
        case AnyOf(key, values) | NoneOf(key, values):
            return edge.FieldCondition(key, match=edge.MatchAny(list(values)))


def below(key: str, version: int) -> edge.Filter:
    """The condition of a write: what is stored has a lower ``key``."""
    return edge.Filter(must=[edge.FieldCondition(key, range=edge.RangeFloat(lt=version))])


def edge_point(point: Point) -> edge.Point:
    """A point as it is written."""
    # Lists go in faster than arrays: the binding takes an array apart number by number.
    vectors: dict[str, edge.NamedVector] = {name: vector.tolist() for name, vector in point.vectors.items()}
    for name, sparse in point.sparse.items():
        vectors[name] = edge.SparseVector(sparse.dimensions.tolist(), sparse.weights.tolist())
    return edge.Point(point.id, vectors, point.payload)


def point_of(record: edge.Record) -> Point:
    """A point as it was read, with the vectors that were asked for."""
    dense, sparse = {}, {}
    for name, vector in (record.vector if isinstance(record.vector, dict) else {}).items():
        if isinstance(vector, edge.SparseVector):
            sparse[name] = Sparse.of(vector.indices, vector.values)
        else:
            # Two thirds of what numpy takes for it.
            dense[name] = np.frombuffer(array("f", cast("list[float]", vector)), np.float32)
    return Point(uuid_of(record.id), record.payload or {}, dense, sparse)


def uuid_of(id_: edge.PointId) -> UUID:
    """Every id that Freshet writes is a UUID, and the engine gives it back as one."""
    assert isinstance(id_, UUID), id_
    return id_
