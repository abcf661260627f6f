"""Send events from tools, replays and benchmarks: synchronous, bounded, and sure of every delivery."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Self

from kafka import KafkaProducer

from encoders.errors import BrokerUnavailable
from streams.kafka.connection import connect, translated
from streams.settings import KafkaSettings

LINGER_MS = 5
BATCH_BYTES = 128 * 1024
LARGEST_MESSAGE_BYTES = 3 * 1024 * 1024 + 65_536
FLUSH_SECONDS = 60.0


class EventProducer:
    """Sends to Freshet's topics, named without their prefix; idempotent, acknowledged by all replicas.

    kafka-python buffers without bound: here ``send`` waits where ``max_unconfirmed`` messages await their
    delivery. A context manager: leaving it without an error flushes. For one thread.
    """

    def __init__(
        self, settings: KafkaSettings, *, max_unconfirmed: int = 10_000, delivery_seconds: float = 30.0
    ) -> None:
        self.sent = 0
        self.delivered = 0
        self._settings = settings
        self._max_unconfirmed = max_unconfirmed
        self._delivery_seconds = delivery_seconds
        self._unconfirmed: deque[Any] = deque()
        self._producer = connect(
            KafkaProducer,
            settings,
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            batch_size=BATCH_BYTES,
            max_request_size=LARGEST_MESSAGE_BYTES,
            max_block_ms=int(delivery_seconds * 1000),
            request_timeout_ms=min(10_000, int(delivery_seconds * 500)),
            delivery_timeout_ms=int(delivery_seconds * 1000),
        )

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        """Send one message; a ``None`` value is a tombstone. Returns before it is delivered.

        Raises ``BrokerUnavailable`` where an earlier message was not delivered in ``delivery_seconds``, and
        ``BrokerError`` for what Kafka refuses (a message too large, no such topic).
        """
        self._settle_oldest()
        name = self._settings.topic_prefix + topic
        # kafka-python sends no header without a value.
        sent_headers = [(header, b"" if text is None else text) for header, text in headers]
        with translated(self._settings):
            future = self._producer.send(
                name, value=value, key=key, headers=sent_headers, timestamp_ms=timestamp_ms
            )
        self.sent += 1
        self._unconfirmed.append(future)

    def flush(self, timeout: float = FLUSH_SECONDS) -> None:
        """Wait until all is delivered; ``BrokerUnavailable`` where it is not within ``timeout`` seconds."""
        with translated(self._settings):
            self._producer.flush(timeout)
        while self._unconfirmed:
            self._settle(self._unconfirmed.popleft())

    def close(self, timeout: float = 0.0) -> None:
        """Close the connections; what is not delivered within ``timeout`` seconds is given up."""
        self._producer.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()

    def _settle_oldest(self) -> None:
        unconfirmed = self._unconfirmed
        while unconfirmed and (unconfirmed[0].is_done or len(unconfirmed) >= self._max_unconfirmed):
            self._settle(unconfirmed.popleft())

    def _settle(self, future: Any) -> None:
        with translated(self._settings):
            if not future.is_done:
                # Past its own limit, so that Kafka's reason comes before our loss of patience.
                future.get(timeout=self._delivery_seconds + 1)
            if future.failed():
                open_ = self.sent - self.delivered
                servers = self._settings.bootstrap_servers
                raise BrokerUnavailable(
                    f"Kafka at {servers} did not confirm {open_} of {self.sent} messages: {future.exception}"
                )
        self.delivered += 1
