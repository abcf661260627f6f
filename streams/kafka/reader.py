"""Read topics from tools and tests: no consumer group, no commits, bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from encoders.errors import BrokerError, BrokerUnavailable
from streams.kafka.connection import connect, open_admin, translated
from streams.kafka.topics import is_demo_broker
from streams.settings import KafkaSettings

POLL_MS = 200
FETCH_BYTES = 4 * 1024 * 1024
SILENCE_SECONDS = 30.0


class Record(NamedTuple):
    """One message as it lies in Kafka; ``topic`` has no prefix, ``timestamp_ms`` since 1970-01-01 UTC."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


def read(
    settings: KafkaSettings, *topics: str, latest: bool = False, seconds: float | None = None
) -> Iterator[Record]:
    """The messages of topics (named without prefix); in order within a partition, not across.

    Without ``seconds``: from the beginning to the ends as they are at the call. With ``seconds``: for so
    long, and with ``latest`` only what comes after the call.

    Raises ``BrokerError`` where a topic is missing and ``BrokerUnavailable`` where the broker goes silent
    before the end.
    """
    consumer = _consumer(settings)
    try:
        with translated(settings):
            partitions = _assign(consumer, [settings.topic_prefix + topic for topic in topics])
            ends = {} if seconds is not None else consumer.end_offsets(partitions)
            (consumer.seek_to_end if latest else consumer.seek_to_beginning)(*partitions)
            # A seek is lazy: asked for now, so that "latest" is the moment of the call.
            for partition in partitions:
                consumer.position(partition)
    except BaseException:
        consumer.close()
        raise
    return _records(consumer, settings, ends, seconds)


def read_between(settings: KafkaSettings, *topics: str, from_ms: int, until_ms: int) -> Iterator[Record]:
    """The messages whose time on Kafka is ``from_ms`` or later and before ``until_ms``.

    Only that part is read, found by Kafka's index of times. Raises as ``read``.
    """
    consumer = _consumer(settings)
    try:
        with translated(settings):
            partitions = _assign(consumer, [settings.topic_prefix + topic for topic in topics])
            ends = _seek_between(consumer, settings, partitions, from_ms, until_ms)
    except BaseException:
        consumer.close()
        raise
    for record in _records(consumer, settings, ends, None):
        if from_ms <= record.timestamp_ms < until_ms:
            yield record


def _seek_between(
    consumer: KafkaConsumer,
    settings: KafkaSettings,
    partitions: list[TopicPartition],
    from_ms: int,
    until_ms: int,
) -> dict[TopicPartition, int]:
    """Go to the first message of the window in each partition; returns where it ends in each."""
    last = consumer.end_offsets(partitions)
    starts = consumer.offsets_for_times(dict.fromkeys(partitions, from_ms))
    stops = consumer.offsets_for_times(dict.fromkeys(partitions, until_ms))
    ends: dict[TopicPartition, int] = {
        one: found.offset if (found := stops[one]) else last[one] for one in partitions
    }
    # Then all is read, and the window kept.
    if not any(starts.values()) and _knows_no_times(settings):
        consumer.seek_to_beginning(*partitions)
        return ends
    for one in partitions:
        found = starts[one]
        consumer.seek(one, found.offset if found else last[one])
    return ends


def _knows_no_times(settings: KafkaSettings) -> bool:
    """So it is with the demo broker."""
    with open_admin(settings) as admin:
        return is_demo_broker(admin)


def _records(
    consumer: KafkaConsumer, settings: KafkaSettings, ends: dict[TopicPartition, int], seconds: float | None
) -> Iterator[Record]:
    strip = len(settings.topic_prefix)
    with closing(consumer), translated(settings):
        for message in _poll(consumer, ends, seconds):
            yield _record(message, strip)


def _consumer(settings: KafkaSettings) -> KafkaConsumer:
    return connect(
        KafkaConsumer,
        settings,
        group_id=None,
        enable_auto_commit=False,
        max_poll_records=5_000,
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_wait_ms=POLL_MS,
    )


def _assign(consumer: KafkaConsumer, names: list[str]) -> list[TopicPartition]:
    partitions = []
    for name in names:
        numbers = consumer.partitions_for_topic(name)
        if not numbers:
            raise BrokerError(f"there is no topic {name}: run `freshet topics create`")
        partitions += [TopicPartition(name, number) for number in sorted(numbers)]
    consumer.assign(partitions)
    return partitions


def _poll(consumer: KafkaConsumer, ends: dict[TopicPartition, int], seconds: float | None) -> Iterator[Any]:
    """Messages until every position has reached its end, or until the time is over."""
    started = heard = time.monotonic()
    while _at_work(consumer, ends, seconds, started):
        batches = consumer.poll(POLL_MS)
        if batches:
            heard = time.monotonic()
        elif ends and time.monotonic() - heard > SILENCE_SECONDS:
            raise BrokerUnavailable(
                f"Kafka has been silent for {SILENCE_SECONDS:.0f} s before the end of a topic"
            )
        for messages in batches.values():
            yield from messages


def _at_work(
    consumer: KafkaConsumer, ends: dict[TopicPartition, int], seconds: float | None, started: float
) -> bool:
    if seconds is not None:
        return time.monotonic() - started < seconds
    # By position, not by the last message's offset: compaction leaves gaps, at the end too.
    return any(consumer.position(partition) < end for partition, end in ends.items())


def _record(message: Any, strip: int) -> Record:
    return Record(
        message.topic[strip:],
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple(message.headers),
        message.timestamp,
    )
