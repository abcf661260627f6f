"""A user's fold against oracles: in any batches, with any replays, every event counts exactly once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.events import EventType, Interaction
from streams.codec import Limits, Rejected, decode_interaction
from streams.fold_types import Bounds, FoldContext, Folded, Outcome, Received, Step
from streams.interest import fold, run_steps
from streams.state import UserState, event_hash, pack, unpack
from tests.fakes.kafka_messages import NOW_MS, click, event, purchase
from tests.fakes.model import DIM, FakeModel, text_vector

KNOWN = ("a", "b", "c", "d")
UNKNOWN = "not-yet"
ROOMY = Bounds()
TIGHT = Bounds(events=3, seen_items=2, bought_items=2, event_ids=4, waiting=1)
TYPES = {"clicks": EventType.CLICK, "purchases": EventType.PURCHASE}

Log = list[tuple[Received, Interaction]]


def decode(received: Received) -> Interaction | Rejected:
    kind, key, value = TYPES[received.topic], received.key, received.value
    return decode_interaction(kind, key, value, NOW_MS, Limits(), received.headers)


def read(*messages: Received) -> Log:
    events = [(one, decode(one)) for one in messages]
    return [(one, event) for one, event in events if isinstance(event, Interaction)]


def context(bounds: Bounds = ROOMY, known: Sequence[str] = KNOWN, now_ms: int = NOW_MS) -> FoldContext:
    return FoldContext(known=set(known).__contains__, decode=decode, bounds=bounds, now_ms=now_ms)


def new_user() -> UserState:
    return UserState.new("u", DIM, DIM)


def copy(user: UserState) -> UserState:
    """The user as the store would give it back."""
    return UserState("u", user.interest, user.state, unpack(pack(user.history)))


def outcomes(folded: Folded) -> list[Outcome]:
    return [outcome for _, outcome in folded.outcomes]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A user's events on two topics, with late ones, repeated ids, and an item that nobody knows."""
    offsets = {"clicks": draw(st.integers(0, 5)), "purchases": draw(st.integers(0, 5))}
    messages = []
    for _ in range(draw(st.integers(0, 15))):
        topic = draw(st.sampled_from(["clicks", "clicks", "purchases"]))
        offsets[topic] += draw(st.integers(1, 3))
        item_id = draw(st.sampled_from([*KNOWN, UNKNOWN]))
        event_id = f"e{draw(st.integers(0, 12))}"
        timestamp = NOW_MS - 1_000 * draw(st.integers(0, 500))
        messages.append(event(topic, "u", item_id, offsets[topic], event_id=event_id, timestamp=timestamp))
    return read(*messages)


@dataclass
class Delivery:
    """Events from ``start`` to ``end`` of the log, and whether the result was stored."""

    start: int
    end: int
    stored: bool


@st.composite
def deliveries(draw: st.DrawFn, length: int) -> list[Delivery]:
    """At-least-once: each batch begins at or before the end of what was stored; some are lost in a crash."""
    done, plan = 0, []
    while done < length:
        one = Delivery(draw(st.integers(0, done)), draw(st.integers(done + 1, length)), draw(st.booleans()))
        plan.append(one)
        done = one.end if one.stored or len(plan) > 20 else done
        one.stored = one.stored or len(plan) > 20
    return plan


@given(st.data(), st.sampled_from([ROOMY, TIGHT]))
def test_any_batches_with_any_replays_equal_one_application(data: st.DataObject, bounds: Bounds) -> None:
    log = data.draw(logs())
    once = new_user()
    expected = fold(once, log, context(bounds))
    user, steps = new_user(), []
    for one in data.draw(deliveries(len(log))):
        attempt = copy(user)
        folded = fold(attempt, log[one.start : one.end], context(bounds))
        if one.stored:
            user = attempt
            steps += folded.steps
    assert (user.history, steps) == (once.history, expected.steps)


@given(logs())
def test_a_replayed_batch_changes_nothing(log: Log) -> None:
    user = new_user()
    fold(user, log, context())
    before = pack(user.history)
    assert set(outcomes(fold(user, log, context()))) <= {Outcome.REDELIVERED}
    assert pack(user.history) == before


