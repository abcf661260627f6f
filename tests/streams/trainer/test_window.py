"""The training set is what Kafka holds of the window: bounded, bad messages counted, always the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from encoders.errors import DataError
from encoders.events import EventType, Interaction, Item
from streams.avro import AvroReader, AvroWriter
from streams.avro_schema import avro_schemas
from streams.codec import Limits, encode_interaction, encode_item
from streams.kafka.producer import EventProducer
from streams.kafka.topics import ensure_topics
from streams.messages import ClickMessage
from streams.settings import KafkaSettings
from streams.trainer.window import Window, replay_window, split_ms, stage_at, timeline

MakeSettings = Callable[..., KafkaSettings]
LIMITS = Limits()
ITEMS = [Item(f"i{number}", f"item {number}") for number in range(5)]
AT_MS = 1_700_000_000_000


LATER = 50
"""From this event on records are newer by some milliseconds."""


def event(number: int, item: str = "i0", kind: EventType = EventType.CLICK) -> Interaction:
    return Interaction(f"u{number % 7}", item, kind, AT_MS + number * 1_000, f"e{number}")


@pytest.fixture(params=["demo", pytest.param("kafka", marks=pytest.mark.kafka)])
def kafka_with_events(request: pytest.FixtureRequest) -> tuple[KafkaSettings, int]:
    """Topics with 20 events, after a moment (which is returned) 40 more, the last ten after a pause, and bad
    ones."""
    make: MakeSettings = request.getfixturevalue(f"{request.param}_settings")
    settings = make()
    ensure_topics(settings)
    with EventProducer(settings) as producer:
        for item in [*ITEMS, Item("gone", "delisted later")]:
            producer.send(*encode_item(item))
        for number in range(20):
            producer.send(*encode_interaction(event(number)))
        producer.flush()
        time.sleep(0.02)  # the broker's clock, in milliseconds, goes on
        moment = time.time_ns() // 1_000_000
        time.sleep(0.02)
        producer.send("items", b"gone", None)
        for number in range(20, 60):
            if number == LATER:
                producer.flush()
                time.sleep(0.02)
            kind = EventType.PURCHASE if number % 2 else EventType.CLICK
            producer.send(*encode_interaction(event(number, f"i{number % 5}", kind)))
        producer.send(*encode_interaction(event(59, "i4", EventType.PURCHASE)))  # sent again
        producer.send(*encode_interaction(event(60, "gone")))
        producer.send("clicks", b"u1", b"{")
        producer.send("items", b"i9", b"\xff")
    return settings, moment


def replayed(settings: KafkaSettings, from_ms: int, max_events: int = 1_000, **more: int) -> Window:
    until_ms = time.time_ns() // 1_000_000 + 60_000
    bounds = {"max_items": 10} | more
    return replay_window(settings, LIMITS, from_ms, until_ms, max_events=max_events, **bounds)


def numbers(events: object) -> list[int]:
    return [int(one.event_id[1:]) for one in events]  # type: ignore[attr-defined]


def test_the_window_is_told_from_what_was_before_by_the_records_times(
    kafka_with_events: tuple[KafkaSettings, int],
) -> None:
    settings, moment = kafka_with_events
    window = replayed(settings, moment)
    assert numbers(window.events) == list(range(20, 60))
    assert numbers(window.older) == list(range(20))
    assert {one.event_type for one in window.events} == {EventType.CLICK, EventType.PURCHASE}


def test_the_catalogue_is_what_is_listed_now(kafka_with_events: tuple[KafkaSettings, int]) -> None:
    settings, moment = kafka_with_events
    assert {item.item_id for item in replayed(settings, moment).items} == {item.item_id for item in ITEMS}


def test_what_cannot_be_used_is_left_out_and_counted(kafka_with_events: tuple[KafkaSettings, int]) -> None:
    settings, moment = kafka_with_events
    expected = {"malformed_json": 1, "not_utf8": 1, "unknown_item": 1, "duplicate": 1}
    assert +replayed(settings, moment).skipped == expected


def test_what_speaks_against_its_item_is_not_learned_from(demo_settings: MakeSettings) -> None:
    settings = demo_settings()
    ensure_topics(settings)
    kinds = [EventType.DISLIKE, EventType.RATING, EventType.RATING, EventType.CLICK]
    with EventProducer(settings) as producer:
        producer.send(*encode_item(ITEMS[0]))
        for number, (kind, rating) in enumerate(zip(kinds, (None, 1.0, 5.0, None), strict=True)):
            producer.send(*encode_interaction(replace(event(number, kind=kind), rating=rating)))
    window = replayed(settings, 0)
    assert numbers(window.events) == [2, 3]
    assert +window.skipped == {"against": 2}


def test_avro_and_cloudevents_are_trained_on_as_well(demo_settings: MakeSettings) -> None:
    settings, schema = demo_settings(), avro_schemas()["clicks"]
    ensure_topics(settings)
    fields = {"event_id": "e0", "user_id": "u0", "item_id": "i0", "timestamp": AT_MS}
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"e1"), ("ce_source", b"/"), ("ce_type", b"cart")]
    headers += [("ce_time", b"2023-11-14T22:13:21Z")]
    with EventProducer(settings) as producer:
        producer.send(*encode_item(ITEMS[0]))
        value = AvroWriter(schema, 7).write(msgspec.convert(fields, ClickMessage))
        producer.send("clicks", b"u0", value)
        producer.send("clicks", b"u0", b'{"user_id": "u0", "item_id": "i0"}', headers)
    until_ms = time.time_ns() // 1_000_000 + 60_000
    avro = AvroReader(lambda _: json.dumps(schema))
    window = replay_window(settings, LIMITS, 0, until_ms, avro=avro, max_events=10, max_items=10)
    assert [(one.event_id, one.event_type) for one in window.events] == [
        ("e0", EventType.CLICK),
        ("e1", EventType.CART),
    ]


def test_of_too_many_events_the_newest_are_kept(kafka_with_events: tuple[KafkaSettings, int]) -> None:
    settings, moment = kafka_with_events
    window = replayed(settings, moment, max_events=11)
    assert len(window.events) <= 11
    assert len(window.older) <= 6
    assert set(numbers(window.events)) <= set(range(LATER, 60))


def test_a_replay_gives_the_same_again(kafka_with_events: tuple[KafkaSettings, int]) -> None:
    settings, moment = kafka_with_events
    first, second = replayed(settings, moment, max_events=25), replayed(settings, moment, max_events=25)
    assert (first.events, first.older) == (second.events, second.older)


def test_a_catalogue_beyond_its_bound_is_one_clear_line(
    kafka_with_events: tuple[KafkaSettings, int],
) -> None:
    settings, moment = kafka_with_events
    with pytest.raises(DataError, match="FRESHET_TRAINER__MAX_ITEMS"):
        replayed(settings, moment, max_items=3)


def test_the_newest_part_begins_between_two_times() -> None:
    events = [event(number) for number in range(10)]
    events[8] = at_time(events[8], events[7].timestamp_ms)
    start = split_ms(Window(ITEMS, events), 0.2)
    assert [one.timestamp_ms >= start for one in events] == [False] * 7 + [True] * 3


def at_time(one: Interaction, timestamp_ms: int) -> Interaction:
    return Interaction(one.user_id, one.item_id, one.event_type, timestamp_ms, one.event_id)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_events_of_one_time_cannot_be_parted(count: int) -> None:
    events = [at_time(event(number), AT_MS) for number in range(count)]
    with pytest.raises(DataError, match="no newest part"):
        split_ms(Window(ITEMS, events), 0.2)


def test_a_timeline_holds_what_was_before_and_the_window_in_time_order() -> None:
    window = Window(ITEMS, [event(3), event(5)], [event(4), event(1)])
    seconds = timeline(window, repeats=False).events.seconds.tolist()
    assert seconds == [(AT_MS + number * 1_000) / 1e3 for number in (1, 3, 4, 5)]


def test_an_item_is_there_since_it_says_and_at_the_latest_since_its_first_event() -> None:
    """As the worker has it: to begin with its first event in the window would make every item look new."""
    old, new = replace(ITEMS[0], created_ms=AT_MS - 1_000), replace(ITEMS[1], created_ms=AT_MS + 9_000)
    window = Window([old, new, *ITEMS[2:4]], [event(3, "i0"), event(4, "i1"), event(5, "i2")])
    stage = stage_at(window, timeline(window, repeats=False), 0.0, np.zeros((4, 2), np.float32))

    first = [AT_MS / 1e3 + seconds for seconds in (-1, 4, 5)]
    assert stage.arrivals.tolist() == [*first, np.inf]


def test_an_item_that_does_not_say_is_there_since_its_message(
    kafka_with_events: tuple[KafkaSettings, int],
) -> None:
    settings, moment = kafka_with_events
    created = [item.created_ms for item in replayed(settings, moment).items]

    assert all(one is not None and 0 <= moment - one < 60_000 for one in created)
