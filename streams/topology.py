"""The way of the data, on one page.

    items      ──► catalog agent  ──► text tower, item tower ──► Qdrant items-<version>
    clicks     ─┐
                ├► interest agent ──► user tower step ─────────► Qdrant users-<version>
    purchases  ─┘        └──► nearest items, minus seen and bought ──► topic recommendations
    anything unreadable ──► topic dead-letters (the bytes unchanged, the reason in headers)

Each agent takes micro-batches of raw bytes, hands them to a pipeline that returns when everything is durable
and delivered, and then acknowledges them in order. ``clicks`` and ``purchases`` share one agent, are keyed by
user and have equal partition counts: so one worker owns a user.
"""

from __future__ import annotations

from typing import Any

import faust

from streams.composition import Parts
from streams.consume import consume
from streams.settings import Settings

RAW = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}
"""Typed decoding would crash the agent on a bad message, and a tombstone would end it without a word."""


def define_agents(app: faust.App, parts: Parts, settings: Settings) -> None:
    """Attach the two agents to the app."""
    prefix = settings.kafka.topic_prefix

    @app.agent(app.topic(f"{prefix}items", **RAW), name="catalog")
    async def catalog(stream: Any) -> None:
        await consume(stream, parts.catalog.process, "catalog", parts, settings)

    @app.agent(app.topic(f"{prefix}clicks", f"{prefix}purchases", **RAW), name="interest")
    async def interest(stream: Any) -> None:
        await parts.gate.wait()
        await consume(stream, parts.interest.process, "interest", parts, settings)
