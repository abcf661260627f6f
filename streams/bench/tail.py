"""A consumer of ``recommendations`` in a thread: who was refreshed, by which event, and when it arrived."""

from __future__ import annotations

import time
from contextlib import closing
from threading import Event, Thread
from typing import Any, Self

import msgspec
from kafka import KafkaConsumer, TopicPartition

from encoders.errors import BrokerError
from streams.bench.freshness import Arrived
from streams.kafka.connection import connect
from streams.settings import KafkaSettings

POLL_MS = 100
JOIN_SECONDS = 10.0


class _Trigger(msgspec.Struct):
    event_id: str


class _Recommendation(msgspec.Struct):
    """The part that is looked at; decoding the rest would take CPU from what is measured."""

    user_id: str
    trigger: _Trigger
    model_version: str


_decoder = msgspec.json.Decoder(_Recommendation)


class Tail:
    """Reads the topic from its beginning until the end of the ``with`` block; ``arrived`` grows meanwhile."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.arrived: list[Arrived] = []
        self._settings = settings
        self._stopped = Event()
        self._fault: BaseException | None = None
        self._thread = Thread(target=self._run, name="recommendations", daemon=True)

    def check(self) -> None:
        """Raise ``BrokerError`` where reading has failed."""
        if self._fault is not None:
            raise BrokerError(f"recommendations cannot be read: {self._fault}") from self._fault

    def _run(self) -> None:
        try:
            with closing(
                connect(
                    KafkaConsumer,
                    self._settings,
                    group_id=None,
                    enable_auto_commit=False,
                    max_poll_records=5_000,
                )
            ) as consumer:
                self._read(consumer)
        except Exception as error:
            self._fault = error

    def _read(self, consumer: Any) -> None:
        topic = self._settings.topic_prefix + "recommendations"
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        while not self._stopped.is_set():
            batches = consumer.poll(POLL_MS)
            now = time.monotonic()
            for messages in batches.values():
                for message in messages:
                    seen = _decoder.decode(message.value)
                    self.arrived.append(Arrived(seen.user_id, seen.trigger.event_id, now, seen.model_version))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._thread.join(JOIN_SECONDS)
