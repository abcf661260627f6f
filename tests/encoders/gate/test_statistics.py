from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from encoders.gate.statistics import mcnemar, spread


def hits(gained: int, lost: int, both: int = 7) -> tuple[np.ndarray, np.ndarray]:
    champion = np.r_[np.zeros(gained), np.ones(lost), np.ones(both)]
    challenger = np.r_[np.ones(gained), np.zeros(lost), np.ones(both)]
    return champion, challenger


@pytest.mark.parametrize(("gained", "lost"), [(1, 0), (3, 2), (40, 20), (20, 40), (3_000, 2_900)])
def test_mcnemar_is_the_binomial_test_of_what_tells_the_models_apart(gained: int, lost: int) -> None:
    told = gained + lost
    ways = sum(math.comb(told, k) for k in range(gained, told + 1))
    assert mcnemar(*hits(gained, lost)) == pytest.approx(float(Fraction(ways, 2**told)), rel=1e-6)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (0, 5)])
def test_nothing_gained_is_sure_to_be_chance(gained: int, lost: int) -> None:
    assert mcnemar(*hits(gained, lost)) == 1.0


def test_equal_vectors_have_no_spread() -> None:
    assert spread(np.tile([0.6, 0.8], (5, 1)).astype(np.float32)) == pytest.approx(0.0, abs=1e-6)


def test_spread_is_one_less_the_mean_cosine_of_all_pairs() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 4)) + 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert spread(vectors.astype(np.float32)) == pytest.approx(1 - (vectors @ vectors.T).mean(), abs=1e-6)


def test_spread_of_nothing_or_of_what_is_no_number_is_no_number() -> None:
    assert math.isnan(spread(np.empty((0, 3), np.float32)))
    assert math.isnan(spread(np.array([[1.0, math.nan]], np.float32)))
