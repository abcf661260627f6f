"""Diversity, against Maximal Marginal Relevance and caps written out for one user at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.diversity import NO_CODE, NO_ITEM, Cap, mmr, scaled

DIM = 5
shapes = st.tuples(st.integers(1, 4), st.integers(1, 12))  # users, candidates
seeds = st.integers(0, 2**32 - 1)
strengths = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])
limits = st.integers(1, 3)


def candidates(seed: int, b: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Relevance [b, m] (best first, some rows padded), vectors [b, m, d], codes [b, m]."""
    rng = np.random.default_rng(seed)
    relevance = -np.sort(-rng.random((b, m)), axis=1).astype(np.float32)
    relevance[np.arange(m) >= rng.integers(0, m + 1, b)[:, None]] = -np.inf
    vectors = rng.normal(size=(b, m, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    return relevance, vectors, rng.integers(NO_CODE, 3, (b, m))


def has_room(chosen: list[int], item: int, codes: np.ndarray, limit: int) -> bool:
    return codes[item] == NO_CODE or sum(codes[one] == codes[item] for one in chosen) < limit


def gains(
    relevance: np.ndarray, vectors: np.ndarray, strength: float, chosen: list[int], caps: list[Cap]
) -> dict[int, float]:
    """The oracle: what each candidate of one user that may come next is worth."""
    found = {}
    for item in range(len(relevance)):
        may = item not in chosen and np.isfinite(relevance[item])
        if may and all(has_room(chosen, item, codes, limit) for codes, limit in caps):
            likeness = max((float(vectors[item] @ vectors[one]) for one in chosen), default=0.0)
            found[item] = (1 - strength) * float(relevance[item]) - strength * likeness
    return found


@settings(max_examples=150, deadline=None)
@given(seed=seeds, shape=shapes, strength=strengths, k=st.integers(1, 12), limit=limits, other=limits)
def test_every_choice_is_the_best_that_caps_allow(
    seed: int, shape: tuple[int, int], strength: float, k: int, limit: int, other: int
) -> None:
    relevance, vectors, codes = candidates(seed, *shape)
    caps = [Cap(codes, limit), Cap(np.roll(codes, 1, axis=1), other)]
    order = mmr(relevance, vectors, strength, k, caps)
    assert order.shape == (shape[0], k)
    for user, items in enumerate(order.tolist()):
        own = [Cap(cap.codes[user], cap.limit) for cap in caps]
        for place, item in enumerate(items):
            worth = gains(relevance[user], vectors[user], strength, items[:place], own)
            if item == NO_ITEM:
                assert worth == {}
                assert set(items[place:]) == {NO_ITEM}
                break
            assert worth[item] == pytest.approx(max(worth.values()), abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, shape=shapes, k=st.integers(1, 15))
def test_without_strength_and_caps_the_order_stays(seed: int, shape: tuple[int, int], k: int) -> None:
    relevance, _, codes = candidates(seed, *shape)
    uncapped = Cap(np.full_like(codes, NO_CODE), 1)
    np.testing.assert_array_equal(mmr(relevance, None, 0.0, k), mmr(relevance, None, 0.0, k, [uncapped]))


def test_the_plain_order_counts_up_and_ends_at_the_padding() -> None:
    relevance = np.array([[0.9, 0.5, 0.1], [0.7, -np.inf, -np.inf]], dtype=np.float32)
    assert mmr(relevance, None, 0.0, 4).tolist() == [[0, 1, 2, NO_ITEM], [0, NO_ITEM, NO_ITEM, NO_ITEM]]


def test_a_lookalike_gives_way_to_something_else() -> None:
    relevance = np.array([[1.0, 0.95, 0.6]], dtype=np.float32)
    vectors = np.array([[[1, 0], [1, 0], [0, 1]]], dtype=np.float32)
    assert mmr(relevance, vectors, 0.5, 3).tolist() == [[0, 2, 1]]


def test_a_capped_list_is_shorter_instead_of_filled_up() -> None:
    relevance = np.array([[0.9, 0.8, 0.7, 0.6]], dtype=np.float32)
    codes = np.array([[5, 5, 5, NO_CODE]])
    assert mmr(relevance, None, 0.0, 4, [Cap(codes, 2)]).tolist() == [[0, 1, 3, NO_ITEM]]


def test_an_item_held_back_by_one_cap_does_not_count_for_another() -> None:
    relevance = np.array([[0.9, 0.8, 0.7]], dtype=np.float32)
    brands, categories = np.array([[1, 1, 2]]), np.array([[3, 4, 4]])
    assert mmr(relevance, None, 0.0, 3, [Cap(brands, 1), Cap(categories, 1)]).tolist() == [[0, 2, NO_ITEM]]


def test_no_users_and_no_candidates_are_no_fault() -> None:
    none = np.zeros((0, 4), dtype=np.float32)
    empty = np.zeros((2, 0), dtype=np.float32)
    assert mmr(none, np.zeros((0, 4, DIM), np.float32), 0.5, 3).shape == (0, 3)
    assert (mmr(empty, None, 0.0, 3) == NO_ITEM).all()


@settings(max_examples=50, deadline=None)
@given(seed=seeds, shape=shapes)
def test_scaled_runs_from_0_to_1_in_the_same_order(seed: int, shape: tuple[int, int]) -> None:
    scores = candidates(seed, *shape)[0] * 7 - 3
    for given_scores, relevance in zip(scores, scaled(scores), strict=True):
        real = np.isfinite(given_scores)
        assert (relevance[~real] == -np.inf).all()
        assert (np.diff(relevance[real]) <= 0).all()
        if real.any():
            assert relevance[real][0] == 1.0
        if real.sum() > 1:
            assert relevance[real][-1] == pytest.approx(0.0, abs=1e-6)


def test_scaled_takes_equal_scores_for_the_best() -> None:
    assert scaled(np.array([[2.0, 2.0]], dtype=np.float32)).tolist() == [[1.0, 1.0]]
