"""What the demo measures of its own run."""

from __future__ import annotations

import pytest

from encoders.events import EventType, Interaction, Item
from streams.demo.feed import Kind, Message, encode
from streams.demo.life import ModelLife
from streams.demo.screen_state import ScreenState
from streams.demo.tracker import QUIET_SECONDS, Tracker
from streams.messages import Reason, Recommendation, RecommendedItem, Trigger

ITEMS = [Item(f"i{n}", f"Item {n}", categories=("Kitchen", "Pans", "Wok")) for n in range(5)]


def make(shift_after: int | None = None) -> tuple[Tracker, ScreenState]:
    state = ScreenState(life=ModelLife("m"))
    return Tracker(ITEMS, state, shift_after), state


def event(event_id: str, item: str = "i0", user: str = "u") -> Message:
    return encode(Interaction(user, item, EventType.CLICK, 1_735_689_600_000, event_id))


def answer(event_id: str, *items: str, user: str = "u") -> Recommendation:
    return Recommendation(
        user_id=user,
        items=[RecommendedItem(item, 0.5, Reason("trending")) for item in items],
        scenario="home",
        model_version="m",
        trigger=Trigger("clicks", event_id, "i0"),
        event_time=0,
        generated_at=0,
    )


def test_freshness_is_from_sending_to_receiving() -> None:
    tracker, _ = make()
    tracker.sent(event("e1"), now=1.0)
    tracker.received(answer("e1"), now=1.25)

    assert tracker.report("m", 1.0).freshness_p50_ms == 250.0


def test_one_recommendation_answers_the_events_before_it_and_none_after() -> None:
    tracker, _ = make()
    for number, at in enumerate((1.0, 2.0, 3.0)):
        tracker.sent(event(f"e{number}"), now=at)
    tracker.received(answer("e1"), now=4.0)
    report = tracker.report("m", 1.0)
    assert (report.freshness_p50_ms, report.freshness_p99_ms) == (2_500.0, pytest.approx(2_990.0))

    tracker.received(answer("e2"), now=103.0)
    assert tracker.report("m", 1.0).freshness_p99_ms == pytest.approx(98_060.0)


def test_a_recommendation_published_twice_is_measured_once() -> None:
    tracker, _ = make()
    tracker.sent(event("e1"), now=1.0)
    tracker.received(answer("e1"), now=1.1)
    tracker.sent(event("e2"), now=2.0)
    tracker.received(answer("e1"), now=50.0)
    tracker.received(answer("e2"), now=2.1)

    assert tracker.report("m", 1.0).freshness_p99_ms == pytest.approx(100.0)


@pytest.mark.parametrize("kind", [Kind.REPEATED, Kind.CUT_OFF, Kind.UNKNOWN])
def test_what_is_no_new_event_is_counted_as_sent_and_nothing_else(kind: Kind) -> None:
    tracker, state = make()
    good = event("e1")
    tracker.sent(Message(good.topic, good.key, good.value, good.event, kind), now=1.0)

    assert (state.events_sent, state.users) == (1, 0)


def test_the_report_takes_the_workers_counts() -> None:
    tracker, _ = make()
    for number in range(6):
        tracker.sent(event(f"e{number}"), now=1.0)
    assert not tracker.everything_accounted

    tracker.accounted({"applied": 3, "duplicate": 1, "dead_lettered": 2, "waiting": 9})
    assert tracker.everything_accounted
    report = tracker.report("m", 1.0)
    report.check()
    assert (report.events_applied, report.duplicates, report.dead_letters) == (3, 1, 2)


def test_an_event_is_scored_against_what_was_received_before_it() -> None:
    tracker, _ = make()
    tracker.sent(event("e1", "i0"), now=1.0)
    tracker.received(answer("e1", "i1"), now=1.1)
    tracker.sent(event("e2", "i1"), now=2.0)
    tracker.sent(event("e3", "i2"), now=3.0)

    assert tracker.report("m", 1.0).recall_at_10 == 1 / 2


def test_the_shopper_on_show_stays_while_there_are_events() -> None:
    tracker, state = make()
    tracker.sent(event("e1"), now=10.0)
    tracker.received(answer("e1", "i1"), now=10.1)
    tracker.received(answer("e2", "i2", user="v"), now=10.2)
    assert state.shopper == "u"

    tracker.received(answer("e3", "i2", user="v"), now=10.2 + QUIET_SECONDS)
    assert state.shopper == "v"


def test_history_and_recommendations_of_the_shopper_are_shown() -> None:
    tracker, state = make()
    tracker.sent(event("e1", "i0"), now=10.0)
    tracker.received(answer("e1", "i3", "i1"), now=10.1)
    tracker.sent(event("e2", "i1"), now=10.2)
    tracker.received(answer("e2", "i3", "i2"), now=10.3)

    assert [(line.title, line.hit) for line in state.history] == [("Item 1", True), ("Item 0", False)]
    assert [(one.item_id, one.shelf) for one in state.suggestions] == [("i3", "Pans"), ("i2", "Pans")]
    assert state.before == ["i3", "i1"]


def test_events_a_second_are_those_of_the_last_seconds() -> None:
    tracker, state = make()
    for number in range(101):
        tracker.sent(event(f"e{number}"), now=number / 10)
        tracker.tick(number / 10, 0.0)

    assert state.events_per_second == pytest.approx(10.0)


def test_nothing_received_is_reported_as_null() -> None:
    tracker, _ = make()
    report = tracker.report("m", 0.0)

    assert (report.freshness_p50_ms, report.recall_at_10) == (None, None)


def turn(tracker: Tracker, number: int, *, hit: bool) -> None:
    """A new user is recommended an item, and turns to it or to another one."""
    user = f"u{number}"
    tracker.received(answer("", "i1", user=user), now=float(number))
    tracker.sent(event(f"e{number}", "i1" if hit else "i2", user=user), now=float(number))
    tracker.tick(float(number), 0.0)


def test_recall_is_told_before_the_shift_at_its_worst_and_at_the_end() -> None:
    tracker, _ = make(shift_after=4)
    for number, hit in enumerate([True, False, True, True, False, False]):
        turn(tracker, number, hit=hit)
    tracker.served("m2")
    for number in range(6, 12):
        turn(tracker, number, hit=True)
    report = tracker.report("m", 1.0)

    assert report.recall_before == 3 / 4
    assert report.recall_at_worst == 3 / 6
    assert report.recall_after == 9 / 12
    assert report.released_version == "m2"


def test_without_a_shift_there_is_nothing_before_or_after_it() -> None:
    tracker, _ = make()
    turn(tracker, 0, hit=True)
    report = tracker.report("m", 1.0)

    assert (report.recall_before, report.recall_at_worst, report.recall_after) == (None, None, None)


def test_bad_messages_do_not_bring_the_shift_forward() -> None:
    tracker, state = make(shift_after=1)
    tracker.sent(event("e0"), now=0.0)
    good = event("e1")
    tracker.sent(Message(good.topic, good.key, good.value, good.event, Kind.REPEATED), now=0.0)
    assert state.life.shifted_after is None

    tracker.sent(event("e2"), now=0.0)
    assert state.life.shifted_after == 2


def test_shift_and_swap_are_marked_on_the_curve() -> None:
    tracker, state = make(shift_after=2)
    for number in range(4):
        tracker.served("m" if number < 3 else "m2")
        turn(tracker, number, hit=True)

    assert state.marks == [(1, "shift"), (2, "new")]  # the first point is made after half a second
