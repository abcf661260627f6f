"""Progressive recall against an oracle that computes it the slow way."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.events import EventType, Interaction
from streams.demo.scoring import DAY_MS, HALF_LIFE_DAYS, DecayedPopularity, ProgressiveRecall, percentile_ms

NOW_MS = 1_735_689_600_000


def click(user: str, item: str, at_ms: int = NOW_MS) -> Interaction:
    return Interaction(user, item, EventType.CLICK, at_ms)


def test_an_event_before_the_first_recommendation_does_not_count() -> None:
    recall = ProgressiveRecall()
    recall.observe(click("u", "a"))

    assert recall.scored == 0
    assert recall.recall is None
    assert recall.popularity_recall is None
    assert recall.recent() is None


def test_a_recommended_item_is_a_hit() -> None:
    recall = ProgressiveRecall()
    recall.published("u", ["a", "b"])
    recall.observe(click("u", "b"))
    recall.observe(click("u", "c"))

    assert recall.recall == 1 / 2


def test_only_the_first_k_count() -> None:
    recall = ProgressiveRecall(k=2)
    recall.published("u", ["a", "b", "c"])
    recall.observe(click("u", "c"))

    assert (recall.scored, recall.hits) == (1, 0)


def test_only_the_first_interaction_with_an_item_counts() -> None:
    recall = ProgressiveRecall()
    recall.published("u", ["a"])
    recall.observe(click("u", "a"))
    recall.observe(click("u", "a"))

    assert (recall.scored, recall.hits) == (1, 1)


def test_an_item_met_before_the_first_recommendation_is_not_new() -> None:
    recall = ProgressiveRecall()
    recall.observe(click("u", "a"))
    recall.published("u", ["a"])
    recall.observe(click("u", "a"))

    assert recall.scored == 0


def test_the_newest_recommendation_replaces_the_one_before() -> None:
    recall = ProgressiveRecall()
    recall.published("u", ["a"])
    recall.published("u", ["b"])
    recall.observe(click("u", "a"))

    assert recall.hits == 0


def test_popularity_does_not_know_the_event_it_is_scored_on() -> None:
    recall = ProgressiveRecall()
    recall.published("u", [])
    recall.observe(click("u", "a"))
    assert recall.popularity_hits == 0

    recall.published("v", [])
    recall.observe(click("v", "a"))
    assert recall.popularity_hits == 1


def test_popularity_leaves_out_what_the_user_met() -> None:
    recall = ProgressiveRecall(k=1)
    recall.observe(click("u", "a"))
    recall.observe(click("u", "a"))
    recall.observe(click("v", "b"))
    recall.published("u", [])
    recall.observe(click("u", "b"))

    assert recall.popularity_recall == 1.0


def test_recent_forgets_what_lies_beyond_its_window() -> None:
    recall = ProgressiveRecall(recent=2)
    recall.published("u", ["a", "b"])
    for item in ("a", "b", "c"):
        recall.observe(click("u", item))

    assert recall.recent() == (1 / 2, 0.0)


def test_popularity_halves_in_a_half_life() -> None:
    popularity = DecayedPopularity()
    later = NOW_MS + int(HALF_LIFE_DAYS * DAY_MS)
    for _ in range(3):
        popularity.add("old", NOW_MS)  # 3 / 2 at the later time
    popularity.add("new", later)
    assert popularity.top(2) == ["old", "new"]

    popularity.add("new", later)
    assert popularity.top(2) == ["new", "old"]


events = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=60)


@settings(deadline=None)
@given(events)
def test_popularity_ranks_as_the_sum_of_decayed_weights_does(events: list[tuple[str, int]]) -> None:
    popularity = DecayedPopularity()
    weights: dict[str, float] = defaultdict(float)
    for item, day in events:
        popularity.add(item, NOW_MS + day * DAY_MS)
        weights[item] += 0.5 ** ((40 - day) / HALF_LIFE_DAYS)

    ranked = [weights[item] for item in popularity.top(10)]
    assert len(ranked) == len(weights)
    assert ranked == pytest.approx(sorted(weights.values(), reverse=True))


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1))
def test_a_percentile_is_numpys_in_milliseconds(seconds: list[float]) -> None:
    assert percentile_ms(seconds, 99) == pytest.approx(np.percentile(seconds, 99) * 1000, abs=0.051)


def test_no_durations_have_no_percentile() -> None:
    assert percentile_ms([], 50) is None
