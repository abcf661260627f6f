"""Users from cache or store, written by compare-and-swap; the cache forgets who was used longest ago."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from encoders.errors import StoreError, StoreUnavailable
from exporters.metrics import Metrics
from exporters.vector_store import CollectionNames, ItemRecord, UserRecord
from streams.catalog_replica import CatalogReplica
from streams.reencoding import encode_histories
from streams.state import Applied, UserState, Waiting
from streams.user_cache import UserCache
from streams.user_states import UserStates
from tests.fakes.faulty_vector_store import FaultyVectorStore
from tests.fakes.kafka_messages import NOW_MS
from tests.fakes.model import FakeModel

NAMES = CollectionNames.of("v1")
SIZES = FakeModel().sizes


@pytest.fixture
def store() -> FaultyVectorStore:
    made = FaultyVectorStore()
    made.ensure_collections(NAMES, SIZES)
    return made


def states(store: FaultyVectorStore, capacity: int = 10) -> UserStates:
    return UserStates(serving(store), UserCache(capacity))


def serving(store: FaultyVectorStore, *elsewhere: CollectionNames, version: str = "v1") -> Any:
    """A worker's surroundings, as far as states need them."""
    model, names = FakeModel(version), CollectionNames.of(version)
    replica = CatalogReplica(store, names)
    generation = SimpleNamespace(sizes=SIZES)
    return SimpleNamespace(
        store=store,
        names=names,
        model=model,
        generation=generation,
        replica=replica,
        elsewhere=elsewhere,
        metrics=Metrics(),
    )


def wait(item_id: str, partition: int = 0, deadline_ms: int = NOW_MS + 100) -> Waiting:
    return Waiting("clicks", partition, 0, b"u", b"{}", item_id, deadline_ms, NOW_MS)


def put(made: UserStates, user_id: str, *waiting: Waiting) -> UserState:
    user = made.load([user_id])[0]
    user.history.waiting = list(waiting)
    assert made.save([user], NOW_MS) == []
    return user


def test_states_come_in_the_order_asked_for(store: FaultyVectorStore) -> None:
    made = states(store)
    put(made, "cached")
    put(states(store), "stored")
    assert [one.user_id for one in made.load(["new", "stored", "cached"])] == ["new", "stored", "cached"]


def test_a_saved_user_is_read_back_by_another_worker(store: FaultyVectorStore) -> None:
    made = states(store)
    user = made.load(["u"])[0]
    user.interest = np.full(SIZES.item, 0.5, np.float32)
    user.history.applied = 3
    made.save([user], NOW_MS)
    found = states(store).load(["u"])[0]
    np.testing.assert_array_equal(found.interest, user.interest)
    assert (found.history, found.sequence) == (user.history, 1)


def test_saving_nothing_asks_the_store_nothing(store: FaultyVectorStore) -> None:
    states(store).save([], NOW_MS)
    assert store.log == []


def test_the_second_of_two_writers_loses(store: FaultyVectorStore) -> None:
    first, second = states(store), states(store)
    one, other = first.load(["u"])[0], second.load(["u"])[0]
    assert first.save([one], NOW_MS) == []
    assert second.save([other], NOW_MS) == ["u"]


def test_a_writer_that_lost_reads_the_store_again(store: FaultyVectorStore) -> None:
    first, second = states(store), states(store)
    other = second.load(["u"])[0]
    put(first, "u").history.applied = 1
    second.save([other], NOW_MS)
    assert second.load(["u"])[0].sequence == 1


def test_a_stale_cache_loses_and_does_not_overwrite(store: FaultyVectorStore) -> None:
    left_behind, owner = states(store), states(store)
    put(left_behind, "u")
    for _ in range(3):
        put(owner, "u")
    assert left_behind.save(left_behind.load(["u"]), NOW_MS) == ["u"]


def test_after_a_failed_write_nothing_doubtful_is_cached(store: FaultyVectorStore) -> None:
    made = states(store)
    store.faults["upsert_users"] = "after"
    with pytest.raises(StoreUnavailable):
        made.save(made.load(["u"]), NOW_MS)
    assert (len(made), made.load(["u"])[0].sequence) == (0, 1)


def test_a_damaged_state_is_an_error_and_not_a_new_user(store: FaultyVectorStore) -> None:
    zeros = np.zeros(SIZES.item, np.float32)
    store.upsert_users(NAMES, [UserRecord("u", zeros, zeros, b"\xc1", 1, 1, 0, NOW_MS)])
    with pytest.raises(StoreError, match="cannot be read"):
        states(store).load(["u"])


