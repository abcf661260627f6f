"""A publisher that remembers what it was given, and can be told to fail."""

from __future__ import annotations

from collections.abc import Sequence

from encoders.errors import BrokerUnavailable
from exporters.publisher import Outgoing


class RecordingPublisher:
    """Keeps every delivered message; ``fail`` makes a coming call fail, before or after delivery."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.delivered: list[Outgoing] = []
        self.log: list[str] = [] if log is None else log
        self._faults: dict[int, bool] = {}
        self._calls = 0
        self.partition_count = 2

    def fail(self, call: int = 1, delivered: bool = False) -> None:
        """The ``call``-th call from now on raises ``BrokerUnavailable``, once."""
        self._faults[self._calls + call] = delivered

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to disconnect from."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Deliver all, or raise as told."""
        self._calls += 1
        delivered = self._faults.pop(self._calls, None)
        if delivered is not False:
            self.delivered.extend(messages)
            self.log.extend(f"publish {topic}" for topic in sorted({one.topic for one in messages}))
        if delivered is not None:
            raise BrokerUnavailable("told to fail")

    async def partitions(self, topic: str) -> int:
        """As many as a test says."""
        return self.partition_count

    def on(self, topic: str) -> list[Outgoing]:
        """What was delivered to a topic, in order."""
        return [one for one in self.delivered if one.topic == topic]
