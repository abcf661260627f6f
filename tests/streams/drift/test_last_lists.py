from __future__ import annotations

from math import log2

import pytest

from streams.drift.last_lists import MISSED, LastLists, gain
from streams.messages import Reason, Recommendation, RecommendedItem, Trigger


def made(user: str, *items: str, version: str = "v1") -> Recommendation:
    return Recommendation(
        user_id=user,
        scenario="home",
        items=[RecommendedItem(item, 1.0, Reason("taste")) for item in items],
        model_version=version,
        trigger=Trigger("clicks", "e", "i"),
        event_time=0,
        generated_at=0,
    )


def lists(*published: Recommendation, users: int = 10) -> LastLists:
    kept = LastLists(users, k=3)
    kept.remember(published)
    return kept


def test_the_place_of_an_item_counts_from_one() -> None:
    assert lists(made("u", "a", "b", "c")).ranks("u", "b") == [("v1", 2)]


def test_an_item_beyond_k_is_missed() -> None:
    assert lists(made("u", "a", "b", "c", "d")).ranks("u", "d") == [("v1", MISSED)]


def test_a_user_without_a_list_is_not_scored() -> None:
    assert lists(made("u", "a")).ranks("v", "a") == []


def test_only_the_last_list_counts() -> None:
    kept = lists(made("u", "a"))
    kept.remember([made("u", "b", version="v2")])
    assert kept.ranks("u", "a") == [("v2", MISSED)]


def test_of_two_lists_published_together_the_later_one_counts() -> None:
    assert lists(made("u", "a"), made("u", "b")).ranks("u", "b") == [("v1", 1)]


def test_no_more_events_than_places_are_compared_with_a_list() -> None:
    kept = lists(made("u", "a", "b", "c"))
    assert [len(kept.ranks("u", item)) for item in ("x", "a", "y", "b", "z")] == [1, 1, 1, 0, 0]


def test_a_new_list_is_compared_anew() -> None:
    kept = lists(made("u", "a", "b", "c"))
    for item in ("x", "y", "z"):
        kept.ranks("u", item)
    kept.remember([made("u", "d")])
    assert kept.ranks("u", "d") == [("v1", 1)]


def test_lists_of_two_versions_are_scored_side_by_side() -> None:
    assert lists(made("u", "a", "b"), made("u", "b", "a", version="v2")).ranks("u", "a") == [
        ("v1", 1),
        ("v2", 2),
    ]


def test_no_more_users_are_kept_than_told_the_oldest_go_first() -> None:
    kept = lists(*(made(f"u{n}", "a") for n in range(5)), users=3)
    assert len(kept) == 3
    assert [bool(kept.ranks(f"u{n}", "a")) for n in range(5)] == [False, False, True, True, True]


def test_a_gain_is_one_over_the_logarithm_of_the_place() -> None:
    assert [gain(rank) for rank in (MISSED, 1, 2, 10)] == pytest.approx([0, 1, 1 / log2(3), 1 / log2(11)])
