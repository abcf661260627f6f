"""What is held back, what is chosen, and what the message says of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.vector_store import ScoredItem
from streams.messages import RecommendedItem, Trigger
from streams.recommending import DAY_MS, Rules, choose, compose, held_back
from streams.state import History, LastEvent

T_MS = 1_700_000_000_000
RULES = Rules(k=3, hide_seen_ms=30 * DAY_MS, hide_bought_ms=365 * DAY_MS)


def history(seen: dict[str, int] | None = None, bought: dict[str, int] | None = None) -> History:
    last = LastEvent("clicks", "e1", "x", T_MS - 5)
    return History(seen=seen or {}, bought=bought or {}, latest_ms=T_MS, last=last)


@pytest.mark.parametrize(("age_ms", "hidden"), [(0, True), (30 * DAY_MS, True), (30 * DAY_MS + 1, False)])
def test_a_seen_item_is_held_back_within_its_horizon(age_ms: int, hidden: bool) -> None:
    assert ("a" in held_back(history(seen={"a": T_MS - age_ms}), RULES)) is hidden


@pytest.mark.parametrize(("age_ms", "hidden"), [(0, True), (365 * DAY_MS, True), (365 * DAY_MS + 1, False)])
def test_a_bought_item_is_held_back_within_its_horizon(age_ms: int, hidden: bool) -> None:
    assert ("a" in held_back(history(bought={"a": T_MS - age_ms}), RULES)) is hidden


def test_an_item_bought_long_after_it_was_seen_stays_held_back() -> None:
    made = history(seen={"a": T_MS - 31 * DAY_MS}, bought={"a": T_MS - 31 * DAY_MS})
    assert held_back(made, RULES) == {"a"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(hide_seen_ms=0), {"b"}),
        (Rules(hide_bought_ms=0), {"a"}),
        (Rules(hide_seen_ms=0, hide_bought_ms=0), set()),
    ],
)
def test_a_horizon_of_zero_holds_nothing_back(rules: Rules, expected: set[str]) -> None:
    assert held_back(history(seen={"a": T_MS}, bought={"b": T_MS}), rules) == expected


def candidates(*item_ids: str) -> list[ScoredItem]:
    return [ScoredItem(item_id, 1 / 3) for item_id in item_ids]


def test_choice_keeps_the_order_of_the_candidates_even_where_scores_tie() -> None:
    assert [one.item_id for one in choose(candidates("c", "a", "b"), set(), 3)] == ["c", "a", "b"]


def test_choice_skips_what_is_hidden() -> None:
    assert [one.item_id for one in choose(candidates("a", "b", "c"), {"a"}, 2)] == ["b", "c"]


def test_scores_are_rounded_to_six_places() -> None:
    assert choose(candidates("a"), set(), 1) == [RecommendedItem("a", 0.333333)]


def test_too_few_candidates_make_a_short_list() -> None:
    assert choose([], set(), 5) == []


@given(st.lists(st.text(max_size=2), unique=True), st.sets(st.text(max_size=2)), st.integers(1, 10))
def test_choice_is_the_first_k_that_are_not_hidden(item_ids: list[str], hidden: set[str], k: int) -> None:
    chosen = [one.item_id for one in choose(candidates(*item_ids), hidden, k)]
    assert chosen == [item_id for item_id in item_ids if item_id not in hidden][:k]


def test_message_names_the_event_applied_last_and_its_time() -> None:
    made = compose("u", history(), [RecommendedItem("a", 0.5)], "m1", T_MS + 7)
    assert (made.trigger, made.event_time, made.generated_at) == (
        Trigger("clicks", "e1", "x"),
        T_MS - 5,
        T_MS + 7,
    )


def test_messages_at_two_times_differ_in_the_time_alone() -> None:
    one, other = (compose("u", history(), [], "m1", now_ms) for now_ms in (T_MS, T_MS + 1))
    assert {name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)} == {
        "generated_at"
    }
