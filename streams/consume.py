"""The loop inside an agent: take a batch, carry it out, acknowledge it in order; or end the process.

An exception that left an agent's body would acknowledge the batch and lose it, so none leaves: a passing
outage is waited out, anything else ends the worker without acknowledging, and the next one reads the events
again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

from encoders.errors import BrokerUnavailable, StoreUnavailable
from streams.composition import Parts
from streams.fold_types import Received
from streams.logs import bound
from streams.places import ranges_of
from streams.settings import Settings

log = logging.getLogger(__name__)

EXIT_SOFTWARE = 70
EXIT_UNAVAILABLE = 69
EXIT_CONFIG = 78
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

Process = Callable[[Sequence[Received]], Awaitable[None]]


async def consume(take: Any, process: Process, agent: str, parts: Parts, settings: Settings) -> None:
    """Serve one agent until the worker stops; ``take`` gives lists of Faust's events."""
    prefix, batch = settings.kafka.topic_prefix, settings.batch
    async for events in take:
        messages = [received(event.message, prefix) for event in events]
        await carry_out(process, messages, agent, parts, batch.outage_seconds)
        for event in events:
            event.ack()
        parts.progress.acknowledged(((one.topic, one.partition), one.offset) for one in messages)


async def carry_out(
    process: Process, messages: Sequence[Received], agent: str, parts: Parts, outage_seconds: float
) -> None:
    """Repeat a batch until it is done; after ``outage_seconds`` of outage, or a fault, end the process."""
    with bound(agent=agent, batch=ranges_of(messages)), parts.serving.tracer.batch(agent, messages):
        await _until_done(process, messages, agent, parts, outage_seconds)


async def _until_done(
    process: Process, messages: Sequence[Received], agent: str, parts: Parts, outage_seconds: float
) -> None:
    began, pause = time.monotonic(), FIRST_PAUSE_SECONDS
    while True:
        try:
            return await process(messages)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except (StoreUnavailable, BrokerUnavailable) as error:
            if time.monotonic() - began > outage_seconds:
                die(f"{agent}: gave up after {outage_seconds:.0f} s: {error}", EXIT_UNAVAILABLE)
            log.warning("%s: %s; trying again in %.1f s", agent, error, pause)
            parts.serving.metrics.retries.labels(agent).inc()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        except BaseException:
            first = messages[0]
            log.exception("%s: batch from %s:%d:%d", agent, first.topic, first.partition, first.offset)
            die(f"{agent}: a fault that repeating cannot mend; nothing was acknowledged", EXIT_SOFTWARE)


def received(message: Any, prefix: str) -> Received:
    """Faust's message in our words; the topic without its prefix, the timestamp in milliseconds."""
    return Received(
        topic=message.topic.removeprefix(prefix),
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        timestamp_ms=int(message.timestamp * 1000),
        headers=tuple(message.headers or ()),
    )


def die(reason: str, exit_code: int) -> NoReturn:
    """End the process at once, loudly and without acknowledging anything."""
    log.critical("worker ends: %s", reason)
    logging.shutdown()
    os._exit(exit_code)
