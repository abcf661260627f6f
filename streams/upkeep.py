"""What a worker does besides its batches: publisher and HTTP up and down, refreshes, the watchdog."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import Any

import faust
from mode import Service

from encoders.errors import BrokerError, FreshetError, StoreUnavailable
from streams.composition import Parts
from streams.consume import EXIT_SOFTWARE, die
from streams.http_server import HttpServer
from streams.settings import Settings

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class Upkeep(Service):  # type: ignore[misc]
    """Runs beside the agents. ``ready_reasons`` tells what the worker still waits for."""

    def __init__(self, app: faust.App, parts: Parts, settings: Settings, listener: socket.socket) -> None:
        super().__init__()
        self._app = app
        self._parts = parts
        self._settings = settings
        self._http = HttpServer(listener, parts.serving.metrics, self.ready_reasons)
        self._assigned = False
        self._store_fault = ""
        self._lag_since = time.monotonic()
        app.on_partitions_assigned.connect(self._on_assigned)
        app.on_partitions_revoked.connect(self._on_revoked)

    async def on_start(self) -> None:
        """Connect the publisher and open the port."""
        await self._parts.publisher.start()
        await self._http.start()

    async def on_stop(self) -> None:
        """Let the batch at work finish, write what is held, close everything."""
        await self._http.stop()
        try:
            await self._parts.interest.flush()
        except FreshetError as error:
            log.warning("trending counts of the last second are lost: %s", error)
        await self._parts.publisher.stop()
        await asyncio.to_thread(self._parts.executor.shutdown)
        await asyncio.to_thread(self._parts.serving.store.close)

    def ready_reasons(self) -> list[str]:
        """Why the worker cannot serve yet; empty when it can."""
        reasons = []
        if not self._assigned:
            reasons.append("partitions: none assigned yet")
        if self._store_fault:
            reasons.append(f"store: {self._store_fault}")
        return reasons

    @Service.task
    async def _tick(self) -> None:
        while not self.should_stop:
            await self.sleep(TICK_SECONDS)
            await self._try("refresh the catalogue", asyncio.to_thread(self._refresh))
            await self._try("release waiting events", self._parts.interest.release())
            self._watch()

    def _refresh(self) -> None:
        self._parts.serving.store.ping()
        self._parts.serving.replica.refresh()
        self._parts.serving.metrics.known_items.set(len(self._parts.serving.replica))

    async def _try(self, what: str, work: Any) -> None:
        """A passing outage is noted and tried again at the next tick; anything else ends the worker."""
        try:
            await work
        except (StoreUnavailable, BrokerError) as error:
            self._store_fault = str(error)
            log.warning("cannot %s: %s", what, error)
        except Exception:
            log.exception("cannot %s", what)
            die(f"a fault that repeating cannot mend, while trying to {what}", EXIT_SOFTWARE)
        else:
            self._store_fault = ""

    async def _on_assigned(self, app: faust.App, assigned: set[Any], **kwargs: Any) -> None:
        prefix = self._settings.kafka.topic_prefix
        partitions = {tp.partition for tp in assigned if tp.topic != f"{prefix}items"}
        await self._parts.interest.partitions_moved(partitions)
        self._assigned = True
        self._lag_since = time.monotonic()
        log.info("assigned %d partitions of %d topics", len(assigned), len({tp.topic for tp in assigned}))

    async def _on_revoked(self, app: faust.App, revoked: set[Any], **kwargs: Any) -> None:
        self._assigned = False

    def _watch(self) -> None:
        """End a worker that has lag and makes no progress: a stalled consumer tells nobody."""
        lag = self._measure_lag()
        now = time.monotonic()
        if lag == 0:
            self._lag_since = now
        progress = max([self._lag_since, *self._parts.progress.marks.values()])
        if now - progress > self._settings.batch.stall_seconds:
            die(f"{lag} events behind and no progress for {now - progress:.0f} s", EXIT_SOFTWARE)

    def _measure_lag(self) -> int:
        """Messages on Kafka that are not acknowledged, over all partitions of this worker."""
        consumer, prefix = self._app.consumer, self._settings.kafka.topic_prefix
        total = 0
        for tp in consumer.assignment():
            end = consumer.highwater(tp)
            done = consumer._committed_offset.get(tp) or consumer._read_offset.get(tp) or 0
            lag = max(0, (end or 0) - done)
            self._parts.serving.metrics.lag.labels(tp.topic.removeprefix(prefix), tp.partition).set(lag)
            total += lag
        return total
