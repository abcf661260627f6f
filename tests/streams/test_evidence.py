"""Evidence from the interest pipeline through the internal topic into the store, faults included."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.covisitation import CovisitationConfig, Visit, pairs_of
from encoders.errors import StoreUnavailable
from encoders.events import EventType, Interaction
from exporters.vector_store import dimension_of
from streams.evidence_messages import MAX_BYTES, SEALED_BYTES, bundles, decode_evidence, partition_of
from streams.evidence_state import unpack_evidence
from streams.fold_types import Received, Visited
from streams.recommender import Stages
from streams.state import Applied
from tests.fakes.faulty_vector_store import FaultyVectorStore, When
from tests.fakes.kafka_messages import NOW_MS, click, purchase
from tests.fakes.wired_worker import POLICY, WiredWorker

ITEMS = ("a", "b", "c", "d")
CONFIG = CovisitationConfig(window=3)
COLLECTING = replace(POLICY, covisitation=CONFIG)


def collecting(store: FaultyVectorStore | None = None) -> WiredWorker:
    return WiredWorker(store, COLLECTING, Stages())


@pytest.fixture
def worker() -> Iterator[WiredWorker]:
    made = collecting()
    asyncio.run(made.stock(*ITEMS))
    yield made
    made.close()


def sent(worker: WiredWorker) -> list[Received]:
    """What the worker published on ``evidence``, as Kafka would give it."""
    outgoing = worker.publisher.on("evidence")
    return [
        Received("evidence", one.partition or 0, n, None, one.value, NOW_MS) for n, one in enumerate(outgoing)
    ]


def neighbours(worker: WiredWorker, item_id: str) -> dict[str, float]:
    """An item's stored neighbours, as of its record's landmark."""
    record = worker.store.retrieve_evidence(worker.names, [item_id])[0]
    if record is None:
        return {}
    names = {dimension_of(one): one for one in ITEMS}
    found = zip(record.dimensions.tolist(), record.weights.tolist(), strict=True)
    return {names[dimension]: weight for dimension, weight in found}


def expected(*users: list[tuple[str, EventType, float]]) -> dict[str, dict[str, float]]:
    """What ``pairs_of`` comes to, event by event; ages of seconds count as none."""
    sums: dict[str, dict[str, float]] = {}
    for events in users:
        history: list[Visit[str]] = []
        for item, event_type, seconds in events:
            new = Visit(item, int(event_type), seconds)
            for source, neighbour, weight in pairs_of(history, new, CONFIG):
                own = sums.setdefault(source, {})
                own[neighbour] = own.get(neighbour, 0.0) + weight
            history.append(new)
    return sums


async def run(worker: WiredWorker, *batches: list[Received]) -> None:
    for batch in batches:
        await worker.interest.process(batch)
    await worker.evidence.process(sent(worker))


LOG = [click("u", "a", 0), click("u", "b", 1), purchase("u", "c", 2), click("v", "a", 3), click("v", "c", 4)]
EXPECTED = expected(
    [("a", EventType.CLICK, 0), ("b", EventType.CLICK, 1), ("c", EventType.PURCHASE, 2)],
    [("a", EventType.CLICK, 3), ("c", EventType.CLICK, 4)],
)


def assert_counted_once(worker: WiredWorker) -> None:
    for item_id, wanted in EXPECTED.items():
        assert neighbours(worker, item_id) == pytest.approx(wanted, rel=1e-3), item_id


async def test_what_users_did_together_is_stored_with_each_item(worker: WiredWorker) -> None:
    await run(worker, LOG)
    assert_counted_once(worker)


async def test_events_count_towards_the_popularity_of_their_item(worker: WiredWorker) -> None:
    await run(worker, LOG)
    record = worker.store.retrieve_evidence(worker.names, ["c"])[0]
    assert record is not None
    assert unpack_evidence(record.blob).popularity == pytest.approx(3.0 + 1.0, rel=1e-3)


async def test_messages_delivered_twice_count_once(worker: WiredWorker) -> None:
    await run(worker, LOG)
    await worker.evidence.process(sent(worker))
    assert_counted_once(worker)


async def test_an_heir_that_reads_everything_again_counts_once(worker: WiredWorker) -> None:
    await run(worker, LOG)
    heir = collecting(worker.store)
    heir.replica.refresh()
    await heir.evidence.process(sent(worker))
    assert_counted_once(heir)
    heir.close()


async def test_events_that_are_sent_again_after_a_crash_count_once(worker: WiredWorker) -> None:
    worker.store.faults["upsert_users"] = "before"
    with pytest.raises(StoreUnavailable):
        await worker.interest.process(LOG)
    await run(worker, LOG)
    assert_counted_once(worker)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["retrieve_evidence", "upsert_evidence"])
async def test_a_store_that_fails_in_the_middle_counts_once(
    worker: WiredWorker, method: str, when: When
) -> None:
    await worker.interest.process(LOG)
    worker.store.faults[method] = when
    with pytest.raises(StoreUnavailable):
        await worker.evidence.process(sent(worker))
    await worker.evidence.process(sent(worker))
    assert_counted_once(worker)


async def test_after_a_failed_write_memory_agrees_with_the_store(worker: WiredWorker) -> None:
    await worker.interest.process(LOG)
    worker.store.faults["upsert_evidence"] = "before"
    with pytest.raises(StoreUnavailable):
        await worker.evidence.process(sent(worker))
    await worker.evidence.process(sent(worker))
    row = worker.replica.evidence.row(worker.replica.items.rows["a"])
    found = {worker.replica.items.ids[n]: w for n, w in zip(row.neighbours, row.weights, strict=True)}
    assert found == pytest.approx(EXPECTED["a"], rel=1e-3)


async def test_a_write_that_lost_to_another_worker_is_made_on_top_of_it(worker: WiredWorker) -> None:
    other = collecting(worker.store)
    other.replica.refresh()
    await worker.interest.process([*LOG[:3]])
    first = sent(worker)
    await worker.evidence.process(first[:1])
    await worker.interest.process([*LOG[3:]])
    rest = sent(worker)[len(first) :]
    worker.store.meanwhile["upsert_evidence"] = lambda: asyncio.run(other.evidence.process([*first, *rest]))
    await worker.evidence.process([*first, *rest])
    assert_counted_once(worker)
    other.close()


async def test_an_event_that_waited_for_its_item_counts_once(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "a", 0), click("u", "new", 1), click("u", "b", 2)])
    await worker.stock("new")
    await worker.interest.release()
    await worker.evidence.process(sent(worker))
    before = worker.store.retrieve_evidence(worker.names, ["a"])[0]
    await worker.evidence.process(sent(worker))
    after = worker.store.retrieve_evidence(worker.names, ["a"])[0]
    assert before is not None
    assert after is not None
    assert set(before.dimensions.tolist()) == {dimension_of("b"), dimension_of("new")}
    np.testing.assert_array_equal(after.weights, before.weights)


async def test_a_message_that_is_no_evidence_is_dead_lettered(worker: WiredWorker) -> None:
    await worker.evidence.process([Received("evidence", 0, 0, None, b"\xc1", NOW_MS)])
    letters = worker.publisher.on("dead-letters")
    assert [(one.value, dict(one.headers)["reason"]) for one in letters] == [(b"\xc1", b"schema")]


async def test_numbers_that_name_nothing_are_dead_lettered(worker: WiredWorker) -> None:
    value = msgspec.msgpack.encode([["a"], ["0/clicks:0"], [[0, 1, False, 1.0, [[7, 1.0, []]]]]])
    await worker.evidence.process([Received("evidence", 0, 0, None, value, NOW_MS)])
    assert len(worker.publisher.on("dead-letters")) == 1


async def test_a_bad_rating_makes_no_neighbours_and_nothing_popular(worker: WiredWorker) -> None:
    bad, good = ({"event_type": "rating", "rating": stars} for stars in (1, 5))
    one = [click("u", "a", 0), click("u", "b", 1, **bad), click("u", "d", 2)]
    await run(worker, [*one, click("v", "a", 3), click("v", "c", 4, **good)])
    found = {item: set(neighbours(worker, item)) for item in ITEMS}
    assert found == {"a": {"c", "d"}, "b": set(), "c": {"a"}, "d": {"a"}}
    assert worker.replica.evidence.popularity(NOW_MS / 1000)[worker.replica.items.rows["b"]] == 0


async def test_purchases_and_places_in_histories_are_counted_beside_popularity(worker: WiredWorker) -> None:
    await run(worker, [click("u", "a", 0), click("u", "b", 1), purchase("u", "c", 2), click("v", "c", 3)])
    rows, evidence = worker.replica.items.rows, worker.replica.evidence
    weights = CovisitationConfig().type_weights
    bought, clicked = weights[EventType.PURCHASE], weights[EventType.CLICK]
    there = [rows["a"], rows["c"]]
    share = evidence.bought(NOW_MS / 1000)[there] / evidence.popularity(NOW_MS / 1000)[there]
    assert share.tolist() == pytest.approx([0, bought / (bought + clicked)])
    depth = evidence.depth()[[rows["a"], rows["b"], rows["c"]]]
    assert depth.tolist() == pytest.approx([0, np.log(2), bought * np.log(3) / (bought + clicked)], rel=1e-4)


async def test_a_new_pair_changes_what_another_user_is_recommended(worker: WiredWorker) -> None:
    await run(worker, [click("u", "a", 0), purchase("u", "d", 1), click("v", "d", 2), purchase("v", "a", 3)])
    await worker.interest.process([click("w", "a", 4)])
    last = worker.recommendations()[-1]
    assert (last["user_id"], last["items"][0]["item_id"]) == ("w", "d")
    assert last["items"][0]["reason"] == {"kind": "together_with", "item_id": "a"}


def visits_of(items: list[str]) -> list[Visited]:
    """One user's clicks, a second apart, as the pipeline notes them."""
    past = [Applied(item, int(EventType.CLICK), 1_000 * n) for n, item in enumerate(items)]
    return [
        Visited(
            click("u", item, n),
            Interaction("u", item, EventType.CLICK, 1_000 * n),
            past[max(0, n - CONFIG.window) : n],
            waited=False,
        )
        for n, item in enumerate(items)
    ]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(ITEMS), min_size=1, max_size=12), st.integers(1, 4))
def test_bundles_carry_every_addition_once_to_the_partition_of_its_item(
    items: list[str], partitions: int
) -> None:
    found: dict[str, dict[str, float]] = {}
    for partition, value in bundles(visits_of(items), CONFIG, 0, partitions):
        message = decode_evidence(value)
        for event in message.events:
            for addition in event.additions:
                item_id = message.items[addition.item]
                assert partition_of(item_id, partitions) == partition
                own = found.setdefault(item_id, {})
                for number, weight, _ in addition.pairs:
                    neighbour = message.items[number]
                    own[neighbour] = own.get(neighbour, 0.0) + weight
    wanted = expected([(item, EventType.CLICK, float(n)) for n, item in enumerate(items)])
    assert {item: pairs for item, pairs in found.items() if pairs} == {
        item: pytest.approx(pairs) for item, pairs in wanted.items()
    }


def test_a_large_batch_is_sent_in_messages_that_clients_take() -> None:
    names = [f"item-{n:0250d}" for n in range(3_000)]
    visited: list[Visited] = visits_of(names)
    values = [value for _, value in bundles(visited, CONFIG, 0, 1)]
    assert len(values) > 1
    assert max(map(len, values)) < min(MAX_BYTES, 2 * SEALED_BYTES)
