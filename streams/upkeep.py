"""What a worker does besides its batches: publisher and HTTP up and down, refreshes, the watchdog."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import Any

import faust
from faust.types import TP
from mode import Service

from encoders.errors import BrokerError, FreshetError, StoreUnavailable
from streams.composition import Parts
from streams.consume import EXIT_CONFIG, EXIT_SOFTWARE, die
from streams.http_server import HttpServer
from streams.pipeline import EVENT_TYPES
from streams.progress import Source
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
        self._http = HttpServer(
            listener, parts.serving.metrics, self.ready_reasons, parts.api, parts.serving.tracer
        )
        self._assigned = False
        self._faults: dict[str, str] = {}
        self._begin = True
        app.on_partitions_assigned.connect(self._on_assigned)
        app.on_partitions_revoked.connect(self._on_revoked)

    async def on_start(self) -> None:
        """Connect the publisher and open the port."""
        await self._parts.publisher.start()
        self._parts.releases.start()
        await self._http.start()

    async def on_stop(self) -> None:
        """Let the batch at work finish, write what is held, close everything."""
        await self._http.stop()
        await self._parts.changeover.stop()
        try:
            await self._parts.interest.flush()
        except FreshetError as error:
            log.warning("trending counts of the last second are lost: %s", error)
        await self._parts.publisher.stop()
        await asyncio.to_thread(self._parts.executor.shutdown)
        await asyncio.to_thread(self._parts.serving.store.close)
        await asyncio.to_thread(self._parts.serving.tracer.close)

    def ready_reasons(self) -> list[str]:
        """Why the worker cannot serve yet; empty when it can."""
        reasons = []
        if not self._assigned or self._begin:
            reasons.append("partitions: none assigned yet")
        if not self._parts.gate.is_open:
            reasons.append("catalogue: items are being stored")
        return reasons + [f"cannot {what}: {fault}" for what, fault in self._faults.items()]

    @Service.task
    async def _tick(self) -> None:
        while not self.should_stop:
            await self.sleep(TICK_SECONDS)
            await self._try("refresh the catalogue", asyncio.to_thread(self._refresh))
            if self._assigned and self._begin:
                await self._try("take over the partitions", self._take_over())
            await self._try("release waiting events", self._parts.interest.release())
            if self._parts.reporter is not None:
                await self._try("tell what was noted of drift", self._parts.reporter.report())
            await self._try("measure the lag", self._measure())

    @Service.task
    async def _follow_releases(self) -> None:
        """Beside the other duties: none of them delays a swap, and a swap none of them."""
        while not self.should_stop:
            await self.sleep(TICK_SECONDS)
            await self._try("look for a release", self._parts.changeover.look())

    def _refresh(self) -> None:
        self._parts.serving.store.ping()
        self._parts.serving.replica.refresh()
        # Not those that are being loaded: they are read when they are filled.
        if self._parts.serving.challenger is not None:
            self._parts.serving.challenger.generation.replica.refresh()
        self._parts.serving.metrics.known_items.set(len(self._parts.serving.replica))

    async def _try(self, what: str, work: Any) -> None:
        """A passing outage is noted and tried again at the next tick; anything else ends the worker."""
        try:
            await work
            self._faults.pop(what, None)
        except (StoreUnavailable, BrokerError) as error:
            self._faults[what] = str(error)
            log.warning("cannot %s: %s", what, error)
        except Exception:
            # Faust stops the consumer first: what asks it then fails, and that is no fault.
            if self.should_stop or self._app.should_stop:
                return
            log.exception("cannot %s", what)
            die(f"a fault that repeating cannot mend, while trying to {what}", EXIT_SOFTWARE)

    async def _on_assigned(self, app: faust.App, assigned: set[TP], **kwargs: Any) -> None:
        self._begin = True
        self._assigned = True
        log.info("assigned %d partitions of %d topics", len(assigned), len({tp.topic for tp in assigned}))

    async def _on_revoked(self, app: faust.App, revoked: set[TP], **kwargs: Any) -> None:
        self._assigned = False

    async def _take_over(self) -> None:
        """Begin with what Kafka and the store say of the partitions that are this worker's now.

        A second later than the first event, perhaps: until then a compare-and-swap keeps states right.
        """
        consumer = self._app.consumer
        owned = sorted(consumer.assignment())
        partitions = {tp.partition for tp in owned if self._source(tp)[0] in EVENT_TYPES}
        counted = await self._parts.interest.partitions_moved(partitions)
        await self._parts.evidence.partitions_moved()
        if self._parts.drift is not None:
            await self._parts.drift.partitions_moved()
        ends = await consumer.highwaters(*owned)
        self._refuse_new_topics(counted, {self._source(tp): end or 0 for tp, end in ends.items()})
        committed = consumer._committed_offset
        self._parts.progress.begin({self._source(tp): committed.get(tp) or 0 for tp in owned})
        # Unless partitions moved meanwhile: then this was the takeover of what is gone already.
        self._begin = consumer.assignment() != set(owned)

    def _refuse_new_topics(self, counted: dict[Source, int], ends: dict[Source, int]) -> None:
        """Offsets that were applied but do not exist: every new event would be taken for an old one."""
        for source, offset in counted.items():
            if offset >= ends.get(source, offset + 1):
                topic, partition = source
                die(
                    f"{topic} {partition} ends at {ends[source]}, but offset {offset} was applied before:"
                    " the topic was made anew; raise FRESHET_KAFKA__SOURCE_EPOCH by one, or use a new store",
                    EXIT_CONFIG,
                )

    async def _measure(self) -> None:
        """Lag of every partition; opens the gate at the start, and ends a worker that stalls."""
        consumer, progress = self._app.consumer, self._parts.progress
        owned = sorted(consumer.assignment())
        if not owned:
            self._parts.serving.metrics.lag.clear()
        if self._begin or not owned:
            return
        ends = await consumer.highwaters(*owned)
        lag = progress.lag({self._source(tp): end or 0 for tp, end in ends.items()})
        # Partitions that are another worker's now are not counted here.
        self._parts.serving.metrics.lag.clear()
        for (topic, partition), behind in lag.items():
            self._parts.serving.metrics.lag.labels(topic, partition).set(behind)
        quiet = time.monotonic() - progress.moved_at
        self._parts.gate.look(sum(n for (topic, _), n in lag.items() if topic == "items"), quiet)
        # A stalled consumer tells nobody: no error, only lag that stays.
        if any(lag.values()) and quiet > self._settings.batch.stall_seconds:
            die(f"{sum(lag.values())} events behind and no progress for {quiet:.0f} s", EXIT_SOFTWARE)

    def _source(self, tp: TP) -> Source:
        return tp.topic.removeprefix(self._settings.kafka.topic_prefix), tp.partition
