"""Training requests with a lease: a model is a key, a key is a partition, a partition has one trainer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from encoders.errors import BrokerError
from streams.fold_types import Received
from streams.kafka.connection import connect, translated
from streams.settings import KafkaSettings

TOPIC = "training-requests"
POLL_MS = 500


class Lease:
    """A member of the trainers' consumer group; for one thread.

    While a request is worked on, everything is paused and ``held`` is called every few seconds: the group
    takes a member that does not poll for dead. Nothing is committed but by ``done``.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._name = settings.topic_prefix + TOPIC
        session_ms = int(settings.session_timeout_seconds * 1000)
        self._consumer = connect(
            KafkaConsumer,
            settings,
            group_id=f"{settings.group_id}-trainer",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=1,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 3,
            # A trainer that joins must not take a model away from one that is at work on it.
            partition_assignment_strategy=[StickyPartitionAssignor],
        )
        self._consumer.subscribe([self._name])

    def next(self) -> Received | None:
        """The next request that nobody has done; ``None`` where there is none within half a second."""
        with translated(self._settings):
            self._consumer.resume(*self._consumer.paused())
            for messages in self._consumer.poll(POLL_MS, max_records=1).values():
                return self._received(messages[0])
        return None

    def held(self, received: Received) -> bool:
        """Stay in the group; whether the request's partition is still this trainer's."""
        with translated(self._settings):
            self._consumer.pause(*self._consumer.assignment())
            # After a rebalance what is new is not paused yet: it is put back.
            for partition, messages in self._consumer.poll(POLL_MS, max_records=1).items():
                self._consumer.seek(partition, messages[0].offset)
            return self._partition(received) in self._consumer.assignment()

    def done(self, received: Received) -> None:
        """Never give this request out again; raises ``BrokerError`` where the lease was lost."""
        partition, after = self._partition(received), received.offset + 1
        with translated(self._settings):
            if partition not in self._consumer.assignment():
                raise BrokerError(f"{partition.topic} {partition.partition} belongs to another trainer now")
            self._consumer.commit({partition: OffsetAndMetadata(after, "", -1)})
            self._consumer.seek(partition, after)

    def again(self, received: Received) -> None:
        """Give the request out again, where it is still this trainer's."""
        partition = self._partition(received)
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, received.offset)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _partition(self, received: Received) -> TopicPartition:
        return TopicPartition(self._name, received.partition)

    @staticmethod
    def _received(message: Any) -> Received:
        return Received(
            TOPIC, message.partition, message.offset, message.key, message.value, message.timestamp
        )


@contextmanager
def open_lease(settings: KafkaSettings) -> Iterator[Lease]:
    """Join the group, and leave it at the end; raises ``BrokerUnavailable``."""
    lease = Lease(settings)
    try:
        yield lease
    finally:
        lease.close()
