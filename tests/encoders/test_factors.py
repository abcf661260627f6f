"""Item factors against the whole regression, and as rows of a catalogue that grows."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.factors import DENSE, SHRINKAGE, FactorRows, ItemFactors, fit_factors, item_factors

USERS = 400


def past(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Users [e] and items [e] of two tastes, some had twice."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, USERS, 8 * n)
    items = rng.integers(0, n // 2, 8 * n) + (users % 2) * (n // 2)
    return users, items


def regression(users: np.ndarray, items: np.ndarray, n: int) -> np.ndarray:
    """(XᵀX + λI)⁻¹ XᵀX, [n, n]."""
    had = np.zeros((users.max() + 1, n))
    had[users, items] = 1.0
    gram = had.T @ had
    return np.linalg.solve(gram + SHRINKAGE * np.eye(n), gram)


def test_all_factors_together_are_the_regression() -> None:
    n = 30
    users, items = past(n)
    factors = fit_factors(users, items, n, factors=n)
    np.testing.assert_allclose(factors @ factors.T, regression(users, items, n), atol=1e-5)


@pytest.mark.parametrize("n", [60, DENSE + 100])
def test_few_factors_are_its_strongest_directions(n: int) -> None:
    users, items = past(n)
    factors = fit_factors(users, items, n, factors=4)
    strengths, directions = np.linalg.eigh(regression(users, items, n))
    best = (directions[:, -4:] * strengths[-4:]) @ directions[:, -4:].T
    np.testing.assert_allclose(factors @ factors.T, best, atol=2e-4)


def test_an_item_that_nobody_had_has_none() -> None:
    factors = fit_factors(np.array([0, 0, 1]), np.array([3, 4, 4]), 6, factors=2)
    assert factors.any(axis=1).tolist() == [False, False, False, True, True, False]


def test_nobody_at_all_gives_no_factors() -> None:
    nobody = np.zeros(0, np.int64)
    assert not fit_factors(nobody, nobody, 5, factors=2).any()


def test_rows_are_found_by_item_and_zero_for_one_that_came_later() -> None:
    vectors = np.arange(1.0, 7.0, dtype=np.float32).reshape(3, 2)
    known = item_factors(["a", "b", "c"], vectors)
    np.testing.assert_array_equal(known.rows(["c", "new", "a"]), [[5, 6], [0, 0], [1, 2]])


def test_rows_of_a_growing_catalogue_are_those_of_the_whole() -> None:
    known = item_factors([f"i{row}" for row in range(9)], np.eye(9, 3, dtype=np.float32) + 1)
    ids: list[str] = []
    growing = FactorRows(known)
    for row in (4, 40, 2, 8):
        ids.append(f"i{row}")
        np.testing.assert_array_equal(growing.of(ids), known.rows(ids))


def test_a_model_without_factors_has_no_rows() -> None:
    assert FactorRows(None).of(["a"]) is None


def test_no_item_may_have_any() -> None:
    none = ItemFactors(np.zeros(0, np.uint64), np.zeros((0, 4), np.float32))
    assert none.rows(["a"]).tolist() == [[0, 0, 0, 0]]
