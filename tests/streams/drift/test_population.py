from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from streams.drift.population import (
    BUCKETS,
    SMOOTHING,
    bucket,
    chi_squared_quantile,
    dispersion,
    score_counts,
    stability,
)

COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=8)


@given(COUNTS, st.data())
def test_an_index_is_never_negative_and_does_not_know_which_came_first(
    first: list[int], data: st.DataObject
) -> None:
    second = data.draw(st.lists(st.integers(0, 500), min_size=len(first), max_size=len(first)))
    one = stability(np.array(first), np.array(second), 0.01).value
    assert one >= 0
    assert stability(np.array(second), np.array(first), 0.01).value == pytest.approx(one)


def test_an_index_is_the_sum_of_differences_times_logarithms() -> None:
    old, new = np.array([300, 100, 100]), np.array([100, 200, 200])
    p, q = (old + SMOOTHING) / (500 + 3 * SMOOTHING), (new + SMOOTHING) / (500 + 3 * SMOOTHING)
    assert stability(old, new, 0.01).value == pytest.approx(((p - q) * np.log(p / q)).sum())


@pytest.mark.parametrize("freedom", [3, 9, 31.5, 63])
@pytest.mark.parametrize("probability", [0.9, 0.99, 0.995])
def test_quantiles_are_those_of_chi_squared(freedom: float, probability: float) -> None:
    expected = stats.chi2.ppf(probability, freedom)
    assert chi_squared_quantile(probability, freedom) == pytest.approx(expected, rel=0.02)


def test_unchanged_populations_pass_the_threshold_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.full(BUCKETS, 0.3))
    alpha, draws = 0.1, 600
    found = [
        stability(rng.multinomial(8_000, shares), rng.multinomial(2_000, shares), alpha) for _ in range(draws)
    ]
    passed = sum(one.value > one.chance for one in found)
    low, high = stats.binom.interval(0.999, draws, alpha)
    assert low <= passed <= high


def test_events_that_come_in_fives_raise_the_threshold_fivefold() -> None:
    rng = np.random.default_rng(5)
    windows = [5 * rng.multinomial(2_000, np.full(BUCKETS, 1 / BUCKETS)) for _ in range(30)]
    assert dispersion(windows) == pytest.approx(5, rel=0.1)


def test_independent_events_leave_the_threshold_alone() -> None:
    rng = np.random.default_rng(6)
    windows = [rng.multinomial(2_000, np.full(BUCKETS, 1 / BUCKETS)) for _ in range(30)]
    assert dispersion(windows) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("counts", [[0, 0], [7, 0]])
def test_nothing_and_a_single_bucket_show_no_shift(counts: list[int]) -> None:
    assert stability(np.array(counts), np.array(counts), 0.01) == (0.0, 0.0)


def test_scores_are_counted_over_the_deciles_of_the_reference() -> None:
    reference = np.arange(1_000, dtype=np.float32)
    old, new = score_counts(reference, reference[reference >= 900])
    assert old.tolist() == [100] * 10
    assert new.tolist() == [0] * 9 + [100]


def test_a_bucket_does_not_depend_on_the_process() -> None:
    assert bucket("Kitchen") == 0x251EF7A8 % BUCKETS  # CRC-32
