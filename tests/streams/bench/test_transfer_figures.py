"""Targets of the transfer bench from measured cells, without measuring."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.bench.transfer_figures import (
    GUARDED,
    PARENT,
    PLAIN,
    REFERENCE,
    Cell,
    Figures,
    SystemPoint,
    figures_of,
)
from streams.bench.transfer_plot import plot_transfer


def cell(
    arm: str, size: int | None, ndcg: float, seed: int = 0, system: tuple[tuple[int, float], ...] = ()
) -> Cell:
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
        stages=[],
        system=[SystemPoint(*point) for point in system],
    )


def holds(figures: Figures, part: str) -> bool | None:
    (found,) = (target.holds for target in figures.targets if part in target.what)
    return found


def test_points_are_means_over_seeds_with_the_extremes() -> None:
    cells = [cell(arm, 1000, n, s) for arm in (PARENT, PLAIN) for s, n in enumerate((0.1, 0.2))]
    point = next(p for p in figures_of(cells, 0.05).points if (p.arm, p.size) == (PARENT, 1000))
    assert (point.seeds, point.lowest, point.highest) == (2, 0.1, 0.2)
    assert point.ndcg_at_10 == pytest.approx(0.15)


@pytest.mark.parametrize(("ndcg", "expected"), [(1.61 * REFERENCE, True), (1.59 * REFERENCE, False)])
def test_zero_shot_is_held_to_sixty_per_cent_over_the_text_profile(ndcg: float, expected: bool) -> None:
    assert holds(figures_of([cell(PARENT, 0, ndcg)], 0.05), "zero-shot") is expected


def test_what_was_not_measured_is_neither_held_nor_missed() -> None:
    assert holds(figures_of([cell(PARENT, None, 0.1)], 0.05), "zero-shot") is None


def test_one_seed_below_the_text_profile_is_negative_transfer() -> None:
    cells = [cell(PARENT, 1000, n, s) for s, n in enumerate((0.2, 0.04))]
    assert holds(figures_of(cells, 0.05), "not below the untrained") is False


@pytest.mark.parametrize(("ndcg", "expected"), [(0.111, True), (0.109, False)])
@pytest.mark.parametrize("arm", [PLAIN, GUARDED])
def test_the_parent_is_compared_with_each_kind_of_scratch(arm: str, ndcg: float, expected: bool) -> None:
    figures = figures_of([cell(PARENT, 1000, ndcg), cell(arm, 1000, 0.1)], 0.05)
    assert holds(figures, f"10 % over {arm}") is expected


def test_at_all_data_the_parent_need_only_not_be_worse() -> None:
    figures = figures_of([cell(PARENT, None, 0.1), cell(PLAIN, None, 0.1)], 0.05)
    assert holds(figures, f"not below {PLAIN}") is True


@pytest.mark.parametrize(
    ("system", "expected"),
    [(((0, 0.096), (90, 0.2)), True), (((0, 0.09), (15, 0.1)), True), (((0, 0.09), (16, 0.1)), False)],
)
def test_steps_of_the_whole_system_are_compared_with_half_of_those_of_plain_scratch(
    system: tuple[tuple[int, float], ...], expected: bool
) -> None:
    # Scratch ends at 0.1 and is within 5 % of it after 30 steps, of which half are 15.
    plain = ((10, 0.02), (20, 0.05), (30, 0.1))
    cells = [cell(PARENT, 5000, 0.1, system=system), cell(PLAIN, 5000, 0.1, system=plain)]
    assert holds(figures_of(cells, 0.05), "steps to 95 %") is expected


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    cells = [cell(arm, size, 0.1) for arm in (PARENT, GUARDED) for size in (0, 1000, None)]
    plot_transfer(figures_of(cells, 0.05), tmp_path / "curves.svg")
    drawn = (tmp_path / "curves.svg").read_text()
    assert "<svg" in drawn
