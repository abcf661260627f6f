"""The scan in memory against a sort of all scores, and against the engine."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.exact_scan import Mirror
from exporters.qdrant_points import Point

DIM = 16


def mirror_of(vectors: np.ndarray, available: np.ndarray) -> Mirror:
    mirror = Mirror()
    points = [
        Point(UUID(int=row), {"available": int(available[row])}, {"item": vectors[row]})
        for row in range(len(vectors))
    ]
    mirror.put(points, "item", "available")
    return mirror


def vectors_of(n: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@given(st.integers(1, 3_000), st.integers(1, 120), st.integers(0, 2**32 - 1))
def test_the_best_are_those_of_a_full_sort(n: int, limit: int, seed: int) -> None:
    vectors = vectors_of(n, seed)
    available = np.random.default_rng(seed + 1).random(n) < 0.8
    queries = vectors_of(3, seed + 2)
    found = mirror_of(vectors, available).nearest(queries, [limit] * 3, 1)
    for query, hits in zip(queries, found, strict=True):
        scores = (vectors * query).sum(axis=1)
        scores[~available] = -np.inf
        best = [row for row in np.argsort(-scores, kind="stable")[:limit] if available[row]]
        assert [score for _, score in hits] == [float(scores[row]) for row in best]


def test_a_query_answers_the_same_alone_and_in_a_batch() -> None:
    vectors, queries = vectors_of(5_000, 1), vectors_of(150, 2)
    mirror = mirror_of(vectors, np.ones(5_000, bool))
    together = mirror.nearest(queries, [20] * 150, 1)
    alone = [mirror.nearest(queries[i : i + 1], [20], 1)[0] for i in range(150)]
    assert together == alone


def test_a_point_that_is_put_again_replaces_itself() -> None:
    vectors = vectors_of(2, 3)
    mirror = mirror_of(vectors, np.ones(2, bool))
    mirror.put([Point(UUID(int=0), {"available": 0}, {"item": vectors[0]})], "item", "available")
    assert [id_ for id_, _ in mirror.nearest(vectors[:1], [5], 1)[0]] == [1]


@pytest.mark.parametrize("limits", [[1, 3], [5, 0]])
def test_each_query_has_its_own_limit(limits: list[int]) -> None:
    vectors = vectors_of(2_000, 4)
    found = mirror_of(vectors, np.ones(2_000, bool)).nearest(vectors[:2], limits, 1)
    assert [len(hits) for hits in found] == limits


def test_an_empty_mirror_finds_nothing() -> None:
    assert Mirror().nearest(vectors_of(2, 5), [3, 3], 1) == [[], []]
