"""The yardstick: a Faust agent that takes the same raw bytes off the same topics and does nothing with them.

A process of its own (``python -m streams.bench.empty_agent EVENTS``), set up by the worker's environment
variables; it prints one JSON object when it has taken ``EVENTS`` events, and waits to be ended.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import faust
import mode.loop
import msgspec

from streams.faust_app import make_app
from streams.logs import configure_logging, logging_config
from streams.settings import Settings, load_settings
from streams.topology import RAW


class EmptyFigures(msgspec.Struct, frozen=True):
    """What doing nothing costs; CPU in microseconds an event."""

    events_per_second: float
    cpu_us_per_event: float


class Tally:
    """Counts events; neither the start nor the first batch, which came with it, is in the figures."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._first = 0
        self._count = 0
        self._began = self._cpu = 0.0

    def add(self, events: int) -> EmptyFigures | None:
        """Count a batch; returns the figures with the last one."""
        self._count += events
        if not self._first:
            self._first, self._began, self._cpu = self._count, time.monotonic(), time.process_time()
        timed = self._count - self._first
        if self._count < self._expected or not timed:
            return None
        seconds, cpu = time.monotonic() - self._began, time.process_time() - self._cpu
        return EmptyFigures(round(timed / seconds, 1), round(cpu / timed * 1e6, 1))


def run(settings: Settings, expected: int) -> None:
    """Consume until the process is ended."""
    mode.loop.use("uvloop")
    app = make_app(settings)
    prefix, batch = settings.kafka.topic_prefix, settings.batch
    tally = Tally(expected)

    @app.agent(app.topic(f"{prefix}clicks", f"{prefix}purchases", **RAW), name="empty")  # type: ignore[untyped-decorator]
    async def empty(stream: Any) -> None:
        async for events in stream.noack_take(batch.max_events, within=batch.linger_seconds):
            for event in events:
                event.ack()
            if figures := tally.add(len(events)):
                print(msgspec.json.encode(figures).decode(), flush=True)

    log = settings.log
    faust.Worker(
        app, loglevel=log.level, logging_config=logging_config(log), redirect_stdouts=False
    ).execute_from_commandline()


if __name__ == "__main__":
    loaded = load_settings()
    configure_logging(loaded.log)
    run(loaded, int(sys.argv[1]))
