"""The port to the output topics and its Kafka adapter: published means every delivery is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from encoders.errors import BrokerUnavailable

Headers = Sequence[tuple[str, bytes | None]]
"""Name and value; Kafka knows a header without a value."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish; ``topic`` without its prefix."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    """``None``: that of the key."""


class Publisher(Protocol):
    """Where recommendations, evidence and dead letters leave."""

    async def start(self) -> None:
        """Connect; raises ``BrokerUnavailable``."""

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Return when every message is acknowledged; raise ``BrokerUnavailable`` when one may be missing."""

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic (without prefix) has; raises ``BrokerUnavailable``."""


class KafkaPublisher:
    """Publishes with aiokafka, whose producer sends batches: Faust's own sends cost 190 µs a message.

    ``options`` are aiokafka's connection settings. Messages of one key stay in order (idempotent producer,
    ``acks=all``); a message that was not acknowledged within ``timeout_seconds`` counts as missing.
    """

    def __init__(self, options: Mapping[str, Any], prefix: str = "", timeout_seconds: float = 30.0) -> None:
        self._options = dict(options)
        self._prefix = prefix
        self._timeout = timeout_seconds
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; raises ``BrokerUnavailable``."""
        self._producer = AIOKafkaProducer(
            **self._options,
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            max_batch_size=262_144,
            request_timeout_ms=int(self._timeout * 1000),
        )
        try:
            await self._producer.start()
        except (KafkaError, OSError) as error:
            await self.stop()
            raise BrokerUnavailable(f"cannot publish to Kafka: {error}") from None

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publish and await every delivery; see :class:`Publisher`."""
        if not messages:
            return
        producer = self._producer
        if producer is None:
            raise BrokerUnavailable("the publisher is not connected")
        try:
            deliveries = [
                await producer.send(
                    self._prefix + one.topic,
                    value=one.value,
                    key=one.key,
                    partition=one.partition,
                    headers=list(one.headers),
                )
                for one in messages
            ]
            await asyncio.wait_for(asyncio.gather(*deliveries), self._timeout + 5.0)
        except (KafkaError, OSError, TimeoutError) as error:
            raise BrokerUnavailable(f"not every message was delivered: {error!r}") from None

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; asks the broker once."""
        producer = self._producer
        if producer is None:
            raise BrokerUnavailable("the publisher is not connected")
        try:
            return len(await asyncio.wait_for(producer.partitions_for(self._prefix + topic), self._timeout))
        except (KafkaError, OSError, TimeoutError) as error:
            raise BrokerUnavailable(f"cannot ask Kafka about {self._prefix}{topic}: {error!r}") from None
