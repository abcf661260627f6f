"""Training requests with a lease: a model is a key, a key is a partition, a partition has one trainer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

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
            # Who joins leaves the others what they have; what moves is free only when its owner has let go.
            partition_assignment_strategy=[CooperativeStickyAssignor],
        )
        self._guards: dict[TopicPartition, Callable[[], None]] = {}
        self._consumer.subscribe([self._name], listener=_LettingGo(self._let_go))

    def next(self) -> Received | None:
        """The next request that nobody has done; ``None`` where there is none within half a second."""
        with translated(self._settings):
            self._consumer.resume(*self._consumer.paused())
            for messages in self._consumer.poll(POLL_MS, max_records=1).values():
                return self._received(messages[0])
        return None

    def held(self, received: Received, stop: Callable[[], None]) -> bool:
        """Stay in the group; whether the request's partition is still this trainer's.

        ``stop`` is called before the partition can become another's.
        """
        partition = self._partition(received)
        self._guards = {partition: stop}
        with translated(self._settings):
            self._consumer.pause(*self._consumer.assignment())
            # After a rebalance what is new is not paused yet: it is put back.
            for other, messages in self._consumer.poll(POLL_MS, max_records=1).items():
                self._consumer.seek(other, messages[0].offset)
        # Once stopped it is lost, even where the partition came back.
        return partition in self._guards and partition in self._consumer.assignment()

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

    def _let_go(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            if (stop := self._guards.pop(partition, None)) is not None:
                stop()

    def _partition(self, received: Received) -> TopicPartition:
        return TopicPartition(self._name, received.partition)

    @staticmethod
    def _received(message: Any) -> Received:
        return Received(
            TOPIC,
            message.partition,
            message.offset,
            message.key,
            message.value,
            message.timestamp,
            tuple(message.headers),
        )


class _LettingGo(ConsumerRebalanceListener):  # type: ignore[misc]
    """Calls back before partitions go to another member, or when they have gone."""

    def __init__(self, let_go: Callable[[Collection[TopicPartition]], None]) -> None:
        self._let_go = let_go

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Kafka waits for this."""
        self._let_go(revoked)

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        """This member was taken for dead."""
        self._let_go(lost)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """The next poll reads them."""


@contextmanager
def open_lease(settings: KafkaSettings) -> Iterator[Lease]:
    """Join the group, and leave it at the end; raises ``BrokerUnavailable``."""
    lease = Lease(settings)
    try:
        yield lease
    finally:
        lease.close()
