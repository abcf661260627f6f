"""How far the workers' consumer group has come, seen from outside: commits against the topics' ends."""

from __future__ import annotations

from contextlib import closing
from types import TracebackType
from typing import Self

from kafka import KafkaConsumer, TopicPartition

from encoders.errors import BrokerError
from streams.kafka.connection import connect, translated
from streams.settings import KafkaSettings


class GroupPosition:
    """Watches the group without joining it. A context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer = connect(
            KafkaConsumer, settings, group_id=settings.group_id, enable_auto_commit=False
        )
        self._partitions: dict[str, list[TopicPartition]] = {}

    def ends(self, topic: str) -> int:
        """Messages ever written to a topic (its partitions' end offsets, summed)."""
        with translated(self._settings):
            return int(sum(self._consumer.end_offsets(self._partitions_of(topic)).values()))

    def lag(self, topic: str) -> int:
        """Messages of a topic (without prefix) that the group has not committed yet."""
        partitions = self._partitions_of(topic)
        with translated(self._settings):
            ends = self._consumer.end_offsets(partitions)
            starts = self._consumer.beginning_offsets(partitions)
            committed = {one: self._consumer.committed(one) for one in partitions}
        return sum(max(0, ends[one] - (committed[one] or starts[one])) for one in partitions)

    def _partitions_of(self, topic: str) -> list[TopicPartition]:
        """Raises ``BrokerError`` where there is no such topic."""
        if topic not in self._partitions:
            name = self._settings.topic_prefix + topic
            with translated(self._settings):
                numbers = self._consumer.partitions_for_topic(name)
            if not numbers:
                raise BrokerError(f"there is no topic {name}: run `freshet topics create`")
            self._partitions[topic] = [TopicPartition(name, number) for number in sorted(numbers)]
        return self._partitions[topic]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with closing(self._consumer):
            pass