@given(logs(), st.sampled_from([ROOMY, TIGHT]))
def test_every_event_has_one_outcome_and_one_place(log: Log, bounds: Bounds) -> None:
    folded = fold(new_user(), log, context(bounds))
    assert [received for received, _ in folded.outcomes] == [received for received, _ in log]
    assert outcomes(folded).count(Outcome.APPLIED) == len(folded.steps) == len(folded.applied)
    assert outcomes(folded).count(Outcome.DEAD_LETTERED) == len(folded.dead_letters)


@given(logs())
def test_history_equals_a_plain_oracle(log: Log) -> None:
    user = new_user()
    fold(user, log, context())
    unique = {event.event_id: event for _, event in reversed(log)}
    events = [event for _, event in log if unique[event.event_id] is event and event.item_id in KNOWN]
    clicks = [event for event in events if event.event_type is EventType.CLICK]
    bought = [event for event in events if event.event_type is EventType.PURCHASE]
    history = user.history
    assert [one.item_id for one in history.events] == [event.item_id for event in events]
    assert history.seen == {one.item_id: latest(clicks, one.item_id) for one in clicks}
    assert history.bought == {one.item_id: latest(bought, one.item_id) for one in bought}
    assert history.latest_ms == max((event.timestamp_ms for event in events), default=0)
    assert history.applied == len(events)
    assert len(history.waiting) == sum(one.item_id == UNKNOWN for one in unique.values())


def latest(events: Sequence[Interaction], item_id: str) -> int:
    return max(event.timestamp_ms for event in events if event.item_id == item_id)


@given(logs())
def test_every_list_and_map_is_bounded(log: Log) -> None:
    user = new_user()
    fold(user, log, context(TIGHT))
    history = user.history
    assert len(history.events) <= TIGHT.events
    assert len(history.seen) <= TIGHT.seen_items
    assert len(history.bought) <= TIGHT.bought_items
    assert len(history.event_ids) <= TIGHT.event_ids
    assert len(history.waiting) <= TIGHT.waiting
    assert len(history.offsets) <= len(TYPES)


@given(logs())
def test_gap_is_the_time_since_the_latest_event_so_far(log: Log) -> None:
    folded = fold(new_user(), log, context())
    times = [one.event.timestamp_ms for one in folded.applied]
    expected = [(now - max(times[:n])) / 1000 if n else 0.0 for n, now in enumerate(times)]
    assert [one.gap_seconds for one in folded.steps] == expected


def test_a_late_event_has_a_negative_gap_and_leaves_the_latest_time() -> None:
    user = new_user()
    log = read(click("u", "a", 0, timestamp=NOW_MS), click("u", "b", 1, timestamp=NOW_MS - 5_000))
    assert fold(user, log, context()).steps[1] == Step("b", EventType.CLICK, -5.0)
    assert user.history.latest_ms == NOW_MS


def test_a_late_click_does_not_make_an_item_seen_earlier() -> None:
    user = new_user()
    log = read(click("u", "a", 0, timestamp=NOW_MS), click("u", "a", 1, timestamp=NOW_MS - 5_000))
    fold(user, log, context())
    assert user.history.seen == {"a": NOW_MS}


def test_item_touched_again_outlives_items_touched_before() -> None:
    user = new_user()
    log = read(*(click("u", item_id, n) for n, item_id in enumerate("abac")))
    fold(user, log, context(replace(ROOMY, seen_items=2)))
    assert list(user.history.seen) == ["a", "c"]


def test_offsets_of_a_partition_say_nothing_of_another() -> None:
    user = new_user()
    log = read(click("u", "a", 7), purchase("u", "b", 3), click("u", "c", 0, partition=1))
    assert outcomes(fold(user, log, context())) == [Outcome.APPLIED] * 3


def test_topics_made_anew_count_from_zero_again() -> None:
    user = new_user()
    fold(user, read(click("u", "a", 9)), context())
    again = replace(context(), epoch=1)
    assert outcomes(fold(user, read(click("u", "b", 0)), again)) == [Outcome.APPLIED]


def test_repeated_id_at_a_new_offset_is_a_duplicate() -> None:
    log = read(click("u", "a", 0, event_id="e"), click("u", "a", 1, event_id="e"))
    assert outcomes(fold(new_user(), log, context())) == [Outcome.APPLIED, Outcome.DUPLICATE]


