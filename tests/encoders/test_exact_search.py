"""The best of many scores against sorting all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.exact_search import lower_bounds, top_rows


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(0, 40))
def test_the_top_rows_are_those_that_sorting_finds(seed: int, n: int, k: int) -> None:
    scores = np.random.default_rng(seed).standard_normal((3, n)).astype(np.float32)
    found = top_rows(scores, k)
    for own, rows in zip(scores, found, strict=True):
        real = rows[rows >= 0]
        assert sorted(real.tolist()) == sorted(np.argsort(-own, kind="stable")[:k].tolist())


def test_scores_of_minus_infinity_are_left_out() -> None:
    scores = np.array([[1.0, -np.inf, 2.0]], np.float32)
    assert sorted(top_rows(scores, 3)[0].tolist()) == [-1, 0, 2]


@pytest.mark.parametrize("limit", [1, 5, 20])
def test_at_least_so_many_scores_reach_the_bound(limit: int) -> None:
    scores = np.random.default_rng(0).standard_normal((4, 1_000)).astype(np.float32)
    assert ((scores >= lower_bounds(scores, [limit] * 4)[:, None]).sum(axis=1) >= limit).all()
