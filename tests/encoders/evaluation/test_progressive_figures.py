"""Groups, metrics and intervals of a replay, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.evaluation.bootstrap import difference_by_user, interval_by_user
from encoders.evaluation.metrics import interval
from encoders.evaluation.progressive import LENGTH, Events, Replayed
from encoders.evaluation.progressive_figures import difference, figures
from encoders.evaluation.timeline import Stage

PAST = Events(np.array([0, 1]), np.array([0, 1]), np.zeros(2, dtype=np.int64), np.array([1.0, 2.0]))
STAGE = Stage(5, 4, 3.0, np.array([1.0, 2.0, 3.0, 4.0, np.inf]), True)
"""Users 0 and 1 and items 0 and 1 are known; items 2 and 3 come after the split, item 4 never does."""


def replayed(lists: list[list[int]], targets: list[list[int]], users: list[int]) -> Replayed:
    padded = np.full((len(lists), LENGTH), -1)
    for row, items in enumerate(lists):
        padded[row, : len(items)] = items
    seconds = np.arange(3.0, 3.0 + len(lists))
    return Replayed(np.array(users), seconds, padded, np.array(targets))


CASES = replayed([[1, 0], [0, 2], [3]], [[0, -1], [2, 1], [0, -1]], [0, 0, 2])


def test_groups_hold_their_cases_and_users():
    found = figures(CASES, PAST, STAGE)
    counts = {group: (row["cases"], row["users"]) for group, row in found.items()}
    assert counts == {
        "all": (3, 2),
        "known_users": (2, 1),
        "new_users": (1, 1),
        "new_items": (1, 1),
        "new_items_again": (1, 1),
    }


def test_metrics_are_means_over_the_baskets_of_a_group():
    found = figures(CASES, PAST, STAGE)
    second = 1 / np.log2(3)
    ideal = 1 + 1 / np.log2(3)
    assert found["all"]["ndcg_at_10"] == pytest.approx((second + second / ideal + 0) / 3)
    assert found["known_users"]["recall_at_10"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["new_users"]["recall_at_10"] == 0.0
    assert found["known_users"]["mrr_at_20"] == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_of_new_items_only_they_are_targets():
    found = figures(CASES, PAST, STAGE)["new_items"]
    assert found["recall_at_10"] == 1.0
    assert found["ndcg_at_10"] == pytest.approx(1 / np.log2(3))


def test_the_basket_that_an_item_arrives_with_is_no_later_one():
    arriving = replayed([[2], [2]], [[2], [2]], [0, 0])  # at 3 s, when item 2 arrives, and at 4 s
    found = figures(arriving, PAST, STAGE)
    assert (found["new_items"]["cases"], found["new_items_again"]["cases"]) == (2, 1)


def test_coverage_is_of_the_items_that_arrived():
    assert figures(CASES, PAST, STAGE)["all"]["coverage_at_10"] == 4 / 4
    assert figures(CASES, PAST, STAGE)["known_users"]["coverage_at_10"] == 3 / 4


def test_lists_are_described_without_their_padding():
    found = figures(CASES, PAST, STAGE, np.eye(5, dtype=np.float32))["all"]
    assert found["diversity_at_10"] == pytest.approx((1 + 1 + 0) / 3)  # a list of one item has none
    shares = np.array([2, 2, 1, 1, 1]) / 7
    bits = -np.log2(shares)
    assert found["novelty_at_10"] == pytest.approx(np.mean([bits[:2].mean(), bits[[0, 2]].mean(), bits[3]]))


def test_a_group_without_cases_says_so_and_no_more():
    only_known = replayed([[0]], [[0]], [0])
    assert figures(only_known, PAST, STAGE)["new_users"] == {"cases": 0, "users": 0}


def test_a_basket_without_targets_is_no_case():
    found = figures(replayed([[0], [0]], [[0], [-1]], [0, 1]), PAST, STAGE)
    assert found["all"]["cases"] == 1


def test_users_are_drawn_whole():
    rng = np.random.default_rng(0)
    per_user = rng.normal(size=200)
    once = interval_by_user(per_user, np.arange(200), seed=1)
    ten_times = interval_by_user(np.repeat(per_user, 10), np.repeat(np.arange(200), 10), seed=1)
    assert ten_times == pytest.approx(once)
    low, high = interval(np.repeat(per_user, 10), seed=1)
    assert once[1] - once[0] > 2 * (high - low)


def test_with_one_case_a_user_the_interval_is_the_usual_one():
    values = np.random.default_rng(2).normal(size=1_000)
    assert interval_by_user(values, np.arange(1_000)) == pytest.approx(interval(values), abs=0.01)


def test_intervals_are_seeded_and_empty_ones_are_no_number():
    values, users = np.random.default_rng(3).normal(size=50), np.arange(50) // 2
    assert interval_by_user(values, users, seed=4) == interval_by_user(values, users, seed=4)
    assert np.isnan(interval_by_user(values[:0], users[:0])).all()


def test_a_paired_difference_is_narrower_than_its_parts():
    rng = np.random.default_rng(5)
    theirs = rng.normal(size=300)
    ours = theirs + 0.1 + rng.normal(size=300) * 0.01
    mean, low, high = difference_by_user(ours, theirs, np.arange(300))
    assert mean == pytest.approx((ours - theirs).mean())
    assert 0.09 < low < mean < high < 0.11


def test_two_replays_are_compared_basket_by_basket():
    better = replayed([[0], [2, 1], [0]], [[0, -1], [2, 1], [0, -1]], [0, 0, 2])
    mean, low, high = difference(better, CASES, PAST, STAGE, metric="hit_rate_at_10")
    assert mean == pytest.approx((0 + 0 + 1) / 3)
    assert 0 <= low <= mean <= high
    assert difference(CASES, CASES, PAST, STAGE) == (0, 0, 0)
