"""What is held back, and what the message says."""

from __future__ import annotations

import pytest

from encoders.events import EventType
from streams.messages import Reason, RecommendedItem, Trigger
from streams.recommending import compose, held_back
from streams.rules import DAY_MS
from streams.scenarios import Scenario
from streams.state import Applied, History, LastEvent, UserState

T_MS = 1_700_000_000_000
SCENARIO = Scenario(k=3, hide_seen_ms=30 * DAY_MS, hide_bought_ms=365 * DAY_MS)


def history(seen: dict[str, int] | None = None, bought: dict[str, int] | None = None) -> History:
    last = LastEvent("clicks", "e1", "x", T_MS - 5)
    return History(seen=seen or {}, bought=bought or {}, latest_ms=T_MS, last=last)


@pytest.mark.parametrize(("age_ms", "hidden"), [(0, True), (30 * DAY_MS, True), (30 * DAY_MS + 1, False)])
def test_a_seen_item_is_held_back_within_its_horizon(age_ms: int, hidden: bool) -> None:
    assert ("a" in held_back(history(seen={"a": T_MS - age_ms}), SCENARIO)) is hidden


@pytest.mark.parametrize(("age_ms", "hidden"), [(0, True), (365 * DAY_MS, True), (365 * DAY_MS + 1, False)])
def test_a_bought_item_is_held_back_within_its_horizon(age_ms: int, hidden: bool) -> None:
    assert ("a" in held_back(history(bought={"a": T_MS - age_ms}), SCENARIO)) is hidden


def test_an_item_bought_long_after_it_was_seen_stays_held_back() -> None:
    made = history(seen={"a": T_MS - 31 * DAY_MS}, bought={"a": T_MS - 31 * DAY_MS})
    assert held_back(made, SCENARIO) == {"a"}


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (Scenario(hide_seen_ms=0), {"b"}),
        (Scenario(hide_bought_ms=0), {"a"}),
        (Scenario(hide_seen_ms=0, hide_bought_ms=0), set()),
    ],
)
def test_a_horizon_of_zero_holds_nothing_back(scenario: Scenario, expected: set[str]) -> None:
    assert held_back(history(seen={"a": T_MS}, bought={"b": T_MS}), scenario) == expected


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ([Applied("a", EventType.DISLIKE, T_MS)], True),
        ([Applied("a", EventType.RATING, T_MS, -100)], True),
        ([Applied("a", EventType.DISLIKE, T_MS, -100), Applied("a", EventType.PURCHASE, T_MS)], False),
    ],
    ids=["disliked", "rated badly", "bought since"],
)
def test_what_was_disliked_is_held_back_where_nothing_else_is(said: list[Applied], hidden: bool) -> None:
    made = History(events=said, latest_ms=T_MS)
    assert ("a" in held_back(made, Scenario(hide_seen_ms=0, hide_bought_ms=0))) is hidden


def user() -> UserState:
    made = UserState.new("u", 2, 2)
    made.history = history()
    return made


def test_message_names_the_event_applied_last_and_its_time() -> None:
    made = compose(user(), SCENARIO, [RecommendedItem("a", 0.5, Reason("new"))], "m1", T_MS + 7)
    assert (made.trigger, made.event_time, made.generated_at) == (
        Trigger("clicks", "e1", "x"),
        T_MS - 5,
        T_MS + 7,
    )


def test_messages_at_two_times_differ_in_the_time_alone() -> None:
    one, other = (compose(user(), SCENARIO, [], "m1", now_ms) for now_ms in (T_MS, T_MS + 1))
    assert {name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)} == {
        "generated_at"
    }
