from __future__ import annotations

import numpy as np
import pytest

from streams.drift.sequential import ChangeDetector, Direction


def hits(seed: int, *phases: tuple[float, int]) -> list[float]:
    """Zeros and ones, each phase with its own mean."""
    rng = np.random.default_rng(seed)
    return [float(one) for mean, n in phases for one in rng.random(n) < mean]


def detector(direction: Direction) -> ChangeDetector:
    return ChangeDetector(direction, delta=0.002, threshold=110.0, least=1_000)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("direction", ["fall", "rise"])
def test_an_unchanged_stream_is_no_alarm(direction: Direction, seed: int) -> None:
    one = detector(direction)
    one.update(hits(seed, (0.1, 50_000)))
    assert abs(one.change.moved) < 0.1
    assert one.change.sum < 110 / 2


@pytest.mark.parametrize("seed", range(5))
def test_half_of_the_hits_lost_is_found_by_both(seed: int) -> None:
    one = detector("fall")
    one.update(hits(seed, (0.1, 10_000), (0.05, 6_000)))
    assert one.change.moved > 0.3
    assert one.change.sum == 110


@pytest.mark.parametrize(("direction", "after"), [("fall", 0.3), ("rise", 0.02)])
def test_a_change_for_the_better_is_no_alarm(direction: Direction, after: float) -> None:
    one = detector(direction)
    one.update(hits(1, (0.1, 10_000), (after, 10_000)))
    assert one.change.moved == 0
    assert one.change.sum < 110 / 2


def test_a_rise_is_told_in_shares() -> None:
    one = detector("rise")
    one.update(hits(2, (0.1, 10_000), (0.4, 5_000)))
    assert one.change.moved == pytest.approx(0.3, abs=0.05)


def test_what_recovers_is_no_longer_moved() -> None:
    one = detector("fall")
    one.update(hits(3, (0.2, 10_000), (0.05, 3_000), (0.25, 10_000)))
    assert one.change.moved == 0


def test_a_handful_of_ones_where_there_were_none_is_no_alarm() -> None:
    one = detector("rise")
    one.update(hits(4, (0.0, 10_000), (0.003, 10_000)))
    assert one.change.sum < 110 / 2
    assert one.change.moved < 0.05


def test_a_rise_within_what_is_allowed_is_no_alarm() -> None:
    one = ChangeDetector("rise", delta=0.002, threshold=110.0, least=1_000, allowed=0.05)
    one.update(hits(5, (0.1, 10_000), (0.13, 20_000)))
    assert one.change.sum < 110 / 2


def test_nothing_is_said_before_there_is_enough() -> None:
    one = detector("fall")
    one.update([1.0] * 300 + [0.0] * 300)
    assert (one.change.moved, one.change.sum) == (0, 0)
