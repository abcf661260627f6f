"""The way of the data, on one page.

    items      ──► catalog agent  ──► text tower, item tower ──► Qdrant items-<version>
    clicks     ─┐
                ├► interest agent ──► user tower step ─────────► Qdrant users-<version>
    purchases  ─┘        ├──► candidates, ranked, ruled ───────► topic recommendations
                         └──► who else turned to what ─────────► topic evidence ─┐
    evidence agent ◄── by item ──────────────────────────────────────────────────┘
          └──► neighbours and popularity of items ─────────────► Qdrant evidence
    every worker ── what it saw of its events ─► topic drift-summaries ──► drift agent (one of all workers)
          └──► shift of users, items or accuracy ──────────────► topic training-requests
    topic model-releases ──► every worker: the released model takes over between two batches
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
    """Attach the agents to the app."""
    prefix = settings.kafka.topic_prefix
    batch, gathered = settings.batch, settings.evidence

    @app.agent(app.topic(f"{prefix}items", **RAW), name="catalog")
    async def catalog(stream: Any) -> None:
        take = stream.noack_take(batch.max_events, within=batch.linger_seconds)
        await consume(take, parts.catalog.process, "catalog", parts, settings)

    @app.agent(app.topic(f"{prefix}clicks", f"{prefix}purchases", **RAW), name="interest")
    async def interest(stream: Any) -> None:
        await parts.gate.wait()
        take = stream.noack_take(batch.max_events, within=batch.linger_seconds)
        await consume(take, parts.interest.process, "interest", parts, settings)

    if settings.ranking.two_stage:

        @app.agent(app.topic(f"{prefix}evidence", **RAW), name="evidence")
        async def evidence(stream: Any) -> None:
            await parts.gate.wait()
            take = stream.noack_take(gathered.max_messages, within=gathered.linger_seconds)
            await consume(take, parts.evidence.process, "evidence", parts, settings)

    drift_pipeline = parts.drift
    if drift_pipeline is not None:

        @app.agent(app.topic(f"{prefix}drift-summaries", **RAW), name="drift")
        async def drift(stream: Any) -> None:
            take = stream.noack_take(batch.max_events, within=1.0)
            await consume(take, drift_pipeline.process, "drift", parts, settings)
