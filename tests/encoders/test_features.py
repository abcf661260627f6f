"""Features: single ones by formula, all of them for what the ranker relies on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.batching import sequences_of
from encoders.covisitation import CovisitationConfig, count
from encoders.events import EventType
from encoders.features import (
    DETAILED,
    FEATURES,
    GROUPS,
    PADDING,
    Catalogue,
    Histories,
    features,
    histories_of,
    mask_without,
)

N, D = 12, 4
PAST = [[0, 1, 2], [2, 3, 4, 5], [1, 2, 6], [7, 0, 1]]


def catalogue(**more: object) -> Catalogue:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(N, D)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    neighbours = count(sequences_of(PAST), N, CovisitationConfig())
    popularity = np.bincount(np.concatenate(PAST), minlength=N).astype(np.float32)
    return Catalogue(vectors, neighbours, popularity, **more)


def describe(histories: list[list[int]], candidates: list[list[int]], **more: object) -> np.ndarray:
    items = catalogue(**more)
    interests = np.stack([items.vectors[h[-1] if h else 0] for h in histories])
    return features(histories_of(histories), interests, np.array(candidates), items)


def one(found: np.ndarray, name: str) -> np.ndarray:
    return found[..., FEATURES.index(name)]


def test_similarities_are_inner_products():
    vectors = catalogue().vectors
    found = describe([[0, 1]], [[3, 4]])
    np.testing.assert_allclose(one(found, "last")[0], vectors[[3, 4]] @ vectors[1], rtol=1e-5)
    np.testing.assert_allclose(one(found, "second")[0], vectors[[3, 4]] @ vectors[0], rtol=1e-5)
    both = vectors[[3, 4]] @ vectors[[0, 1]].T
    np.testing.assert_allclose(one(found, "nearest")[0], both.max(axis=1), rtol=1e-5)
    slow = (both[:, 1] + 0.8 * both[:, 0]) / 1.8
    np.testing.assert_allclose(one(found, "slow_mean")[0], slow, rtol=1e-4)


def test_covisitation_is_what_the_neighbour_lists_say():
    neighbours = catalogue().neighbours
    found = describe([[0, 1]], [list(range(N))])
    weights = np.array([[0.8, 1.0]], dtype=np.float32)
    scores = neighbours.normalised(0.25).scores(np.array([[0, 1]]), weights)
    np.testing.assert_allclose(one(found, "covisited"), np.log1p(scores), rtol=1e-4)
    np.testing.assert_allclose(one(found, "covisited_relative"), scores / scores.max(), rtol=1e-4)


def test_seen_before_and_how_lately():
    found = describe([[5, 9]], [[9, 5, 1]])
    assert one(found, "seen")[0].tolist() == [1, 1, 0]
    np.testing.assert_allclose(one(found, "seen_lately")[0], [1, 0.8, 0])


def test_category_and_price_speak_where_they_are_known():
    categories = np.arange(N) % 3
    prices = np.where(np.arange(N) == 11, 0, 2.0 ** np.arange(N)).astype(np.float32)
    found = describe([[3]], [[6, 7, 11]], categories=categories, prices=prices)
    assert one(found, "category")[0].tolist() == [1, 0, 0]
    np.testing.assert_allclose(one(found, "price")[0], [3 * np.log(2), 4 * np.log(2), 0], rtol=1e-5)


def test_what_a_shop_does_not_have_is_zero():
    found = describe([[3]], [[6, 7]])
    assert not np.any([one(found, name) for name in ("category", "price", "age", "trend")])


def test_what_the_user_had_is_counted_and_dated():
    items, days = np.array([[5, 9, 5, 2]]), np.array([[1.0, 2.0, 5.0, 7.0]], dtype=np.float32)
    shop = catalogue()
    histories = Histories(items, np.ones((1, 4), dtype=np.float32), days)
    found = features(histories, shop.vectors[[5]], np.array([[5, 9, 3]]), shop)[0]
    np.testing.assert_allclose(one(found, "had"), np.log1p([2, 1, 0]), rtol=1e-5)
    np.testing.assert_allclose(one(found, "had_lately"), np.log1p([1 + 0.995**2, 0.995, 0]), rtol=1e-5)
    np.testing.assert_allclose(one(found, "had_days"), np.log1p([24, 48, 0]), rtol=1e-5)
    np.testing.assert_allclose(one(found, "had_first_days"), np.log1p([120, 48, 0]), rtol=1e-5)
    np.testing.assert_allclose(one(found, "had_due"), np.log1p([1 / 4, 2 / 30, 0]), rtol=1e-5)
    np.testing.assert_allclose(one(found, "repeats"), 1 / 4, rtol=1e-5)
    np.testing.assert_allclose(one(found, "pause"), np.log1p(1440), rtol=1e-5)


def test_factors_are_read_along_the_newest_hundred_events():
    factors = np.random.default_rng(1).normal(size=(N, 3)).astype(np.float32)
    history = [7, *([0, 1] * 50)]
    found = describe([history], [[2, 3, 4]], factors=factors)[0]
    newest = enumerate(history[:0:-1])
    scores = sum(0.98**place * factors[[2, 3, 4]] @ factors[item] for place, item in newest)
    scores = np.maximum(scores, 0)
    np.testing.assert_allclose(one(found, "factored"), np.log(scores + 1e-4), rtol=1e-3)
    np.testing.assert_allclose(one(found, "factored_relative"), scores / scores.max(), rtol=1e-3)
    better = (scores[None, :] > scores[:, None]).sum(axis=1)
    np.testing.assert_allclose(one(found, "factored_place"), np.log1p(better), rtol=1e-5)


def test_an_items_own_factors_say_nothing_of_it_to_who_had_it():
    factors = np.eye(N, 3, dtype=np.float32) + 0.5
    with_it = describe([[1, 2, 1]], [[1, 4]], factors=factors)[0]
    scores = 0.98 * factors[[1, 4]] @ factors[2] + np.array([0, (1 + 0.98**2) * factors[4] @ factors[1]])
    np.testing.assert_allclose(one(with_it, "factored"), np.log(scores + 1e-4), rtol=1e-3)


def test_kinds_of_events_speak_of_the_item_of_the_user_with_it_and_of_the_user():
    buy, cart, look = EventType.PURCHASE, EventType.CART, EventType.CLICK
    items, types = np.array([[5, 9, 5, 2, 9]]), np.array([[buy, cart, buy, cart, look]])
    shop = catalogue(bought=np.arange(N, dtype=np.float32))
    histories = Histories(items, np.ones((1, 5), dtype=np.float32), types=types)
    found = features(histories, shop.vectors[[5]], np.array([[5, 9, 2]]), shop)[0]
    np.testing.assert_allclose(one(found, "bought"), np.log1p([5, 9, 2]), rtol=1e-5)
    np.testing.assert_allclose(one(found, "bought_share")[[0, 2]], [5 / 1, 2 / 3], rtol=1e-5)
    np.testing.assert_allclose(one(found, "had_bought"), np.log1p([2, 0, 0]), rtol=1e-5)
    assert one(found, "had_carted").tolist() == [0, 1, 1]
    assert one(found, "bought_last").tolist() == [1, 1, 1]
    np.testing.assert_allclose(one(found, "buyer"), 2 / 5, rtol=1e-5)


def test_an_item_comes_early_or_late_and_so_does_the_user():
    shop = catalogue(depth=np.linspace(0, 3, N).astype(np.float32))
    histories = Histories(np.array([[1, 2]]), np.ones((1, 2), np.float32), lengths=np.array([60]))
    found = features(histories, shop.vectors[[5]], np.array([[4, 7]]), shop)[0]
    np.testing.assert_allclose(one(found, "history"), np.log1p(60), rtol=1e-5)
    np.testing.assert_allclose(one(found, "depth"), shop.depth[[4, 7]], rtol=1e-5)
    np.testing.assert_allclose(one(found, "depth_ahead"), shop.depth[[4, 7]] - np.log1p(60), rtol=1e-4)


def test_a_session_is_what_the_last_hour_holds():
    minutes = np.array([[5, 50, 61, 200]], dtype=np.float32)
    histories = Histories(np.array([[1, 2, 3, 4]]), np.ones((1, 4), np.float32), minutes / 1440)
    shop = catalogue()
    found = features(histories, shop.vectors[[5]], np.array([[4, 7]]), shop)[0]
    np.testing.assert_allclose(one(found, "session"), np.log1p(2), rtol=1e-5)
    np.testing.assert_allclose(one(found, "session_seconds"), np.log1p(50 * 60), rtol=1e-4)


def test_older_events_count_towards_the_long_sums_and_what_was_had():
    history = [2, *([0] * DETAILED)]
    found = describe([history], [[1, 2, 3]])
    assert one(found, "seen")[0].tolist() == [0, 0, 0]
    assert one(found, "had")[0].tolist() == pytest.approx([0, np.log(2), 0])
    lists = catalogue().neighbours.normalised(0.5)
    weights = (0.95 ** np.arange(len(history), dtype=np.float32))[None]
    long = lists.scores(np.array([history[::-1]]), weights)[0]
    np.testing.assert_allclose(one(found, "covisited_long")[0], np.log1p(10 * long[[1, 2, 3]]), rtol=1e-4)


def test_equal_candidates_share_the_better_place():
    found = describe([[0, 1]], [list(range(N))])
    scores = one(found, "covisited_relative")[0]
    better = (scores[None, :] > scores[:, None]).sum(axis=1)
    np.testing.assert_allclose(one(found, "covisited_place")[0], np.log1p(better), rtol=1e-5)


HISTORIES = st.lists(st.lists(st.integers(0, N - 1), max_size=30), min_size=1, max_size=4)


@given(HISTORIES, st.data())
def test_features_are_finite_and_do_not_depend_on_the_batch(histories, data):
    ids = st.lists(st.integers(0, N - 1), min_size=5, max_size=5, unique=True)
    candidates = [data.draw(ids) for _ in histories]
    found = describe(histories, candidates)
    assert found.shape == (len(histories), 5, len(FEATURES))
    assert np.isfinite(found).all()
    for row, (history, own) in enumerate(zip(histories, candidates, strict=True)):
        np.testing.assert_allclose(found[row], describe([history], [own])[0], rtol=1e-3, atol=1e-4)


@given(st.permutations(range(N)))
def test_the_order_of_candidates_does_not_matter(order):
    found, shuffled = describe([[0, 1, 4]], [list(range(N))]), describe([[0, 1, 4]], [list(order)])
    np.testing.assert_allclose(found[0, order], shuffled[0], rtol=1e-3, atol=1e-4)


def test_padding_is_zero_and_changes_nothing():
    factors = np.ones((N, 2), np.float32)
    factors[0] = 9.0  # what stands in the place of padding
    whole = {"factors": factors, "bought": np.ones(N, np.float32), "depth": np.ones(N, np.float32)}
    found = describe([[0, 1]], [[3, 4, 2]], **whole)
    padded = describe([[0, 1]], [[3, PADDING, 4, PADDING, 2]], **whole)
    np.testing.assert_allclose(padded[0, [0, 2, 4]], found[0], rtol=1e-4, atol=1e-5)
    assert not padded[0, [1, 3]].any()


def test_a_lighter_event_counts_less():
    items = catalogue()
    both = np.array([[0, 1], [0, 1]])
    histories = Histories(both, np.array([[1, 1], [1, 0.1]], dtype=np.float32))
    found = features(histories, items.vectors[[0, 0]], np.array([[2, 6], [2, 6]]), items)
    far = items.vectors[2] @ items.vectors[[0, 1]].T
    assert one(found, "slow_mean")[1, 0] == pytest.approx((far[0] + 0.08 * far[1]) / 1.08, rel=1e-4)


def test_groups_name_every_feature_once():
    assert len(set(FEATURES)) == len(FEATURES) == sum(map(len, GROUPS.values()))


def test_an_ablation_drops_whole_groups():
    mask = mask_without(["dense", "content"])
    kept = [name for name, keep in zip(FEATURES, mask, strict=True) if keep]
    assert kept == [n for group, names in GROUPS.items() if group not in ("dense", "content") for n in names]
