"""Targets of the transfer bench from measured cells, without measuring."""

from __future__ import annotations

import pytest

from streams.bench.transfer_figures import REFERENCE, Cell, Figures, StageCurve, figures_of


def cell(arm: str, size: int | None, ndcg: float, seed: int = 0, curve: tuple[float, ...] = ()) -> Cell:
    stages = [StageCurve(True, 1, 10, 0.01, curve)] if curve else []
    return Cell(
        arm=arm,
        size=size,
        seed=seed,
        interactions=size or 0,
        ndcg_at_10=ndcg,
        ndcg_at_10_low=ndcg - 0.01,
        ndcg_at_10_high=ndcg + 0.01,
        recall_at_10=2 * ndcg,
        towers_ndcg_at_10=ndcg / 2,
        seconds=100.0,
        cpu_seconds=50.0,
        ranker_rows=0,
        stages=stages,
    )


def holds(figures: Figures, part: str) -> bool | None:
    (found,) = (target.holds for target in figures.targets if part in target.what)
    return found


def test_points_are_means_over_seeds_with_the_extremes() -> None:
    cells = [cell("transfer", 0, 0.1), cell("scratch", 0, 0.05)]
    cells += [
        cell(arm, 1000, n, s, (0.1,)) for arm in ("transfer", "scratch") for s, n in enumerate((0.1, 0.2))
    ]
    point = next(p for p in figures_of(cells, 0.05).points if (p.arm, p.size) == ("transfer", 1000))
    assert (point.seeds, point.lowest, point.highest) == (2, 0.1, 0.2)
    assert point.ndcg_at_10 == pytest.approx(0.15)


@pytest.mark.parametrize(("ndcg", "expected"), [(1.61 * REFERENCE, True), (1.59 * REFERENCE, False)])
def test_zero_shot_is_held_to_sixty_per_cent_over_the_text_profile(ndcg: float, expected: bool) -> None:
    figures = figures_of([cell("transfer", 0, ndcg), cell("scratch", 0, 0.05)], 0.05)
    assert holds(figures, "zero-shot") is expected


def test_what_was_not_measured_is_neither_held_nor_missed() -> None:
    figures = figures_of(
        [cell("transfer", None, 0.1, curve=(0.1,)), cell("scratch", None, 0.1, curve=(0.1,))], 0.05
    )
    assert holds(figures, "zero-shot") is None


def test_one_seed_below_the_text_profile_is_negative_transfer() -> None:
    cells = [
        cell(arm, 1000, n, s, (0.1,)) for arm in ("transfer", "scratch") for s, n in enumerate((0.2, 0.04))
    ]
    assert holds(figures_of(cells, 0.05), "not below the untrained") is False


@pytest.mark.parametrize(("curve", "expected"), [((0.1, 0.1), True), ((0.01, 0.01, 0.1), False)])
def test_steps_are_compared_with_half_of_those_from_scratch(curve: tuple[float, ...], expected: bool) -> None:
    # Scratch ends at 0.1 and is within 5 % of it after its third epoch: 30 steps, of which half are 15.
    cells = [cell("transfer", 5000, 0.1, curve=curve), cell("scratch", 5000, 0.1, curve=(0.02, 0.05, 0.1))]
    assert holds(figures_of(cells, 0.05), "steps to 95 %") is expected