def test_repeated_id_on_the_other_topic_is_a_duplicate() -> None:
    log = read(click("u", "a", 0, event_id="e"), purchase("u", "a", 0, event_id="e"))
    assert outcomes(fold(new_user(), log, context())) == [Outcome.APPLIED, Outcome.DUPLICATE]


def test_repeated_id_beyond_the_memory_of_ids_is_applied() -> None:
    ids = ["e0", "e1", "e2", "e3", "e4", "e0"]
    log = read(*(click("u", "a", n, event_id=one) for n, one in enumerate(ids)))
    assert outcomes(fold(new_user(), log, context(replace(ROOMY, event_ids=4))))[-1] is Outcome.APPLIED


def test_last_event_is_the_one_applied_last_and_not_a_duplicate() -> None:
    user = new_user()
    log = read(click("u", "a", 0, event_id="e"), purchase("u", "b", 0), click("u", "a", 1, event_id="e"))
    fold(user, log, context())
    assert user.history.last is not None
    assert (user.history.last.topic, user.history.last.item_id) == ("purchases", "b")


def test_an_empty_fold_changes_nothing_and_publishes_nothing() -> None:
    folded = fold(new_user(), [], context())
    assert (folded.changed, folded.refreshed) == (False, False)


@pytest.mark.parametrize(
    ("second", "changed", "refreshed"),
    [
        (click("u", "b", 1), True, True),
        (click("u", "a", 1, event_id="clicks-0-0"), True, False),
        (click("u", UNKNOWN, 1), True, False),
        (click("u", "a", 0), False, True),
    ],
    ids=["applied", "duplicate", "waiting", "redelivered"],
)
def test_what_is_written_and_what_is_published(second: Received, changed: bool, refreshed: bool) -> None:
    user = new_user()
    fold(user, read(click("u", "a", 0)), context())
    folded = fold(user, read(second), context())
    assert (folded.changed, folded.refreshed) == (changed, refreshed)


