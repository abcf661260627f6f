"""How the figures of a swap are made of what was timed."""

from __future__ import annotations

from streams.bench.swap_figures import Moments, freshness_of, percentiles, seconds_above


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


def test_freshness_is_told_apart_by_the_moments_of_the_swap() -> None:
    # Four seconds before, of which the first warms; released at 4, effective at 5; slow in the second after.
    events = [one for second in range(8) for one in timed(second, 0.9 if second in (0, 5) else 0.1)]
    found = freshness_of(events, Moments(0.0, 4.0, 5.0, 8.0, 9.0))
    assert found.freshness_before_ms["p99"] == found.freshness_during_ms["p99"] == 100.0
    assert found.freshness_after_ms["p99"] == 900.0
    assert found.seconds_with_p99_doubled == 1
