"""A fault after any step, then the same batch again: as if nothing had happened, whoever repeats it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encoders.errors import BrokerUnavailable, StoreUnavailable
from streams.fold_types import Received
from tests.fakes.kafka_messages import click, event, item, message, purchase
from tests.fakes.wired_worker import WiredWorker, policy

ITEMS = ("a", "b", "c", "d", "e")
GARBAGE = message("clicks", b"u", b"\xff{", offset=2)
UNKNOWN = click("w", "unknown", 6)
BATCH = [
    click("u", "a", 0),
    click("v", "b", 1),
    GARBAGE,
    purchase("u", "c", 0),
    click("u", "a", 3, event_id="clicks-0-0"),
    UNKNOWN,
]
NO_WAIT = policy(wait_ms=0)

Fault = Callable[[WiredWorker], None]


def broker(call: int, delivered: bool) -> Fault:
    return lambda worker: worker.publisher.fail(call, delivered)


def store(method: str, when: str) -> Fault:
    def inject(worker: WiredWorker) -> None:
        worker.store.faults[method] = "before" if when == "before" else "after"

    return inject


METHODS = ("retrieve_users", "retrieve_items", "nearest_items", "upsert_users", "upsert_counters")
FAULTS: dict[str, Fault] = {
    "refused letters not delivered": broker(1, delivered=False),
    "refused letters delivered": broker(1, delivered=True),
    "folded letters not delivered": broker(2, delivered=False),
    "folded letters delivered": broker(2, delivered=True),
    "recommendations not delivered": broker(3, delivered=False),
    "recommendations delivered": broker(3, delivered=True),
    **{f"{method} {when}": store(method, when) for method in METHODS for when in ("before", "after")},
}
IN_DOUBT = "upsert_users after"
"""The write took effect and nobody knows: the state is right, but no metric can tell who applied what."""


async def stocked() -> WiredWorker:
    worker = WiredWorker(policy=NO_WAIT)
    await worker.stock(*ITEMS)
    return worker


async def uninterrupted() -> WiredWorker:
    worker = await stocked()
    await worker.interest.process(BATCH)
    return worker


async def interrupted(fault: Fault, restart: bool) -> WiredWorker:
    """A worker that repeats the batch after a fault, or (``restart``) the worker that comes after it."""
    worker = await stocked()
    fault(worker)
    with pytest.raises((BrokerUnavailable, StoreUnavailable)):
        await worker.interest.process(BATCH)
    if restart:
        heir = WiredWorker(worker.store, NO_WAIT)
        heir.publisher.delivered.extend(worker.publisher.delivered)
        heir.clock.now_ms += 5_000
        await heir.interest.partitions_moved([0])
        worker = heir
    await worker.interest.process(BATCH)
    return worker


def distinct(recommendations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in recommendations:
        if one not in found:
            found.append(one)
    return sorted(found, key=lambda one: str(one["user_id"]))


@pytest.mark.parametrize("restart", [False, True], ids=["repeated", "taken over"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
class TestAnyFault:
    """Each fault, repeated by the same worker or by the next."""

    async def test_state_is_as_if_uninterrupted(self, fault: Fault, restart: bool) -> None:
        worker, calm = await interrupted(fault, restart), await uninterrupted()
        assert worker.everything("u", "v", "w") == calm.everything("u", "v", "w")

    async def test_every_event_is_applied_once(self, fault: Fault, restart: bool) -> None:
        worker = await interrupted(fault, restart)
        assert {user: worker.history(user).applied for user in "uvw"} == {"u": 2, "v": 1, "w": 0}

    async def test_recommendations_say_the_same_however_often(self, fault: Fault, restart: bool) -> None:
        worker, calm = await interrupted(fault, restart), await uninterrupted()
        assert distinct(worker.recommendations()) == distinct(calm.recommendations())
        assert len(distinct(calm.recommendations())) == 2

    async def test_dead_letters_arrive_at_least_once_unchanged(self, fault: Fault, restart: bool) -> None:
        worker = await interrupted(fault, restart)
        letters = {(one.key, one.value) for one in worker.publisher.on("dead-letters")}
        assert letters == {(GARBAGE.key, GARBAGE.value), (UNKNOWN.key, UNKNOWN.value)}


@pytest.mark.parametrize("name", [name for name in FAULTS if name != IN_DOUBT])
class TestFaultInOneWorker:
    """What a worker that goes on has counted."""

    async def test_metrics_add_up(self, name: str) -> None:
        worker = await interrupted(FAULTS[name], restart=False)
        counted = {outcome: worker.counted(outcome) for outcome in ("applied", "duplicate", "dead_lettered")}
        assert counted == {"applied": 3, "duplicate": 1, "dead_lettered": 2}

    async def test_trending_counts_every_event_once(self, name: str) -> None:
        worker, calm = await interrupted(FAULTS[name], restart=False), await uninterrupted()
        for one in (worker, calm):
            await one.interest.flush()
        assert worker.trends() == calm.trends()


@pytest.mark.parametrize(
    "fault",
    [
        broker(1, False),
        broker(1, True),
        store("upsert_users", "before"),
        store("upsert_users", "after"),
        store("nearest_items", "before"),
    ],
)
async def test_a_waiting_event_survives_a_fault_in_its_release(fault: Fault) -> None:
    worker = WiredWorker()
    await worker.stock(*ITEMS)
    await worker.interest.process([click("u", "later", 0)])
    await worker.catalog.process([item("later", 9)])
    fault(worker)
    with pytest.raises((BrokerUnavailable, StoreUnavailable)):
        await worker.interest.release()
    await worker.interest.release()
    assert worker.history("u").applied == 1
    assert [one["trigger"]["item_id"] for one in distinct(worker.recommendations())] == ["later"]


async def test_a_fault_while_partitions_move_leaves_nothing_behind_that_is_wrong() -> None:
    worker = await stocked()
    await worker.interest.process([click("u", "a", 0)])
    worker.store.down = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await worker.interest.partitions_moved([0])
    worker.store.down = None
    await worker.interest.process([click("u", "b", 1)])
    assert worker.history("u").applied == 2


@dataclass
class Run:
    """Events of three users on two partitions, cut into batches, each with a fault or none."""

    events: list[Received]
    cuts: list[int]
    faults: list[tuple[str | None, bool]] = field(default_factory=list)

    @property
    def batches(self) -> list[list[Received]]:
        edges = [0, *sorted(self.cuts), len(self.events)]
        return [self.events[start:end] for start, end in pairwise(edges)]


@st.composite
def runs(draw: st.DrawFn) -> Run:
    offsets: dict[tuple[str, int], int] = {}
    events = []
    for _ in range(draw(st.integers(1, 14))):
        user = draw(st.sampled_from("uvw"))
        topic, partition = draw(st.sampled_from(["clicks", "purchases"])), ord(user) % 2
        offset = offsets[topic, partition] = offsets.get((topic, partition), -1) + 1
        event_id = f"{user}-{draw(st.integers(0, 10))}"
        item_id = draw(st.sampled_from([*ITEMS, "unknown"]))
        events.append(event(topic, user, item_id, offset, partition, event_id=event_id))
    cuts = draw(st.lists(st.integers(0, len(events)), max_size=4))
    faults = st.tuples(st.sampled_from([None, *FAULTS]), st.booleans())
    return Run(events, cuts, draw(st.lists(faults, min_size=len(cuts) + 1, max_size=len(cuts) + 1)))


async def carry_out(run: Run) -> WiredWorker:
    worker = WiredWorker()
    await worker.stock(*ITEMS)
    for batch, (name, restart) in zip(run.batches, run.faults):
        if name:
            FAULTS[name](worker)
        for _ in range(3):
            try:
                await worker.interest.process(batch)
                break
            except (BrokerUnavailable, StoreUnavailable):
                if restart:
                    worker.close()
                    worker = WiredWorker(worker.store)
                    await worker.interest.partitions_moved([0, 1])
    worker.store.faults.clear()
    worker.close()
    return worker


async def one_by_one(events: Sequence[Received]) -> WiredWorker:
    worker = WiredWorker()
    await worker.stock(*ITEMS)
    for one in events:
        await worker.interest.process([one])
    worker.close()
    return worker


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(runs())
def test_any_batches_with_any_faults_equal_one_event_at_a_time(run: Run) -> None:
    users = sorted({one.key.decode() for one in run.events if one.key})
    worker, calm = asyncio.run(carry_out(run)), asyncio.run(one_by_one(run.events))
    assert worker.everything(*users) == calm.everything(*users)
