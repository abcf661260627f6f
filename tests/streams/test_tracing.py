"""From an event to its recommendation: which spans there are, and whose trace each message carries."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from encoders.errors import SettingsError
from streams.composition import Parts, open_tracer
from streams.consume import carry_out
from streams.fold_types import Received
from streams.http_server import traced as traced_requests
from streams.recommender import Stages
from streams.settings import Settings, TracingSettings, TrainerSettings
from streams.trainer.lease import Lease
from streams.trainer.metrics import TrainerMetrics
from streams.trainer.outcomes import Outcomes
from streams.trainer.progress import ProgressLog
from streams.trainer.trainer import Trainer
from streams.trainer.verdict import Verdict
from tests.fakes.kafka_messages import click, item, message, purchase
from tests.fakes.wired_worker import WiredWorker
from tests.support.traces import TRACE_ID, MemoryTracer, context_ids, trace_id_of, traceparent
from tests.support.trainers import request as training_request

BATCH = "process interest batch"
OTHER = TRACE_ID + 1


@pytest.fixture
def tracer() -> MemoryTracer:
    return MemoryTracer()


@pytest.fixture
def worker(tracer: MemoryTracer) -> Iterator[WiredWorker]:
    made = WiredWorker(stages=Stages())
    asyncio.run(made.stock("a", "b", "c"))
    made.serving.tracer = tracer
    yield made
    made.close()


def traced(event: Received, trace_id: int = TRACE_ID) -> Received:
    return replace(event, headers=[("traceparent", traceparent(trace_id))])


async def carry(worker: WiredWorker, *events: Received) -> None:
    parts = cast(Parts, SimpleNamespace(serving=worker.serving))
    await carry_out(worker.interest.process, events, "interest", parts, 60.0)


def followed(worker: WiredWorker) -> dict[str, int | None]:
    """User -> the trace that the latest recommendation carries."""
    published = worker.publisher.on("recommendations")
    return {(one.key or b"").decode(): trace_id_of(one.headers) for one in published}


async def test_every_stage_of_a_batch_is_a_span_of_it(worker: WiredWorker, tracer: MemoryTracer) -> None:
    await carry(worker, click("ann", "a", 0))
    spans = tracer.spans
    whole = context_ids(spans[BATCH])[0]
    stages = ("decode", "state", "encode", "recommend", "retrieve", "rank", "upsert", "publish")
    assert {name: context_ids(spans[name])[0] for name in stages} == dict.fromkeys(stages, whole)


async def test_a_recommendation_carries_the_trace_of_its_own_event(worker: WiredWorker) -> None:
    await carry(
        worker, traced(click("ann", "a", 0)), traced(click("ben", "b", 1), OTHER), click("cy", "c", 2)
    )
    assert followed(worker) == {"ann": TRACE_ID, "ben": OTHER, "cy": None}


async def test_of_a_users_events_it_is_the_last_that_was_applied(worker: WiredWorker) -> None:
    events = [
        traced(click("ann", "a", 0)),
        traced(purchase("ann", "b", 0), OTHER),
        traced(purchase("ann", "b", 1, event_id="purchases-0-0"), OTHER + 1),
    ]
    await carry(worker, *events)
    assert followed(worker) == {"ann": OTHER}


async def test_an_event_that_comes_again_is_followed_again(worker: WiredWorker) -> None:
    await carry(worker, traced(click("ann", "a", 0)))
    worker.publisher.delivered.clear()
    await carry(worker, traced(click("ann", "a", 0)))
    assert followed(worker) == {"ann": TRACE_ID}


async def test_an_event_that_waited_for_its_item_is_followed_when_it_counts(worker: WiredWorker) -> None:
    await carry(worker, traced(click("ann", "late", 0)))
    await worker.catalog.process([item("late", 9)])
    await worker.interest.release()
    assert followed(worker) == {"ann": TRACE_ID}


async def test_what_cannot_be_read_says_so_on_its_span(worker: WiredWorker, tracer: MemoryTracer) -> None:
    await carry(worker, traced(message("clicks", b"ann", b"{")))
    assert (tracer.spans["process clicks"].attributes or {})["freshet.outcome"] == "dead_lettered"


async def test_what_is_published_is_the_same_but_for_the_header(worker: WiredWorker) -> None:
    untraced = WiredWorker(stages=Stages())
    await untraced.stock("a", "b", "c")
    for one in (worker, untraced):
        await carry(one, traced(click("ann", "a", 0)), traced(click("ann", "b", 1)), click("ben", "c", 2))
    assert worker.recommendations() == untraced.recommendations()
    assert followed(untraced) == {"ann": None, "ben": None}
    untraced.close()


async def test_a_request_is_a_span_by_its_route(tracer: MemoryTracer) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(middlewares=[traced_requests(tracer)])
    app.router.add_get("/recommendations/{user_id}", answer)
    app.router.add_get("/readyz", answer)
    async with TestClient(TestServer(app)) as client:
        for path in ("/recommendations/ann", "/readyz"):
            await client.get(path, headers={"traceparent": traceparent().decode()})
    ((name, span),) = tracer.spans.items()
    assert (name, context_ids(span)[0]) == ("GET /recommendations/{user_id}", TRACE_ID)


class OneRequest:
    """A lease with one request that was done before."""

    def __init__(self, received: Received) -> None:
        self._received = received

    def next(self) -> Received:
        return self._received

    def done(self, received: Received) -> None:
        """Nothing to commit."""


def test_a_training_goes_on_with_its_requests_trace(tracer: MemoryTracer, tmp_path: Path) -> None:
    settings, asked = Settings(trainer=TrainerSettings(models=tmp_path)), training_request()
    before = Verdict(status="refused", reason="empty_window", sentence="nothing happened")
    Outcomes(tmp_path).conclude(asked, before, 0.0, tmp_path, lambda *_: 0, keep_rejected=False)
    received = message("training-requests", asked.model.encode(), msgspec.json.encode(asked))
    lease = cast(Lease, OneRequest(traced(received)))
    Trainer(settings, lease, TrainerMetrics(), Event(), report=ProgressLog, tracer=tracer).run(once=True)
    assert context_ids(tracer.spans["train training-requests"])[0] == TRACE_ID


def test_tracing_without_its_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    monkeypatch.delitem(sys.modules, "exporters.opentelemetry_tracer")
    with pytest.raises(SettingsError, match=r"pip install 'freshet\[tracing\]'"):
        open_tracer(TracingSettings(enabled=True), "freshet-worker")
