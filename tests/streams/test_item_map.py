"""The map of items: who lies near whom, and that it stays where it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.item_map import FITTED_ON, MOST_ANCHORS, Layout, LayoutCache, spread

DIM = 16


def shelves(count: int, each: int, seed: int, noise: float = 0.1) -> tuple[np.ndarray, list[str | None]]:
    """Items [count * each, d] around a direction of their shelf, with its name."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(random.normal(size=(DIM, DIM)))[0][:count]
    items = np.repeat(directions, each, axis=0) + noise * random.normal(size=(count * each, DIM))
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    return unit.astype(np.float32), [f"shelf {n // each}" for n in range(count * each)]


@given(st.integers(3, MOST_ANCHORS), st.integers(0, 5))
def test_an_item_lies_nearest_to_its_own_category(count: int, seed: int) -> None:
    vectors, names = shelves(count, 5, seed)
    layout = Layout.fit(vectors, names)
    far = np.linalg.norm(layout(vectors)[:, None] - layout.places[None], axis=2)
    assert [layout.names[one] for one in far.argmin(axis=1)] == names


@given(st.integers(1, 15), st.integers(1, 9), st.integers(0, 5))
def test_items_fill_the_square_and_no_more(count: int, each: int, seed: int) -> None:
    vectors, names = shelves(count, each, seed)
    assert (
        np.abs(Layout.fit(vectors, names)(vectors)).max() == pytest.approx(1.0, abs=1e-4) or len(vectors) == 1
    )


def test_an_interest_between_two_categories_lies_between_them() -> None:
    vectors, names = shelves(3, 5, 0, noise=0.0)
    layout = Layout.fit(vectors, names)
    one, other, third = layout(vectors[[0, 5, 10]])
    (both,) = layout(vectors[:1] + vectors[5:6])
    assert np.linalg.norm(both - one) == pytest.approx(np.linalg.norm(both - other), abs=1e-4)
    assert np.linalg.norm(both - third) > np.linalg.norm(both - one)


def test_categories_that_are_alike_are_neighbours_on_the_circle() -> None:
    around = 2 * np.pi * np.arange(8) / 8
    directions = np.stack([np.cos(around), np.sin(around)], axis=1).astype(np.float32)
    shuffled = np.random.default_rng(1).permutation(8)
    layout = Layout.fit(directions[shuffled], [str(one) for one in shuffled])
    steps = np.diff([int(one) for one in (*layout.names, layout.names[0])]) % 8
    assert set(steps.tolist()) in ({1}, {7})


def test_without_categories_the_main_axes_are_shown() -> None:
    vectors, _ = shelves(1, 40, 0, noise=0.3)
    layout = Layout.fit(vectors, [None] * 40)
    axis = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)[2][0]
    assert layout.names == ()
    assert abs(layout.anchors[0] @ axis) == pytest.approx(1.0, abs=1e-3)


def test_the_same_items_give_the_same_map() -> None:
    vectors, names = shelves(6, 5, 0)
    np.testing.assert_array_equal(Layout.fit(vectors, names)(vectors), Layout.fit(vectors, names)(vectors))


def test_one_item_has_a_place() -> None:
    vectors, names = shelves(1, 1, 0)
    assert np.isfinite(Layout.fit(vectors, names)(vectors)).all()


@given(st.integers(0, 3 * FITTED_ON), st.integers(1, FITTED_ON))
def test_spread_numbers_are_distinct_and_within(count: int, most: int) -> None:
    rows = spread(count, most)
    assert len(rows) == min(count, most)
    assert np.all(np.diff(rows) > 0)
    assert count == 0 or (rows[0] == 0 and rows[-1] < count)


def test_a_map_stays_until_the_catalogue_has_doubled() -> None:
    cache, (items, names) = LayoutCache(), shelves(4, 10, 0)
    first, _ = cache.of("v1", items[:20], names)
    assert cache.of("v1", items[:39], names)[0] == first
    assert cache.of("v1", items, names)[0] != first


def test_another_version_has_another_map() -> None:
    cache, (items, names) = LayoutCache(), shelves(4, 5, 0)
    assert cache.of("v1", items, names)[0] != cache.of("v2", items, names)[0]