class TestWaiting:
    """An event about an item that the catalogue lacks."""

    RECEIVED = click("u", UNKNOWN, 5, partition=2, event_id="e-wait", timestamp=NOW_MS - 60_000)

    def parked(self, bounds: Bounds = ROOMY) -> UserState:
        user = new_user()
        assert outcomes(fold(user, read(self.RECEIVED), context(bounds))) == [Outcome.WAITING]
        return copy(user)

    def test_takes_no_step(self) -> None:
        assert self.parked().history.applied == 0

    def test_is_applied_once_its_item_is_known(self) -> None:
        folded = fold(self.parked(), [], context(known=[*KNOWN, UNKNOWN]))
        assert folded.outcomes == [(self.RECEIVED, Outcome.APPLIED)]
        assert folded.steps == [Step(UNKNOWN, EventType.CLICK, 0.0)]

    def test_is_applied_once_only(self) -> None:
        user = self.parked()
        fold(user, [], context(known=[UNKNOWN]))
        assert fold(copy(user), read(self.RECEIVED), context(known=[UNKNOWN])).steps == []

    def test_is_applied_before_the_events_that_came_with_its_item(self) -> None:
        folded = fold(self.parked(), read(click("u", "a", 6, partition=2)), context(known=[*KNOWN, UNKNOWN]))
        assert [one.item_id for one in folded.steps] == [UNKNOWN, "a"]

    def test_is_late_when_newer_events_were_applied_meanwhile(self) -> None:
        user = self.parked()
        fold(user, read(click("u", "a", 6, partition=2, timestamp=NOW_MS)), context())
        assert fold(user, [], context(known=[UNKNOWN])).steps[0].gap_seconds == -60.0

    def test_keeps_its_headers_while_it_waits(self) -> None:
        headers = [("ce_specversion", "1.0"), ("ce_id", "e2"), ("ce_source", "s"), ("ce_type", "cart")]
        body = json.dumps({"user_id": "u", "item_id": UNKNOWN, "timestamp": NOW_MS}).encode()
        kept = tuple((name, text.encode()) for name, text in headers)
        wrapped = replace(self.RECEIVED, offset=6, value=body, headers=(*kept, ("nothing", None)))
        user = new_user()
        fold(user, read(wrapped), context())
        folded = fold(copy(user), [], context(known=[UNKNOWN]))
        assert [(one.received, one.event.event_type) for one in folded.applied] == [(wrapped, EventType.CART)]

    def test_still_waits_just_before_its_deadline(self) -> None:
        user = self.parked()
        assert fold(user, [], context(now_ms=NOW_MS + ROOMY.wait_ms - 1)).outcomes == []
        assert len(user.history.waiting) == 1

    def test_is_refused_at_its_deadline_with_the_received_bytes(self) -> None:
        folded = fold(self.parked(), [], context(now_ms=NOW_MS + ROOMY.wait_ms))
        assert [one.received for one in folded.dead_letters] == [self.RECEIVED]
        assert folded.dead_letters[0].rejected.reason == "unknown_item"

    def test_is_forgotten_after_its_refusal(self) -> None:
        user = self.parked()
        fold(user, [], context(now_ms=NOW_MS + ROOMY.wait_ms))
        assert user.history.waiting == []

    def test_counts_although_its_item_arrived_after_the_deadline(self) -> None:
        late = context(known=[UNKNOWN], now_ms=NOW_MS + 10 * ROOMY.wait_ms)
        assert outcomes(fold(self.parked(), [], late)) == [Outcome.APPLIED]

    def test_is_refused_when_too_many_wait_already(self) -> None:
        user = self.parked(TIGHT)
        one_more = click("u", "also-unknown", 6, partition=2)
        folded = fold(user, read(one_more), context(TIGHT))
        assert [(one.received, one.rejected.reason) for one in folded.dead_letters] == [
            (one_more, "waiting_full")
        ]

    def test_is_refused_at_once_where_waiting_is_turned_off(self) -> None:
        folded = fold(new_user(), read(self.RECEIVED), context(replace(ROOMY, wait_ms=0)))
        assert [one.rejected.reason for one in folded.dead_letters] == ["unknown_item"]

    def test_is_a_duplicate_when_sent_again(self) -> None:
        again = click("u", UNKNOWN, 6, partition=2, event_id="e-wait")
        assert outcomes(fold(self.parked(), read(again), context())) == [Outcome.DUPLICATE]

    def test_remembers_its_id(self) -> None:
        assert self.parked().history.event_ids == [event_hash("e-wait")]


@given(st.lists(logs(), min_size=1, max_size=6))
def test_many_users_at_once_equal_one_user_at_a_time(all_logs: list[Log]) -> None:
    model, vectors = FakeModel(), {item_id: text_vector(item_id)[:DIM] for item_id in KNOWN}
    steps = [fold(new_user(), log, context()).steps for log in all_logs]
    together, alone = [new_user() for _ in steps], [new_user() for _ in steps]
    run_steps(model.step, together, steps, vectors)
    for user, own in zip(alone, steps):
        run_steps(model.step, [user], [own], vectors)
    for one, other in zip(together, alone):
        np.testing.assert_array_equal(one.state, other.state)
        np.testing.assert_array_equal(one.interest, other.interest)


def test_steps_are_the_decayed_sum_of_the_items() -> None:
    vectors = {"a": np.eye(DIM, dtype=np.float32)[0], "b": np.eye(DIM, dtype=np.float32)[1]}
    user = new_user()
    run_steps(
        FakeModel().step,
        [user],
        [[Step("a", EventType.CLICK, 0.0), Step("b", EventType.PURCHASE, 0.0)]],
        vectors,
    )
    np.testing.assert_allclose(user.state, 0.75 * vectors["a"] + 2.0 * vectors["b"])


def test_a_user_without_steps_keeps_its_vectors() -> None:
    idle, busy = new_user(), new_user()
    before = idle.state
    run_steps(
        FakeModel().step, [idle, busy], [[], [Step("a", EventType.CLICK, 0.0)]], {"a": text_vector("a")[:DIM]}
    )
    assert idle.state is before


def test_a_users_vectors_are_no_view_of_the_batch() -> None:
    users = [new_user(), new_user()]
    run_steps(FakeModel().step, users, [[Step("a", EventType.CLICK, 0.0)]] * 2, {"a": text_vector("a")[:DIM]})
    assert [user.state.base for user in users] == [None, None]
