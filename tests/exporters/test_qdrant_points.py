"""How records lie in Qdrant."""

from __future__ import annotations

from dataclasses import fields
from hashlib import blake2b
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporters import qdrant_points as points
from exporters.vector_store import CounterRecord, EvidenceRecord, ItemRecord, UserRecord, dimension_of

numbers = st.integers(min_value=0, max_value=2**53 - 1)
texts = st.text(max_size=30)
vectors = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=5).map(
    lambda values: np.array(values, dtype=np.float32)
)
users = st.builds(
    UserRecord, texts, vectors, vectors, st.binary(max_size=50), numbers, numbers, numbers, numbers
)
items = st.builds(
    ItemRecord,
    item_id=texts,
    vector=vectors,
    text_vector=vectors,
    title=texts,
    categories=st.lists(texts, max_size=3).map(tuple),
    price=st.none() | st.floats(min_value=0, allow_infinity=False),
    available=st.booleans(),
    text_digest=texts,
    source_offset=numbers,
    updated_at_ms=numbers,
    brand=st.none() | texts,
    created_at_ms=numbers,
)


neighbours = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 1e6, width=32)), max_size=6)


def evidence_of(pairs: list[tuple[int, float]], blob: bytes) -> EvidenceRecord:
    dimensions, weights = np.array(pairs, dtype=float).reshape(-1, 2).T
    return EvidenceRecord("i", dimensions.astype(np.uint32), weights.astype(np.float32), blob, 1, 2, 3)


def same(left: object, right: object) -> bool:
    return type(left) is type(right) and all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for name in (field.name for field in fields(left))  # type: ignore[arg-type]
    )


@given(users)
def test_a_user_survives_the_way_to_a_point_and_back(user: UserRecord) -> None:
    assert same(points.user_record(points.user_point(user)), user)


@given(items)
def test_an_item_survives_the_way_to_a_point_and_back(item: ItemRecord) -> None:
    assert same(points.item_record(points.item_point(item)), item)


@given(st.builds(CounterRecord, texts, st.binary(max_size=50), numbers))
def test_a_counter_survives_the_way_to_a_point_and_back(counter: CounterRecord) -> None:
    assert points.counter_record(points.counter_point(counter)) == counter


def test_a_point_id_is_the_digest_of_the_records_id() -> None:
    expected = UUID(bytes=blake2b("ключ".encode(), digest_size=16).digest())
    assert points.point_id("ключ") == expected


@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_point_ids_differ_where_ids_differ(left: str, right: str) -> None:
    assert (points.point_id(left) == points.point_id(right)) == (left == right)


@given(neighbours, st.binary(max_size=50))
def test_evidence_survives_the_way_to_a_point_and_back(pairs: list[tuple[int, float]], blob: bytes) -> None:
    evidence = evidence_of(pairs, blob)
    assert same(points.evidence_record(points.evidence_point(evidence)), evidence.as_stored())


@given(neighbours)
def test_weights_of_one_dimension_are_added_up(pairs: list[tuple[int, float]]) -> None:
    stored = evidence_of(pairs, b"").as_stored()
    assert stored.dimensions.tolist() == sorted({dimension for dimension, _ in pairs})
    for dimension, weight in zip(stored.dimensions, stored.weights, strict=True):
        assert weight == np.float32(sum(one for at, one in pairs if at == dimension))


def test_a_dimension_is_32_bits_of_the_items_id() -> None:
    expected = int(blake2b("ключ".encode(), digest_size=4).hexdigest(), 16)
    assert dimension_of("ключ") == expected
