"""Sending and reading for tools: what goes in comes out, everything is confirmed, every end is reached."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from encoders.errors import BrokerError, BrokerUnavailable
from streams.kafka.connection import open_admin
from streams.kafka.demo_broker import DemoBroker
from streams.kafka.producer import EventProducer
from streams.kafka.reader import read
from streams.kafka.topics import ensure_topics
from streams.settings import KafkaSettings

MakeSettings = Callable[..., KafkaSettings]


@pytest.fixture(params=["demo", pytest.param("kafka", marks=pytest.mark.kafka)])
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    make: MakeSettings = request.getfixturevalue(f"{request.param}_settings")
    made = make()
    ensure_topics(made)
    return made


def test_a_message_comes_back_whole(settings: KafkaSettings) -> None:
    headers = [("reason", b"why"), ("reason", b"again")]
    with EventProducer(settings) as producer:
        producer.send("dead-letters", b"", b"\xff\x00", headers)
    (record,) = read(settings, "dead-letters")
    assert (record.topic, record.key, record.value) == ("dead-letters", b"", b"\xff\x00")
    assert list(record.headers) == headers


def test_a_tombstone_comes_back_as_none(settings: KafkaSettings) -> None:
    with EventProducer(settings) as producer:
        producer.send("items", b"i1", None)
    assert [(record.key, record.value) for record in read(settings, "items")] == [(b"i1", None)]


def test_more_messages_than_may_be_unconfirmed_all_arrive_in_order(settings: KafkaSettings) -> None:
    with EventProducer(settings, max_unconfirmed=50) as producer:
        for number in range(1_000):
            producer.send("clicks", b"u%d" % (number % 7), b"%d" % number)
    assert producer.sent == producer.delivered == 1_000
    by_user: dict[bytes | None, list[int]] = {}
    for record in read(settings, "clicks"):
        by_user.setdefault(record.key, []).append(int(record.value or b""))
    assert by_user == {b"u%d" % user: list(range(user, 1_000, 7)) for user in range(7)}


def test_several_topics_are_read_to_their_ends(settings: KafkaSettings) -> None:
    with EventProducer(settings) as producer:
        for topic in ("clicks", "purchases"):
            producer.send(topic, b"u", topic.encode())
    records = list(read(settings, "clicks", "purchases", "items"))
    assert {(record.topic, record.value) for record in records} == {
        ("clicks", b"clicks"),
        ("purchases", b"purchases"),
    }


def test_latest_gives_only_what_comes_after_the_call(settings: KafkaSettings) -> None:
    with EventProducer(settings) as producer:
        producer.send("clicks", b"u", b"before")
        producer.flush()
        after = read(settings, "clicks", latest=True, seconds=10.0)
        producer.send("clicks", b"u", b"after")
        producer.flush()
    assert next(after).value == b"after"


def test_a_limit_of_time_ends_the_wait_for_more(settings: KafkaSettings) -> None:
    with EventProducer(settings) as producer:
        producer.send("clicks", b"u", b"only")
    assert [record.value for record in read(settings, "clicks", seconds=1.0)] == [b"only"]


@pytest.mark.kafka
def test_a_compacted_topic_is_read_to_its_end(kafka_settings: MakeSettings) -> None:
    settings = kafka_settings()
    ensure_topics(settings)
    with EventProducer(settings) as producer:
        for version in range(100):
            producer.send("items", b"same", b"%d" % version)
    assert [record.value for record in read(settings, "items")][-1] == b"99"


@pytest.mark.kafka
def test_kafka_stamps_events_with_its_own_clock(kafka_settings: MakeSettings) -> None:
    settings = kafka_settings()
    ensure_topics(settings)
    with EventProducer(settings) as producer:
        producer.send("clicks", b"u", b"old", timestamp_ms=1_000)
    (record,) = read(settings, "clicks")
    assert record.timestamp_ms > 1_700_000_000_000


@pytest.mark.kafka
def test_a_message_that_kafka_refuses_is_told(kafka_settings: MakeSettings) -> None:
    settings = kafka_settings()
    ensure_topics(settings)
    with pytest.raises(BrokerError, match=r"too large|larger"), EventProducer(settings) as producer:
        producer.send("clicks", b"u", bytes(8 * 1024 * 1024))


@pytest.mark.kafka
def test_a_missing_topic_is_one_line_that_says_what_to_do(kafka_settings: MakeSettings) -> None:
    with pytest.raises(BrokerError, match=r"there is no topic .*clicks: run `freshet topics create`"):
        list(read(kafka_settings(), "clicks"))


def test_a_broker_that_dies_is_told_and_what_it_held_is_not_counted() -> None:
    with DemoBroker() as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        ensure_topics(settings)
        producer = EventProducer(settings, delivery_seconds=2.0)
        producer.send("clicks", b"u", b"delivered")
        producer.flush()
        broker.stop()
        producer.send("clicks", b"u", b"lost")
        with pytest.raises(BrokerUnavailable):
            producer.flush(timeout=5.0)
        producer.close()
    assert (producer.sent, producer.delivered) == (2, 1)


def test_errors_of_kafka_inside_an_admin_block_are_ours(demo_settings: MakeSettings) -> None:
    with pytest.raises(BrokerError), open_admin(demo_settings()) as admin:
        admin.create_topics(["never"])