class TestWaits:
    """Who waits for what, and until when."""

    def test_nobody_is_due_while_nothing_happens(self, store: FaultyVectorStore) -> None:
        made = states(store)
        put(made, "u", wait("x"))
        assert made.due(set().__contains__, NOW_MS) == []

    def test_a_user_is_due_when_one_of_its_items_arrives(self, store: FaultyVectorStore) -> None:
        made = states(store)
        put(made, "u", wait("x"), wait("y"))
        put(made, "v", wait("z"))
        assert made.due({"y"}.__contains__, NOW_MS) == ["u"]

    def test_a_user_is_due_at_its_first_deadline(self, store: FaultyVectorStore) -> None:
        made = states(store)
        put(made, "u", wait("x", deadline_ms=NOW_MS + 50), wait("y", deadline_ms=NOW_MS + 10))
        assert made.due(set().__contains__, NOW_MS + 9) == []
        assert made.due(set().__contains__, NOW_MS + 10) == ["u"]

    def test_a_user_whose_events_were_applied_waits_no_longer(self, store: FaultyVectorStore) -> None:
        made = states(store)
        put(made, "u", wait("x"))
        put(made, "u")
        assert (made.waiting_count, made.waiting_items()) == (0, set())

    def test_a_user_that_left_the_cache_waits_on(self, store: FaultyVectorStore) -> None:
        made = states(store, capacity=1)
        put(made, "u", wait("x"))
        put(made, "v")
        assert made.due({"x"}.__contains__, NOW_MS) == ["u"]

    def test_taking_over_finds_the_waiting_users_of_the_partitions(self, store: FaultyVectorStore) -> None:
        for number, user_id in enumerate("uvw"):
            put(states(store), user_id, wait(f"item-{number}", partition=number))
        heir = states(store)
        heir.take_over({0, 2})
        assert heir.waiting_items() == {"item-0", "item-2"}

    def test_taking_over_empties_the_cache(self, store: FaultyVectorStore) -> None:
        made = states(store)
        put(made, "u")
        made.take_over({0})
        assert len(made) == 0


class TestAnotherModel:
    """Another model takes over: who is in memory is encoded from there."""

    def test_users_in_memory_are_encoded_again_and_not_read(self, store: FaultyVectorStore) -> None:
        made, user = clicked(store)
        store.log.clear()
        found = changed(made, store, "v2").load(["u"])[0]
        assert "retrieve_users" not in store.log
        assert found.history == user.history
        np.testing.assert_array_equal(
            found.interest, encode_histories(FakeModel("v2", 2), VECTORS, [user])[1][0]
        )

    def test_who_did_not_come_while_it_served_is_taken_up_where_the_first_left_off(
        self, store: FaultyVectorStore
    ) -> None:
        made, user = clicked(store)
        user.interest[:] = 0.25  # as no history makes it: what the history has forgotten is in it
        changed(made, store, "v2")
        found = changed(made, store, "v1").load(["u"])[0]
        assert (found.interest == 0.25).all()

    def test_who_came_is_written_above_what_each_version_holds(self, store: FaultyVectorStore) -> None:
        made, user = clicked(store)
        changed(made, store, "v2")
        again = made.load(["u"])[0]
        assert made.save([again], NOW_MS) == []
        assert store.retrieve_users(CollectionNames.of("v2"), ["u"])[0].sequence == user.sequence


VECTORS = {"x": np.linspace(0.1, 0.6, SIZES.item, dtype=np.float32)}


def clicked(store: FaultyVectorStore) -> tuple[UserStates, UserState]:
    """A worker that holds the user ``u`` in memory, with one event."""
    made = states(store)
    user = made.load(["u"])[0]
    user.history.events = [Applied("x", 0, NOW_MS)]
    user.history.applied = 1
    assert made.save([user], NOW_MS) == []
    return made, user


def changed(made: UserStates, store: FaultyVectorStore, version: str) -> UserStates:
    """The same worker when another model is at work."""
    names = CollectionNames.of(version)
    store.ensure_collections(names, SIZES)
    others = tuple(CollectionNames.of(one) for one in ("v1", "v2") if one != version)
    made._serving = serving(store, *others, version=version)
    made._serving.model = FakeModel(version, 2 if version == "v2" else 0)
    nothing = np.zeros(0, np.float32)
    item = ItemRecord("x", VECTORS["x"], nothing, "X", (), None, True, "", 0, NOW_MS)
    made._serving.replica.items.put([item])
    return made


def cached(cache: UserCache, *user_ids: str) -> None:
    for user_id in user_ids:
        cache.put(UserState.new(user_id, 1, 1))


def test_cache_forgets_who_was_put_longest_ago() -> None:
    cache = UserCache(2)
    cached(cache, "a", "b", "c")
    assert [cache.take(one) is not None for one in "abc"] == [False, True, True]


def test_a_user_taken_and_put_back_counts_as_used() -> None:
    cache = UserCache(2)
    cached(cache, "a", "b")
    user = cache.take("a")
    assert user is not None
    cache.put(user)
    cached(cache, "c")
    assert [cache.take(one) is not None for one in "abc"] == [True, False, True]


def test_a_taken_user_is_no_longer_in_the_cache() -> None:
    cache = UserCache(2)
    cached(cache, "a")
    cache.take("a")
    assert cache.take("a") is None


def test_a_cache_without_capacity_keeps_nobody() -> None:
    cache = UserCache(0)
    cached(cache, "a")
    assert len(cache) == 0
