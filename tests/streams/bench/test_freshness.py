"""Which recommendation answers an event, and how long that took."""

from __future__ import annotations

import pytest

from streams.bench.freshness import Arrived, Sent, freshness, percentile_ms


def test_an_event_is_answered_by_the_recommendation_that_names_it() -> None:
    assert freshness([Sent("u", "a", 10.0)], [Arrived("u", "a", 10.25)]) == {"a": pytest.approx(0.25)}


def test_an_event_that_shared_a_batch_is_answered_with_the_later_one() -> None:
    taken = freshness([Sent("u", "a", 1.0), Sent("u", "b", 1.5)], [Arrived("u", "b", 2.0)])
    assert taken == {"a": pytest.approx(2.0 - 1.0), "b": pytest.approx(2.0 - 1.5)}


def test_its_own_recommendation_counts_even_where_a_later_event_was_answered_first() -> None:
    arrived = [Arrived("u", "b", 2.0), Arrived("u", "a", 3.0)]
    taken = freshness([Sent("u", "a", 1.0), Sent("u", "b", 1.5)], arrived)
    assert taken == {"a": pytest.approx(3.0 - 1.0), "b": pytest.approx(2.0 - 1.5)}


def test_an_earlier_recommendation_answers_no_later_event() -> None:
    assert set(freshness([Sent("u", "a", 1.0), Sent("u", "b", 1.5)], [Arrived("u", "a", 2.0)])) == {"a"}


def test_another_user_s_recommendation_answers_nothing() -> None:
    assert freshness([Sent("u", "a", 1.0)], [Arrived("v", "a", 2.0)]) == {}


def test_of_a_repeated_recommendation_the_first_counts() -> None:
    arrived = [Arrived("u", "a", 2.0), Arrived("u", "a", 9.0)]
    assert freshness([Sent("u", "a", 1.0)], arrived) == {"a": pytest.approx(2.0 - 1.0)}


def test_percentiles_are_milliseconds() -> None:
    assert percentile_ms([0.1, 0.2, 0.3], 50) == 200.0
