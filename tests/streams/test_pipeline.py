"""One micro-batch: its order, its metrics, who waits, who conflicts. Faults are in ``test_faults``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from encoders.errors import StoreUnavailable
from streams.fold_types import Received
from streams.scenarios import Scenario
from tests.fakes.kafka_messages import NOW_MS, click, item, message, purchase
from tests.fakes.memory_vector_store import MemoryVectorStore
from tests.fakes.wired_worker import POLICY, WiredWorker, policy

GARBAGE = message("clicks", b"u", b"{not json", offset=9)


@pytest.fixture
def worker() -> Iterator[WiredWorker]:
    made = WiredWorker()
    asyncio.run(made.stock("a", "b", "c", "d", "e"))
    yield made
    made.close()


async def test_order_is_dead_letters_then_write_then_recommendations(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "a", 0), GARBAGE])
    assert worker.log == [
        "publish dead-letters",
        "retrieve_users",
        "nearest_items",
        "upsert_users",
        "upsert_counters",
        "publish recommendations",
    ]


async def test_an_event_refused_by_the_fold_is_published_before_the_write(worker: WiredWorker) -> None:
    never_wait = WiredWorker(worker.store, policy(wait_ms=0))
    await never_wait.interest.process([click("u", "unknown", 0)])
    assert worker.log.index("publish dead-letters") < worker.log.index("upsert_users")


async def test_one_recommendation_for_each_user_of_a_batch(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "a", 0), click("v", "b", 1), purchase("u", "c", 0)])
    made = sorted((one["user_id"], one["trigger"]["event_id"]) for one in worker.recommendations())
    assert made == [("u", "purchases-0-0"), ("v", "clicks-0-1")]


async def test_recommendation_is_keyed_by_its_user(worker: WiredWorker) -> None:
    await worker.interest.process([click("Zoë", "a", 0)])
    assert [one.key for one in worker.publisher.on("recommendations")] == ["Zoë".encode()]


async def test_recommended_are_the_nearest_that_were_neither_seen_nor_bought(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "a", 0), purchase("u", "b", 0)])
    interest = worker.user("u").interest
    scores = {one: float(worker.replica.items[one] @ interest) for one in "cde"}
    expected = sorted(scores, key=lambda one: -scores[one])
    assert [one["item_id"] for one in worker.recommendations()[0]["items"]] == expected


async def test_hiding_turned_off_recommends_what_was_bought(worker: WiredWorker) -> None:
    scenarios = {"home": Scenario(k=1, hide_seen_ms=0, hide_bought_ms=0)}
    open_worker = WiredWorker(worker.store, replace(POLICY, scenarios=scenarios))
    await open_worker.interest.process([purchase("u", "a", 0)])
    assert [one["item_id"] for one in open_worker.recommendations()[0]["items"]] == ["a"]


async def test_a_batch_of_nothing_but_garbage_touches_no_store(worker: WiredWorker) -> None:
    await worker.interest.process([replace(GARBAGE, offset=n) for n in range(5)])
    assert worker.log == ["publish dead-letters"]
    assert len(worker.publisher.delivered) == 5


async def test_a_dead_letter_carries_the_received_bytes(worker: WiredWorker) -> None:
    await worker.interest.process([GARBAGE])
    letter = worker.publisher.on("dead-letters")[0]
    assert (letter.key, letter.value) == (GARBAGE.key, GARBAGE.value)
    assert dict(letter.headers)["reason"] == b"malformed_json"


async def test_garbage_does_not_hold_up_the_events_around_it(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "a", 0), GARBAGE, click("u", "b", 10)])
    assert worker.history("u").applied == 2


async def test_an_empty_batch_does_nothing(worker: WiredWorker) -> None:
    await worker.interest.process([])
    assert worker.log == []


async def test_a_user_of_the_last_batch_is_not_read_again(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "a", 0)])
    worker.log.clear()
    await worker.interest.process([click("u", "b", 1)])
    assert "retrieve_users" not in worker.log


async def test_a_duplicate_alone_publishes_nothing(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "a", 0, event_id="e")])
    await worker.interest.process([click("u", "a", 1, event_id="e")])
    assert len(worker.recommendations()) == 1


async def test_every_event_is_applied_or_a_duplicate_or_dead_lettered(worker: WiredWorker) -> None:
    events = [
        click("u", "a", 0, event_id="e"),
        click("u", "a", 1, event_id="e"),
        purchase("v", "b", 0),
        click("w", "unknown", 2),
        GARBAGE,
    ]
    await worker.interest.process(events)
    worker.clock.now_ms += 30_000
    await worker.interest.release()
    assert (worker.counted("applied"), worker.counted("duplicate"), worker.counted("dead_lettered")) == (
        2,
        1,
        2,
    )


async def test_a_waiting_event_is_counted_as_applied_when_it_is(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "later", 0)])
    await worker.catalog.process([item("later", 5)])
    await worker.interest.release()
    assert (worker.counted("waiting"), worker.counted("applied")) == (1, 1)


async def test_freshness_is_measured_once_an_applied_event(worker: WiredWorker) -> None:
    worker.clock.now_ms = NOW_MS + 250
    await worker.interest.process([click("u", "a", 0), click("v", "b", 1), GARBAGE])
    total = worker.metrics.registry.get_sample_value("freshet_freshness_seconds_sum")
    count = worker.metrics.registry.get_sample_value("freshet_freshness_seconds_count")
    assert (total, count) == (0.5, 2)


async def test_trending_counts_all_users_of_a_batch(worker: WiredWorker) -> None:
    same_time = {"timestamp": NOW_MS}
    events = [
        click("u", "a", 0, **same_time),
        click("v", "b", 1, **same_time),
        click("u", "c", 2, **same_time),
    ]
    await worker.interest.process(events)
    await worker.interest.flush()
    assert worker.trends() == {"a": 1.0, "b": 1.0, "c": 1.0}


async def test_trending_does_not_count_a_replayed_batch_twice(worker: WiredWorker) -> None:
    events = [click("u", "a", 0, timestamp=NOW_MS), purchase("u", "b", 0, timestamp=NOW_MS)]
    for _ in range(2):
        await worker.interest.process(events)
    await worker.interest.flush()
    assert worker.trends() == pytest.approx({"b": 1.0, "a": 1 / 3})


class TestWaiting:
    """Events whose item is not in the catalogue yet."""

    EVENT = click("u", "later", 3, partition=2, timestamp=NOW_MS)

    @pytest.fixture
    async def waiting(self, worker: WiredWorker) -> WiredWorker:
        await worker.interest.process([self.EVENT])
        worker.log.clear()
        return worker

    async def arrive(self, worker: WiredWorker) -> None:
        await worker.catalog.process([item("later", 5)])
        worker.log.clear()

    async def test_is_published_when_its_item_arrives(self, waiting: WiredWorker) -> None:
        await self.arrive(waiting)
        await waiting.interest.release()
        assert [one["trigger"]["item_id"] for one in waiting.recommendations()] == ["later"]

    async def test_is_published_before_it_is_written_since_nothing_would_replay_it(
        self, waiting: WiredWorker
    ) -> None:
        await self.arrive(waiting)
        await waiting.interest.release()
        assert waiting.log.index("publish recommendations") < waiting.log.index("upsert_users")

    async def test_is_applied_although_another_worker_stored_its_item(self, waiting: WiredWorker) -> None:
        other = WiredWorker(waiting.store)
        await self.arrive(other)
        await waiting.interest.release()
        assert waiting.history("u").applied == 1

    async def test_does_nothing_while_neither_item_nor_deadline_came(self, waiting: WiredWorker) -> None:
        await waiting.interest.release()
        assert waiting.log == ["retrieve_items"]

    async def test_is_dead_lettered_unchanged_after_its_deadline(self, waiting: WiredWorker) -> None:
        waiting.clock.now_ms += 30_000
        await waiting.interest.release()
        letter = waiting.publisher.on("dead-letters")[0]
        headers = dict(letter.headers)
        assert (letter.key, letter.value) == (self.EVENT.key, self.EVENT.value)
        assert (headers["partition"], headers["offset"], headers["reason"]) == (b"2", b"3", b"unknown_item")

    async def test_is_dead_lettered_before_it_is_forgotten(self, waiting: WiredWorker) -> None:
        waiting.clock.now_ms += 30_000
        await waiting.interest.release()
        assert waiting.log.index("publish dead-letters") < waiting.log.index("upsert_users")

    async def test_is_released_once(self, waiting: WiredWorker) -> None:
        await self.arrive(waiting)
        await waiting.interest.release()
        waiting.log.clear()
        await waiting.interest.release()
        assert waiting.log == []

    async def test_counts_as_trending_although_later_offsets_were_counted(self, waiting: WiredWorker) -> None:
        await waiting.interest.process([click("v", "a", 4, partition=2, timestamp=NOW_MS)])
        await self.arrive(waiting)
        await waiting.interest.release()
        await waiting.interest.process([click("v", "b", 5, partition=2, timestamp=NOW_MS)])
        await waiting.interest.flush()
        assert waiting.trends() == {"a": 1.0, "b": 1.0, "later": 1.0}

    async def test_is_found_by_the_worker_that_takes_the_partition_over(self, waiting: WiredWorker) -> None:
        heir = WiredWorker(waiting.store)
        await heir.interest.partitions_moved([1, 2])
        await self.arrive(waiting)
        await heir.interest.release()
        assert heir.history("u").applied == 1

    async def test_is_left_alone_by_the_workers_of_other_partitions(self, waiting: WiredWorker) -> None:
        other = WiredWorker(waiting.store)
        await other.interest.partitions_moved([0, 1, 3])
        await self.arrive(waiting)
        await other.interest.release()
        assert other.history("u").applied == 0

    async def test_is_no_longer_this_workers_when_its_partition_moved(self, waiting: WiredWorker) -> None:
        await waiting.interest.partitions_moved([0])
        await self.arrive(waiting)
        await waiting.interest.release()
        assert waiting.history("u").applied == 0


async def test_moved_partitions_empty_the_cache(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "a", 0)])
    await worker.interest.partitions_moved([0])
    worker.log.clear()
    await worker.interest.process([click("u", "b", 1)])
    assert "retrieve_users" in worker.log


async def test_moved_partitions_tell_how_far_they_were_counted(worker: WiredWorker) -> None:
    await worker.interest.process([click("u", "a", 6), purchase("u", "b", 2)])
    assert await worker.interest.partitions_moved([0, 1]) == {("clicks", 0): 6, ("purchases", 0): 2}


class TestConflict:
    """Another worker writes the user between this worker's read and its write."""

    MINE = click("u", "a", 0, timestamp=NOW_MS)
    THEIRS = click("u", "b", 0, partition=1, timestamp=NOW_MS - 1_000)

    def interfere(self, worker: WiredWorker, *events: Received) -> None:
        other = WiredWorker(worker.store)
        worker.store.meanwhile["upsert_users"] = lambda: asyncio.run(other.interest.process(events))

    async def test_both_effects_are_present(self, worker: WiredWorker) -> None:
        self.interfere(worker, self.THEIRS)
        await worker.interest.process([self.MINE])
        assert worker.history("u").offsets == {"0/clicks:0": 0, "0/clicks:1": 0}
        assert worker.history("u").seen.keys() == {"a", "b"}

    async def test_vectors_are_those_of_one_writer_after_the_other(self, worker: WiredWorker) -> None:
        self.interfere(worker, self.THEIRS)
        await worker.interest.process([self.MINE])
        calm = WiredWorker()
        await calm.stock("a", "b", "c", "d", "e")
        for one in (self.THEIRS, self.MINE):
            await calm.interest.process([one])
        assert worker.everything("u") == calm.everything("u")

    async def test_what_is_published_knows_both(self, worker: WiredWorker) -> None:
        self.interfere(worker, self.THEIRS)
        await worker.interest.process([self.MINE])
        assert [{one["item_id"] for one in each["items"]} for each in worker.recommendations()] == [
            {"c", "d", "e"}
        ]

    async def test_the_same_event_from_both_counts_once(self, worker: WiredWorker) -> None:
        self.interfere(worker, self.MINE)
        await worker.interest.process([self.MINE])
        assert (worker.history("u").applied, worker.counted("applied")) == (1, 0)

    async def test_other_users_of_the_batch_are_written_once(self, worker: WiredWorker) -> None:
        self.interfere(worker, self.THEIRS)
        await worker.interest.process([self.MINE, click("v", "c", 1)])
        assert (worker.user("v").sequence, worker.counted("applied")) == (1, 2)

    def interfere_often(self, worker: WiredWorker, times: int) -> None:
        """Another worker writes the user ``times`` times, each time just before this one does."""

        def write() -> None:
            found = MemoryVectorStore.retrieve_users(worker.store, worker.names, ["u"])[0]
            assert found is not None
            taken = replace(found, sequence=found.sequence + 1, token=found.token + 1)
            MemoryVectorStore.upsert_users(worker.store, worker.names, [taken])
            self.interfere_often(worker, times - 1)

        if times > 0:
            worker.store.meanwhile["upsert_users"] = write

    async def test_winning_in_the_tenth_round_is_winning(self, worker: WiredWorker) -> None:
        await worker.interest.process([click("u", "b", 0)])
        self.interfere_often(worker, times=9)
        await worker.interest.process([click("u", "a", 1)])
        assert worker.history("u").applied == 2

    async def test_losing_ten_times_asks_to_be_repeated_later(self, worker: WiredWorker) -> None:
        await worker.interest.process([click("u", "b", 0)])
        self.interfere_often(worker, times=10)
        with pytest.raises(StoreUnavailable, match="1 users"):
            await worker.interest.process([click("u", "a", 1)])
