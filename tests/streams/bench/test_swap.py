"""How the figures of a swap are made of what was timed."""

from __future__ import annotations

from streams.bench.swap import percentiles, seconds_above


def timed(second: int, took: float, events: int = 10) -> list[tuple[float, float]]:
    """Events sent within a second, each answered after ``took`` seconds."""
    return [(second + event / events, took) for event in range(events)]


def test_a_second_counts_by_the_events_that_were_sent_in_it() -> None:
    events = timed(0, 0.1) + timed(1, 0.5) + timed(2, 0.1) + timed(3, 0.9)
    assert seconds_above(events, 0.0, 4.0, limit_ms=200.0) == 2


def test_what_lies_outside_does_not_count() -> None:
    events = timed(0, 9.0) + timed(1, 0.1) + timed(2, 9.0)
    assert seconds_above(events, 1.0, 2.0, limit_ms=200.0) == 0


def test_a_second_without_events_does_not_count() -> None:
    assert seconds_above(timed(0, 0.1), 0.0, 5.0, limit_ms=200.0) == 0


def test_percentiles_are_in_milliseconds() -> None:
    assert percentiles([0.25] * 5) == {"p50": 250.0, "p99": 250.0}


def test_of_nothing_there_are_no_percentiles() -> None:
    assert percentiles([]) == {}
