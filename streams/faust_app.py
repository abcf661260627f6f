"""Faust, set up so that nothing is lost: a consumer that starts where it should, no web server.

Everything here answers a behaviour of faust-streaming 0.15.3; ``docs/topology.md`` lists them.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import faust
from faust.sensors import Monitor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.kafka.connection import faust_broker, faust_credentials
from streams.settings import Settings

FETCH_WAIT_MS = 50
"""How long a broker may hold a fetch that finds nothing. Faust asks for 1,500 ms, and the demo broker
waits that out even when messages arrive meanwhile."""


class PromptThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread, with a shorter wait for a fetch."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class StartAtBeginning(driver.Consumer):  # type: ignore[misc]
    """A consumer whose partitions without a commit begin at their first message.

    Left alone, a fresh group whose first assignment is rebalanced begins some partitions where the first
    assignment's fetches had come to: events in between are lost.
    """

    def _new_consumer_thread(self) -> PromptThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition to its committed offset, or else to its beginning."""
        committed: Mapping[TP, int] = await super().seek_to_committed()
        consumer = self._thread._ensure_consumer()
        fresh = [tp for tp in consumer.assignment() if committed.get(tp) is None]
        if fresh:
            await self._thread.call_thread(consumer.seek_to_beginning, *fresh)
        return committed


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with :class:`StartAtBeginning`."""

    Consumer = StartAtBeginning


class SilentMonitor(Monitor):  # type: ignore[misc]
    """Faust's monitor without its work for each message: Freshet keeps its own metrics, a batch at a time."""

    def on_message_in(self, *args: Any, **kwargs: Any) -> None:
        """Count nothing."""

    def on_stream_event_in(self, *args: Any, **kwargs: Any) -> None:
        """Count nothing."""

    def on_stream_event_out(self, *args: Any, **kwargs: Any) -> None:
        """Count nothing."""

    def on_message_out(self, *args: Any, **kwargs: Any) -> None:
        """Count nothing."""


def _scratch_folder() -> str:
    """A folder that Faust insists on and Freshet's worker never fills; gone when the process ends."""
    folder = tempfile.mkdtemp(prefix="freshet-faust-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def make_app(settings: Settings) -> faust.App:
    """An app that only consumes: topics are made elsewhere, publishing and HTTP are Freshet's own."""
    kafka = settings.kafka
    session = kafka.session_timeout_seconds
    app = faust.App(
        kafka.group_id,
        broker=faust_broker(kafka),
        broker_credentials=faust_credentials(kafka),
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 3,
        broker_request_timeout=max(30.0, session),
        broker_max_poll_interval=10 * settings.batch.outage_seconds,
        broker_commit_interval=0.5,
        broker_commit_every=10_000,
        consumer_auto_offset_reset="earliest",
        producer_request_timeout=30.0,
        stream_wait_empty=False,
        stream_buffer_maxsize=8 * settings.batch.max_events,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
        datadir=_scratch_folder(),
        Monitor=SilentMonitor,
    )
    app.transport = Transport(app.conf.broker_consumer, app)
    return app
