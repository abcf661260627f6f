"""The map of items: what two axes must show, against numpy's singular values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.item_map import FITTED_ON, Projection, ProjectionCache, spread


def vectors(n: int, d: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(n, d)) * np.geomspace(4, 1, d)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(3, 60), st.integers(2, 12), st.integers(0, 5))
def test_distances_on_the_map_are_those_of_the_two_largest_singular_vectors(
    n: int, d: int, seed: int
) -> None:
    items = vectors(n, d, seed)
    points = Projection.fit(items)(items)
    left, singular, _ = np.linalg.svd(items - items.mean(axis=0), full_matrices=False)
    oracle = left[:, :2] * singular[:2]
    oracle = oracle / np.abs(oracle).max()

    def distances(x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x[:, None] - x[None], axis=2)

    np.testing.assert_allclose(distances(points), distances(oracle), atol=1e-3)


@given(st.integers(2, 60), st.integers(0, 5))
def test_items_fill_the_square_and_no_more(n: int, seed: int) -> None:
    items = vectors(n, 8, seed)
    assert np.abs(Projection.fit(items)(items)).max() == pytest.approx(1.0, abs=1e-4)


def test_the_explained_share_is_that_of_the_singular_values() -> None:
    items = vectors(50, 8, 0)
    singular = np.linalg.svd(items - items.mean(axis=0), compute_uv=False) ** 2
    assert Projection.fit(items).explained == pytest.approx(singular[:2].sum() / singular.sum(), rel=1e-4)


def test_one_item_lies_in_the_middle() -> None:
    one = vectors(1, 8, 0)
    assert Projection.fit(one)(one).tolist() == [[0.0, 0.0]]


@given(st.integers(0, 3 * FITTED_ON), st.integers(1, FITTED_ON))
def test_spread_numbers_are_distinct_and_within(count: int, most: int) -> None:
    rows = spread(count, most)
    assert len(rows) == max(min(count, most), 0) if count else len(rows) <= 1
    assert np.all(np.diff(rows) > 0)
    assert count == 0 or (rows[0] == 0 and rows[-1] < count)


def test_a_map_stays_until_the_catalogue_has_doubled() -> None:
    cache, items = ProjectionCache(), vectors(40, 8, 0)
    first, _ = cache.of("v1", items[:20])
    assert cache.of("v1", items[:39])[0] == first
    assert cache.of("v1", items)[0] != first


def test_another_version_has_another_map() -> None:
    cache, items = ProjectionCache(), vectors(20, 8, 0)
    assert cache.of("v1", items)[0] != cache.of("v2", items)[0]
