"""What happens on the topics, followed in a thread: no group, no commits, begun anew after an outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event, Thread
from typing import Any, Literal

from kafka import KafkaConsumer, TopicPartition

from encoders.errors import BrokerError, BrokerUnavailable
from exporters.publisher import Headers
from streams.kafka.connection import check_reachable, connect, translated
from streams.settings import KafkaSettings

log = logging.getLogger(__name__)

CATALOGUE, EVENTS, LISTS = "items", ("clicks", "purchases"), "recommendations"
RECENT = 500
"""Events a partition that are read from the past: enough to know who was here lately."""
POLL_MS = 50
FETCH_WAIT_MS = 20
"""The demo broker may answer a fetch only after this wait, even when messages have come in between."""
FETCH_BYTES = 1024 * 1024
SILENT_SECONDS = 2.0
PAUSE_SECONDS = 1.0

State = Literal["connecting", "reading", "live", "down"]
Take = Callable[[str, bytes | None, bytes | None, Headers], None]
"""Called in the feed's thread with a message: topic (without prefix), key, value, headers."""


class Feed:
    """Follows items from their beginning, recent events, and recommendations from now on."""

    def __init__(self, settings: KafkaSettings, take: Take) -> None:
        self._settings = settings
        self._take = take
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="feed", daemon=True)
        self.state: State = "connecting"
        """``reading``: the catalogue, before it is ``live``."""
        self.fault = ""
        """What is wrong while the state is ``down``, a sentence."""

    def start(self) -> None:
        """Begin; returns at once, whether there is a broker or not."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns within a second or two."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(PAUSE_SECONDS + SILENT_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except BrokerError as error:
                self.state, self.fault = "down", str(error)
            except Exception:
                log.exception("the topics cannot be followed")
                self.state, self.fault = "down", "a fault while reading Kafka; the log says which"
            self._stopped.wait(PAUSE_SECONDS)

    def _follow(self) -> None:
        consumer = connect(
            KafkaConsumer,
            self._settings,
            group_id=None,
            enable_auto_commit=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        with closing(consumer), translated(self._settings):
            catalogue = self._begin(consumer)
            self.state, self.fault = "reading", ""
            strip = len(self._settings.topic_prefix)
            for message in self._messages(consumer):
                if message is not None:
                    self._take(message.topic[strip:], message.key, message.value, tuple(message.headers))
                elif self.state == "reading" and _reached(consumer, catalogue):
                    self.state = "live"

    def _begin(self, consumer: KafkaConsumer) -> dict[TopicPartition, int]:
        """Go to where each topic is to be read from; returns the ends of the catalogue."""
        items = _partitions(consumer, self._settings, CATALOGUE)
        events = [one for topic in EVENTS for one in _partitions(consumer, self._settings, topic)]
        lists = _partitions(consumer, self._settings, LISTS)
        consumer.assign([*items, *events, *lists])
        consumer.seek_to_beginning(*items)
        consumer.seek_to_end(*lists)
        first, last = consumer.beginning_offsets(events), consumer.end_offsets(events)
        for one in events:
            consumer.seek(one, max(first[one], last[one] - RECENT))
        ends: dict[TopicPartition, int] = consumer.end_offsets(items)
        for one in lists:
            consumer.position(one)  # A seek is lazy: "from now on" is now.
        return ends

    def _messages(self, consumer: KafkaConsumer) -> Iterator[Any]:
        """Messages, and ``None`` after each poll; raises ``BrokerUnavailable`` where the broker is gone."""
        heard = time.monotonic()
        while not self._stopped.is_set():
            batches = consumer.poll(POLL_MS)
            for messages in batches.values():
                yield from messages
            yield None
            if batches:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENT_SECONDS:
                check_reachable(self._settings)  # kafka-python is silent about a broker that has gone.
                heard = time.monotonic()


def _reached(consumer: KafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    return all(consumer.position(one) >= end for one, end in ends.items())


def _partitions(consumer: KafkaConsumer, settings: KafkaSettings, topic: str) -> list[TopicPartition]:
    name = settings.topic_prefix + topic
    numbers = consumer.partitions_for_topic(name)
    if not numbers:
        raise BrokerUnavailable(f"there is no topic {name} yet: start `freshet worker`, which makes it")
    return [TopicPartition(name, number) for number in sorted(numbers)]
