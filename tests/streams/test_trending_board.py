"""The board's place in the store: loaded when needed, flushed once a second, never backwards."""

from __future__ import annotations

import pytest

from encoders.errors import StoreUnavailable
from encoders.events import EventType
from exporters.vector_store import CollectionNames, VectorSizes
from streams.trending_board import FLUSH_MS, TrendingBoard, trending_items
from tests.fakes.faulty_vector_store import FaultyVectorStore
from tests.fakes.kafka_messages import NOW_MS, click

NAMES = CollectionNames.of("v1")


@pytest.fixture
def store() -> FaultyVectorStore:
    made = FaultyVectorStore()
    made.ensure_collections(NAMES, VectorSizes(2, 2, 2))
    return made


def board(store: FaultyVectorStore, epoch: int = 0) -> TrendingBoard:
    return TrendingBoard(store, NAMES, half_life_hours=24.0, source_epoch=epoch)


def count(to: TrendingBoard, item_id: str, offset: int, partition: int = 0) -> None:
    to.count(click("u", item_id, offset, partition=partition), item_id, EventType.CLICK, NOW_MS)


def stored(store: FaultyVectorStore) -> dict[str, float]:
    return dict(trending_items(store, NAMES, 10))


def test_counts_are_in_the_store_after_a_flush(store: FaultyVectorStore) -> None:
    made = board(store)
    count(made, "a", 0)
    made.flush(NOW_MS)
    assert stored(store) == {"a": 1.0}


def test_flush_waits_a_second_after_the_last_one(store: FaultyVectorStore) -> None:
    made = board(store)
    count(made, "a", 0)
    made.flush(NOW_MS)
    count(made, "b", 1)
    made.flush(NOW_MS + FLUSH_MS - 1)
    assert stored(store) == {"a": 1.0}
    made.flush(NOW_MS + FLUSH_MS)
    assert stored(store) == {"a": 1.0, "b": 1.0}


def test_forced_flush_waits_for_nothing(store: FaultyVectorStore) -> None:
    made = board(store)
    for offset, item_id in enumerate("ab"):
        count(made, item_id, offset)
        made.flush(NOW_MS, force=True)
    assert stored(store) == {"a": 1.0, "b": 1.0}


def test_flush_without_changes_writes_nothing(store: FaultyVectorStore) -> None:
    made = board(store)
    count(made, "a", 0)
    made.flush(NOW_MS)
    made.flush(NOW_MS + 10 * FLUSH_MS)
    assert store.log.count("upsert_counters") == 1


def test_a_failed_flush_is_made_good_by_the_next(store: FaultyVectorStore) -> None:
    made = board(store)
    count(made, "a", 0)
    store.faults["upsert_counters"] = "before"
    with pytest.raises(StoreUnavailable):
        made.flush(NOW_MS)
    made.flush(NOW_MS)
    assert stored(store) == {"a": 1.0}


def test_a_new_board_goes_on_from_what_is_stored(store: FaultyVectorStore) -> None:
    first, second = board(store), board(store)
    for offset in range(3):
        count(first, "a", offset)
    first.flush(NOW_MS)
    second.load([0])
    count(second, "b", 3)
    second.flush(NOW_MS)
    assert stored(store) == pytest.approx({"a": 1.0, "b": 1 / 3})


def test_a_partition_that_was_not_loaded_is_read_before_it_is_counted(store: FaultyVectorStore) -> None:
    first, second = board(store), board(store)
    count(first, "a", 0)
    first.flush(NOW_MS)
    count(second, "b", 1)
    second.flush(NOW_MS)
    assert stored(store) == {"a": 1.0, "b": 1.0}


def test_reading_another_partition_loses_nothing_of_the_first(store: FaultyVectorStore) -> None:
    made = board(store)
    count(made, "a", 0, partition=0)
    count(made, "b", 0, partition=1)
    made.flush(NOW_MS, force=True)
    assert stored(store) == {"a": 1.0, "b": 1.0}


def test_a_rebalance_keeps_the_counts_of_the_last_second(store: FaultyVectorStore) -> None:
    made = board(store)
    count(made, "a", 0)
    made.load([0, 1])
    assert stored(store) == {"a": 1.0}


def test_loading_returns_how_far_each_topic_was_counted(store: FaultyVectorStore) -> None:
    made = board(store)
    count(made, "a", 41, partition=2)
    made.flush(NOW_MS)
    assert board(store).load([1, 2]) == {("clicks", 2): 41}


def test_a_worker_left_behind_does_not_overwrite_newer_counts(store: FaultyVectorStore) -> None:
    left_behind, owner = board(store), board(store)
    count(left_behind, "old", 0)
    count(owner, "new", 5)
    owner.flush(NOW_MS)
    left_behind.flush(NOW_MS)
    assert stored(store) == {"new": 1.0}


def test_sequence_grows_with_every_event(store: FaultyVectorStore) -> None:
    made, sequences = board(store), []
    for offset in (3, 4, 9):
        count(made, "a", offset)
        made.flush(NOW_MS, force=True)
        sequences += [record.sequence for record in store.read_counters(NAMES)]
    assert sequences == [4, 5, 10]


def test_an_epoch_has_counts_of_its_own(store: FaultyVectorStore) -> None:
    old, new = board(store), board(store, epoch=1)
    count(old, "a", 100)
    old.flush(NOW_MS)
    count(new, "b", 0)
    new.flush(NOW_MS)
    assert stored(store) == {"a": 1.0, "b": 1.0}
