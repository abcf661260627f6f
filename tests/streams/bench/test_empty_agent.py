"""How the empty agent counts."""

from __future__ import annotations

from streams.bench.empty_agent import Tally


def test_figures_come_with_the_last_event_and_not_before() -> None:
    tally = Tally(30)
    assert tally.add(10) is None
    assert tally.add(10) is None
    assert tally.add(10) is not None


def test_one_batch_alone_cannot_be_timed() -> None:
    assert Tally(10).add(10) is None
