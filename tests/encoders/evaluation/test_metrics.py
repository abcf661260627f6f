"""Metrics against naive loops over ranked lists, and against formulas on small cases."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.evaluation.metrics import (
    coverage,
    diversity,
    hit_rate,
    interval,
    mrr,
    ndcg,
    novelty,
    precision,
    ranks_of,
    recall,
    top_k,
)

N_ITEMS = 12
RANKS = st.lists(st.lists(st.integers(1, N_ITEMS), unique=True, max_size=6), min_size=1, max_size=8)
CUTOFF = st.integers(1, N_ITEMS)


def pad(cases: Sequence[Sequence[int]]) -> np.ndarray:
    ranks = np.zeros((len(cases), max(map(len, cases))), dtype=np.int64)
    for row, case in enumerate(cases):
        ranks[row, : len(case)] = case
    return ranks


def relevance(case: Sequence[int], k: int) -> list[int]:
    """1 where a place of the first k holds a target."""
    return [int(place in case) for place in range(1, k + 1)]


def naive_recall(case: Sequence[int], k: int) -> float:
    return sum(relevance(case, k)) / len(case) if case else 0.0


def naive_precision(case: Sequence[int], k: int) -> float:
    return sum(relevance(case, k)) / k


def naive_hit_rate(case: Sequence[int], k: int) -> float:
    return float(any(relevance(case, k)))


def naive_mrr(case: Sequence[int], k: int) -> float:
    return next((1 / place for place, hit in enumerate(relevance(case, k), start=1) if hit), 0.0)


def naive_ndcg(case: Sequence[int], k: int) -> float:
    gain = sum(hit / math.log2(place + 1) for place, hit in enumerate(relevance(case, k), start=1))
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(len(case), k) + 1))
    return gain / ideal if case else 0.0


PAIRS = pytest.mark.parametrize(
    ("metric", "naive"),
    [
        (recall, naive_recall),
        (precision, naive_precision),
        (hit_rate, naive_hit_rate),
        (mrr, naive_mrr),
        (ndcg, naive_ndcg),
    ],
)


@PAIRS
@given(cases=RANKS, k=CUTOFF)
def test_metrics_agree_with_loops_over_the_ranked_list(metric, naive, cases, k):
    np.testing.assert_allclose(metric(pad(cases), k), [naive(case, k) for case in cases])


@PAIRS
def test_metrics_are_between_none_and_all(metric, naive):
    assert metric(pad([[1, 2, 3]]), 3).tolist() == [1.0]
    assert metric(pad([[4, 5, 6]]), 3).tolist() == [0.0]


def test_one_target_gives_the_formulas_of_the_papers():
    ranks = pad([[1], [3], [11]])
    np.testing.assert_allclose(ndcg(ranks, 10), [1, 1 / np.log2(4), 0])
    np.testing.assert_allclose(mrr(ranks, 10), [1, 1 / 3, 0])
    np.testing.assert_allclose(precision(ranks, 10), recall(ranks, 10) / 10)


def naive_rank(scores: Sequence[float], target: int) -> int:
    """1 and how many others are at least as good."""
    own = scores[target]
    return 1 + sum(not score < own for item, score in enumerate(scores) if item != target)


SCORES = st.sampled_from([-1.0, 0.0, 0.5, 1.0, math.inf, -math.inf, math.nan])


@given(st.lists(SCORES, min_size=1, max_size=9), st.data())
def test_ranks_count_every_other_item_that_is_not_worse(scores, data):
    target = data.draw(st.integers(0, len(scores) - 1))
    found = ranks_of(np.array([scores], dtype=np.float32), np.array([target]))
    assert found.tolist() == [naive_rank(scores, target)]


def test_scoring_everything_alike_puts_the_target_last():
    assert ranks_of(np.zeros((2, 7), dtype=np.float32), np.array([0, 6])).tolist() == [7, 7]


@given(st.permutations(range(N_ITEMS)), st.integers(1, 2 * N_ITEMS))
def test_top_k_are_the_k_best(order, k):
    scores = np.array([order], dtype=np.float32)
    best = sorted(range(N_ITEMS), key=lambda item: -order[item])[:k]
    assert sorted(top_k(scores, k)[0].tolist()) == sorted(best)


def test_coverage_is_the_share_of_the_catalogue():
    assert coverage(np.array([True, False, False, True, False])) == 2 / 5


def test_novelty_is_the_information_of_the_recommended():
    # With one event added to each, the shares are 4/8, 2/8, 1/8, 1/8.
    found = novelty(np.array([[0, 1], [2, 3]]), np.array([3.0, 1.0, 0.0, 0.0]))
    np.testing.assert_allclose(found, [-np.log2([4 / 8, 2 / 8]).mean(), -np.log2(1 / 8)])


def test_diversity_is_one_minus_the_mean_cosine_of_pairs():
    vectors = np.random.default_rng(0).normal(size=(6, 3))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    lists = np.array([[0, 1, 2, 3], [4, 4, 4, 4]])
    pairs = [vectors[i] @ vectors[j] for i in range(4) for j in range(i)]
    np.testing.assert_allclose(diversity(lists, vectors), [1 - np.mean(pairs), 0], atol=1e-6)
    assert diversity(lists[:, :1], vectors).tolist() == [0, 0]


def test_the_interval_is_seeded_and_as_wide_as_the_theory_says():
    values = np.random.default_rng(1).normal(size=2_000)
    low, high = interval(values, seed=3)
    assert (low, high) == interval(values, seed=3)
    error = values.std() / np.sqrt(len(values))
    np.testing.assert_allclose([low, high], values.mean() + np.array([-1.96, 1.96]) * error, atol=0.2 * error)
