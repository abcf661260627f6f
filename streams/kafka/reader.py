"""Read topics from tools and tests: no consumer group, no commits, bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from encoders.errors import BrokerError, BrokerUnavailable
from streams.kafka.connection import connect, translated
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
