"""A window of a topic is found by the records' times, on brokers with and without an index of times."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from streams.kafka.producer import EventProducer
from streams.kafka.reader import read, read_between
from streams.kafka.topics import ensure_topics
from streams.settings import KafkaSettings

MakeSettings = Callable[..., KafkaSettings]


@pytest.fixture(params=["demo", pytest.param("kafka", marks=pytest.mark.kafka)])
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    """Topics with three messages a partition, the times of which differ."""
    make: MakeSettings = request.getfixturevalue(f"{request.param}_settings")
    made = make()
    ensure_topics(made)
    for _ in range(3):
        with EventProducer(made) as producer:
            for user in range(12):
                producer.send("clicks", b"u%d" % user, b"x")
                producer.send("purchases", b"u%d" % user, b"x")
        time.sleep(0.02)  # the broker's clock, in milliseconds, goes on
    return made


def places(records: object) -> set[tuple[str, int, int]]:
    return {(one.topic, one.partition, one.offset) for one in records}  # type: ignore[attr-defined]


def test_just_the_records_of_the_window_are_read(settings: KafkaSettings) -> None:
    everything = list(read(settings, "clicks", "purchases"))
    times = sorted({one.timestamp_ms for one in everything})
    start, end = times[1], times[-1]
    wanted = [one for one in everything if start <= one.timestamp_ms < end]
    found = read_between(settings, "clicks", "purchases", from_ms=start, until_ms=end)
    assert wanted
    assert places(found) == places(wanted)


@pytest.mark.parametrize(("from_ms", "until_ms"), [(0, 1), (2**42, 2**43)])
def test_a_window_without_records_is_empty(settings: KafkaSettings, from_ms: int, until_ms: int) -> None:
    assert list(read_between(settings, "clicks", from_ms=from_ms, until_ms=until_ms)) == []
