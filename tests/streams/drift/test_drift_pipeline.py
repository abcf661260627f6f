"""From applied events to a training request, through both ends' real code, faults included."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from encoders.errors import BrokerUnavailable, StoreUnavailable
from streams.drift.summary import decode_summary
from streams.drift.text_shift import projected
from streams.fold_types import Received
from streams.messages import TrainingRequest
from streams.settings_sections import DriftSettings
from tests.fakes.kafka_messages import NOW_MS, click, event, message
from tests.fakes.model import text_vector
from tests.fakes.wired_worker import WiredWorker
from tests.support.drifting_shop import BATCH
from tests.support.traces import MemoryTracer, context_ids, trace_id_of

SETTINGS = DriftSettings(
    window_events=50,
    sample=50,
    report_seconds=1,
    reference_windows=2,
    consecutive=1,
    least_scored=32,
    k=3,
    cool_down_seconds=0.001,
    warn_only=["cold_users_adwin", "cold_users_page_hinkley", "scores_psi"],
)
OLD, NEW = [f"old-{n}" for n in range(4)], [f"new-{n}" for n in range(4)]


@pytest.fixture
def worker() -> Iterator[WiredWorker]:
    made = WiredWorker(drift=SETTINGS)
    asyncio.run(made.stock(*OLD, *NEW))
    yield made
    made.close()


def events(items: list[str], start: int, n: int = 50) -> list[Received]:
    return [click(f"u{at % 10}", items[at % 4], at) for at in range(start, start + n)]


async def told(worker: WiredWorker, messages: list[Received]) -> Received:
    """Carry events out, and let the worker tell of them a second later."""
    await worker.interest.process(messages)
    worker.clock.now_ms += 1_000
    await worker.reporter.report()
    sent = worker.publisher.on("drift-summaries")
    return message("drift-summaries", sent[-1].key, sent[-1].value, len(sent) - 1)


async def shifted(worker: WiredWorker) -> list[Received]:
    """Three windows of the old items, and one of the new."""
    return [await told(worker, events(NEW if n == 3 else OLD, 50 * n)) for n in range(4)]


def requests(worker: WiredWorker) -> list[TrainingRequest]:
    sent = worker.publisher.on("training-requests")
    return [msgspec.json.decode(one.value or b"", type=TrainingRequest) for one in sent]


def value(worker: WiredWorker, name: str, **labels: str) -> float | None:
    found: float | None = worker.metrics.registry.get_sample_value(name, labels)
    return found


async def test_a_summary_tells_of_the_events_and_their_texts(worker: WiredWorker) -> None:
    summary = decode_summary((await told(worker, events(OLD, 0))).value)
    assert (summary.model, summary.version, summary.events) == ("shop", "fake-1", 50)
    assert summary.items.sum() == 50
    known = projected(np.stack([text_vector(f"Title of {one}") for one in OLD]))
    assert len(summary.texts) == 10  # one event a user
    distances = np.abs(summary.texts[:, None] - known[None]).max(axis=2)
    assert distances.min(axis=1).max() < 1e-3


async def test_nothing_is_told_before_it_is_time(worker: WiredWorker) -> None:
    await worker.interest.process(events(OLD, 0, 49))
    await worker.reporter.report()
    assert worker.publisher.on("drift-summaries") == []


async def test_what_is_shown_is_compared_with_what_comes_next(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", OLD[0], 0)])
    (list_,) = worker.recommendations()
    second = list_["items"][1]["item_id"]
    await worker.interest.process([click("u", second, 1), click("u", OLD[0], 2), click("new", second, 3)])
    labels = {"model_version": "fake-1"}
    # Neither the item that the user had nor the user without a list is scored.
    assert value(worker, "freshet_progressive_scored_total", **labels) == 1
    assert value(worker, "freshet_progressive_hits_total", **labels) == 1
    assert value(worker, "freshet_progressive_ndcg_total", **labels) == pytest.approx(0.6309, abs=1e-4)


@pytest.mark.parametrize("said", [{"event_type": "dislike"}, {"event_type": "rating", "rating": 1}])
async def test_a_dislike_is_no_event_to_be_hit(worker: WiredWorker, said: dict[str, object]) -> None:
    await worker.interest.process([click("u", OLD[0], 0)])
    await worker.interest.process([event("clicks", "u", OLD[1], 1, **said)])
    assert value(worker, "freshet_progressive_scored_total", model_version="fake-1") is None


async def test_a_redelivered_event_counts_once(worker: WiredWorker) -> None:
    await worker.interest.process(events(OLD, 0, 30))
    assert decode_summary((await told(worker, events(OLD, 0, 30))).value).events == 30


async def test_a_request_carries_the_trace_of_the_batch_that_asked(worker: WiredWorker) -> None:
    tracer, summaries = MemoryTracer(), await shifted(worker)
    with tracer.batch("drift", summaries):
        await worker.drift.process(summaries)
    (sent,) = worker.publisher.on("training-requests")
    assert trace_id_of(sent.headers) == context_ids(tracer.spans["process drift batch"])[0]


async def test_a_shift_becomes_a_request_with_its_evidence(worker: WiredWorker) -> None:
    await worker.drift.process(await shifted(worker))
    (request,) = requests(worker)
    assert (request.model, request.parent) == ("shop", "fake-1")
    assert "items_psi" in {reason.detector for reason in request.reasons}
    assert worker.publisher.on("training-requests")[0].key == b"shop"
    assert value(worker, "freshet_drift_decisions_total", kind="drift") == 1
    assert value(worker, "freshet_drift_level", detector="items_psi") == 2
    statistic = value(worker, "freshet_drift_statistic", detector="items_psi") or 0
    assert statistic > (value(worker, "freshet_drift_threshold", detector="items_psi", level="drift") or 9)


async def test_a_request_that_was_not_delivered_is_made_again_with_its_name(worker: WiredWorker) -> None:
    summaries = await shifted(worker)
    worker.publisher.fail(call=1, delivered=True)
    with pytest.raises(BrokerUnavailable):
        await worker.drift.process(summaries)
    await worker.drift.process(summaries)
    first, second = requests(worker)
    assert first == second


async def test_a_batch_that_comes_again_asks_for_nothing(worker: WiredWorker) -> None:
    summaries = await shifted(worker)
    await worker.drift.process(summaries)
    await worker.drift.partitions_moved()
    await worker.drift.process(summaries)
    assert len(requests(worker)) == 1


async def test_the_next_owner_knows_the_reference(worker: WiredWorker) -> None:
    summaries = await shifted(worker)
    await worker.drift.process(summaries[:3])
    other = WiredWorker(worker.store, drift=SETTINGS)
    await other.drift.process(summaries[3:])
    other.close()
    assert len(requests(other)) == 1


async def test_a_store_that_is_away_leaves_the_batch_to_be_repeated(worker: WiredWorker) -> None:
    summaries = await shifted(worker)
    worker.store.faults["upsert_counters"] = "before"
    with pytest.raises(StoreUnavailable):
        await worker.drift.process(summaries)
    await worker.drift.process(summaries)
    assert {one.request_id for one in requests(worker)} == {requests(worker)[0].request_id}


async def test_who_no_longer_decides_shows_no_decision(worker: WiredWorker) -> None:
    await worker.drift.process(await shifted(worker))
    await worker.drift.partitions_moved()
    assert value(worker, "freshet_drift_level", detector="items_psi") is None


async def test_what_is_no_summary_is_set_aside(worker: WiredWorker) -> None:
    await worker.drift.process([message("drift-summaries", b"shop", b"junk")])
    (letter,) = worker.publisher.on("dead-letters")
    assert letter.value == b"junk"


async def test_summaries_of_another_model_are_left_out(worker: WiredWorker) -> None:
    summary = decode_summary((await told(worker, events(OLD, 0))).value)
    other = msgspec.msgpack.encode(msgspec.structs.replace(summary, model="other"))
    await worker.drift.process([message("drift-summaries", b"other", other)])
    assert value(worker, "freshet_drift_reference_windows") == 0


async def test_what_trends_is_read_beside_the_state_of_drift(worker: WiredWorker) -> None:
    await worker.drift.process([await told(worker, events(OLD, 0))])
    await worker.interest.flush()
    assert set(worker.trends()) == set(OLD)


async def test_what_nobody_asks_for_is_forgotten(worker: WiredWorker) -> None:
    await worker.interest.process(events(OLD, 0, BATCH))
    worker.clock.now_ms = NOW_MS + 10_000
    await worker.reporter.report()
    await worker.reporter.report()
    assert len(worker.publisher.on("drift-summaries")) == 1
