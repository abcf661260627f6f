"""Items in, vectors out: a text is encoded once, a delisted item is kept but never recommended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from encoders.errors import BrokerUnavailable, StoreUnavailable
from exporters.vector_store import ItemRecord
from streams.catalog import EPOCH_SHIFT
from streams.fold_types import Received
from tests.fakes.kafka_messages import NOW_MS, click, item, message
from tests.fakes.model import DIM, text_vector
from tests.fakes.wired_worker import POLICY, WiredWorker


@pytest.fixture
def worker() -> Iterator[WiredWorker]:
    made = WiredWorker()
    yield made
    made.close()


def tombstone(item_id: str, offset: int) -> Received:
    return message("items", item_id.encode(), None, offset)


def stored(worker: WiredWorker, item_id: str) -> ItemRecord:
    found = worker.store.retrieve_items(worker.names, [item_id], with_text=True)[0]
    assert found is not None
    return found


async def recommended(worker: WiredWorker) -> set[str]:
    """What a user is recommended that clicked on ``shown``."""
    await worker.catalog.process([item("shown", 10_000)])
    await worker.interest.process([click("u", "shown", 0)])
    return {one["item_id"] for one in worker.recommendations()[-1]["items"]}


async def test_an_item_is_stored_with_the_vectors_of_its_text(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 0, title="Kettle", categories=["Home"], description="Boils.")])
    text = text_vector("Kettle. Home. Boils.")
    np.testing.assert_allclose(stored(worker, "a").text_vector, text)
    np.testing.assert_allclose(
        stored(worker, "a").vector, text[:DIM] / np.linalg.norm(text[:DIM]), rtol=1e-6, atol=1e-6
    )


async def test_everything_that_a_person_reads_is_stored(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 7, title="Kettle", categories=["Home"], price=9.5)])
    made = stored(worker, "a")
    assert (made.title, made.categories, made.price, made.available, made.source_offset) == (
        "Kettle",
        ("Home",),
        9.5,
        True,
        7,
    )


async def test_the_replica_has_an_item_as_soon_as_its_batch_is_stored(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 0)])
    np.testing.assert_array_equal(worker.replica.items["a"], stored(worker, "a").vector)


async def test_a_repeated_text_is_encoded_once(worker: WiredWorker) -> None:
    for offset in range(3):
        await worker.catalog.process([item("a", offset, title="Kettle")])
    assert worker.model.encoded == ["Kettle"]


async def test_a_new_price_is_stored_without_encoding(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 0, price=10)])
    before = stored(worker, "a")
    await worker.catalog.process([item("a", 1, price=8, available=False)])
    after = stored(worker, "a")
    assert len(worker.model.encoded) == 1
    assert (after.price, after.available) == (8.0, False)
    np.testing.assert_array_equal(after.vector, before.vector)


@pytest.mark.parametrize("change", [{"title": "Pot"}, {"description": "Boils."}, {"categories": ["Home"]}])
async def test_a_changed_text_is_encoded_anew(worker: WiredWorker, change: dict[str, Any]) -> None:
    await worker.catalog.process([item("a", 0)])
    await worker.catalog.process([item("a", 1, **change)])
    assert len(worker.model.encoded) == 2


async def test_the_last_message_of_an_item_in_a_batch_counts(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 0, title="Old"), item("a", 1, title="New")])
    assert (stored(worker, "a").title, worker.model.encoded) == ("New", ["New"])


async def test_a_delisted_item_is_never_recommended(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 0), item("b", 1)])
    await worker.catalog.process([tombstone("a", 2)])
    assert await recommended(worker) == {"b"}


async def test_an_unavailable_item_is_never_recommended(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 0, available=False), item("b", 1)])
    assert await recommended(worker) == {"b"}


async def test_a_delisted_item_keeps_its_vector_for_histories(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 0)])
    await worker.catalog.process([tombstone("a", 1)])
    await worker.interest.process([click("u", "a", 0)])
    assert worker.history("u").applied == 1


async def test_an_item_that_is_sold_again_is_not_encoded_again(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 0)])
    await worker.catalog.process([tombstone("a", 1)])
    await worker.catalog.process([item("a", 2)])
    assert (len(worker.model.encoded), stored(worker, "a").available) == (1, True)


async def test_a_tombstone_of_an_item_that_never_was_is_no_fault(worker: WiredWorker) -> None:
    await worker.catalog.process([tombstone("never", 0)])
    assert worker.store.count_items(worker.names) == 0


async def test_garbage_is_dead_lettered_unchanged_and_the_rest_is_stored(worker: WiredWorker) -> None:
    garbage = message("items", b"x", b"\xff", 1)
    await worker.catalog.process([item("a", 0), garbage, item("b", 2)])
    letters = worker.publisher.on("dead-letters")
    assert [(one.key, one.value, dict(one.headers)["reason"]) for one in letters] == [
        (b"x", b"\xff", b"not_utf8")
    ]
    assert worker.store.count_items(worker.names) == 2


async def test_an_older_message_does_not_overwrite_a_newer_one(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 5, title="New")])
    await worker.catalog.process([item("a", 4, title="Old")])
    assert stored(worker, "a").title == "New"


async def test_an_older_message_is_not_even_encoded(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 5, title="New")])
    await worker.catalog.process([item("a", 4, title="Old")])
    assert worker.model.encoded == ["New"]


async def test_an_older_message_does_not_reach_the_replica(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 5, title="New")])
    heir = WiredWorker(worker.store)
    await heir.catalog.process([item("a", 4, title="Old")])
    np.testing.assert_array_equal(heir.replica.items["a"], stored(worker, "a").vector)


async def test_a_raised_epoch_outranks_every_offset_before(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 2**EPOCH_SHIFT - 1, title="Before")])
    anew = WiredWorker(worker.store, replace(POLICY, source_epoch=1))
    await anew.catalog.process([item("a", 0, title="Anew")])
    assert stored(worker, "a").title == "Anew"


async def test_rank_of_epoch_and_offset_is_exact_in_a_64_bit_float() -> None:
    highest = (2**13 - 1 << EPOCH_SHIFT) + 2**EPOCH_SHIFT - 1
    assert int(float(highest)) == highest


@pytest.mark.parametrize(
    ("method", "when"), [("retrieve_items", "before"), ("upsert_items", "before"), ("upsert_items", "after")]
)
async def test_a_batch_repeated_after_a_fault_is_stored_once(
    worker: WiredWorker, method: str, when: str
) -> None:
    worker.store.faults[method] = "before" if when == "before" else "after"
    with pytest.raises(StoreUnavailable):
        await worker.catalog.process([item("a", 0)])
    await worker.catalog.process([item("a", 0)])
    assert stored(worker, "a").source_offset == 0
    assert "a" in worker.replica


async def test_nothing_is_stored_before_the_dead_letters_are_delivered(worker: WiredWorker) -> None:
    worker.publisher.fail(1)
    with pytest.raises(BrokerUnavailable):
        await worker.catalog.process([item("a", 0), message("items", b"x", b"{", 1)])
    assert worker.store.count_items(worker.names) == 0


async def test_metrics_tell_encoded_from_unchanged(worker: WiredWorker) -> None:
    await worker.catalog.process([item("a", 0), item("b", 1), message("items", b"x", b"{", 2)])
    await worker.catalog.process([item("a", 3)])
    sample = worker.metrics.registry.get_sample_value
    counted = {
        outcome: sample("freshet_items_total", {"outcome": outcome})
        for outcome in ("encoded", "unchanged_text", "dead_lettered")
    }
    assert counted == {"encoded": 2, "unchanged_text": 1, "dead_lettered": 1}


class TestCreated:
    """Since when an item is in the catalogue."""

    async def test_what_the_shop_says_counts(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item("a", 0, created_at=NOW_MS - 5_000)])
        assert stored(worker, "a").created_at_ms == NOW_MS - 5_000

    async def test_without_a_word_it_is_the_time_of_the_first_message(self, worker: WiredWorker) -> None:
        await worker.catalog.process([replace(item("a", 0), timestamp_ms=NOW_MS - 7_000)])
        assert stored(worker, "a").created_at_ms == NOW_MS - 7_000

    async def test_later_messages_leave_it(self, worker: WiredWorker) -> None:
        await worker.catalog.process([replace(item("a", 0), timestamp_ms=NOW_MS - 7_000)])
        await worker.catalog.process([item("a", 1, price=3), item("b", 2)])
        await worker.catalog.process([tombstone("a", 3)])
        await worker.catalog.process([item("a", 4, title="Sold again")])
        assert stored(worker, "a").created_at_ms == NOW_MS - 7_000

    async def test_a_later_word_of_the_shop_counts(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item("a", 0)])
        await worker.catalog.process([item("a", 1, created_at=NOW_MS - 9_000)])
        await worker.catalog.process([item("a", 2)])
        assert stored(worker, "a").created_at_ms == NOW_MS - 9_000

    @pytest.mark.parametrize("wrong", [NOW_MS + 1, 10**25, "2999-01-01T00:00:00Z"])
    async def test_a_time_to_come_counts_as_now(self, worker: WiredWorker, wrong: object) -> None:
        await worker.catalog.process([item("a", 0, created_at=wrong)])
        assert worker.replica.items.created_ms.tolist() == [NOW_MS]

    @pytest.mark.parametrize("wrong", [-1, -(10**25), "0001-01-01T00:00:00Z"])
    async def test_a_time_before_1970_counts_as_unknown(self, worker: WiredWorker, wrong: object) -> None:
        await worker.catalog.process([item("a", 0, created_at=wrong)])
        assert worker.replica.items.created_ms.tolist() == [0]

    async def test_an_heir_reads_the_same(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item("a", 0, created_at=NOW_MS - 5_000, brand="Acme")])
        heir = WiredWorker(worker.store)
        heir.replica.refresh()
        items = heir.replica.items
        assert (items.created_ms.tolist(), items.brand_numbers) == ([NOW_MS - 5_000], {"Acme": 0})
        heir.close()


class TestBrand:
    """Who makes an item."""

    @pytest.mark.parametrize("said", [{"brand": "Acme"}, {"attributes": {"brand": "Acme"}}])
    async def test_is_a_field_or_an_attribute(self, worker: WiredWorker, said: dict[str, Any]) -> None:
        await worker.catalog.process([item("a", 0, **said)])
        assert stored(worker, "a").brand == "Acme"

    async def test_of_the_latest_message_counts(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item("a", 0, brand="Acme")])
        await worker.catalog.process([item("a", 1)])
        assert stored(worker, "a").brand is None
        assert worker.replica.items.brands.tolist() == [-1]


class TestReplica:
    """A worker's own copy of the item vectors, where other workers may write as well."""

    @pytest.fixture(autouse=True)
    def _shared(self, worker: WiredWorker) -> None:
        worker.store.shared = True

    async def test_reads_nothing_again_where_no_other_process_can_write(self, worker: WiredWorker) -> None:
        worker.store.shared = False
        worker.replica.refresh()
        await WiredWorker(worker.store).catalog.process([item("new", 0)])
        assert worker.replica.refresh() == 0

    async def test_reads_the_whole_catalogue_at_first(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item(f"i{n}", n) for n in range(20)])
        heir = WiredWorker(worker.store)
        assert (heir.replica.refresh(), len(heir.replica)) == (20, 20)

    async def test_reads_only_what_is_new_afterwards(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item(f"i{n}", n) for n in range(20)])
        heir = WiredWorker(worker.store)
        for one in (worker, heir):
            one.clock.now_ms += 60_000
        heir.replica.refresh()
        await worker.catalog.process([item("new", 20)])
        assert heir.replica.refresh() == 1
        assert "new" in heir.replica

    async def test_reads_nothing_once_the_catalogue_is_quiet(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item(f"i{n}", n) for n in range(20)])
        worker.clock.now_ms += 60_000
        worker.replica.refresh()
        assert worker.replica.refresh() == 0

    async def test_reads_again_what_a_failed_refresh_missed(self, worker: WiredWorker) -> None:
        heir = WiredWorker(worker.store)
        heir.replica.refresh()
        await worker.catalog.process([item("a", 0)])
        heir.clock.now_ms += 60_000
        worker.store.down = StoreUnavailable("away")
        with pytest.raises(StoreUnavailable):
            heir.replica.refresh()
        worker.store.down = None
        heir.replica.refresh()
        assert "a" in heir.replica

    async def test_sees_what_another_worker_with_a_slower_clock_stored(self, worker: WiredWorker) -> None:
        behind = WiredWorker(worker.store)
        behind.clock.now_ms -= 5_000
        await worker.catalog.process([item("a", 0)])
        worker.replica.refresh()
        await behind.catalog.process([item("b", 1)])
        worker.replica.refresh()
        assert "b" in worker.replica

    async def test_asks_the_store_for_an_item_that_it_lacks(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item("a", 0)])
        heir = WiredWorker(worker.store)
        heir.replica.ensure(["a", "never"])
        assert ("a" in heir.replica, "never" in heir.replica) == (True, False)

    async def test_asks_for_nothing_that_it_has(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item("a", 0)])
        worker.log.clear()
        worker.replica.ensure(["a"])
        assert worker.log == []


def test_an_items_text_may_be_anything(worker: WiredWorker) -> None:
    body = json.dumps({"item_id": "a", "title": "🛒\x00 \\u0000 ж"}).encode()
    asyncio.run(worker.catalog.process([message("items", b"a", body)]))
    assert stored(worker, "a").title == "🛒\x00 \\u0000 ж"
