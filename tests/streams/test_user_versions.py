"""Users stored under several versions: the newest record is read, whichever model wrote it."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.vector_store import CollectionNames, UserRecord
from streams.state import History, pack
from streams.user_versions import read_users
from tests.fakes.memory_vector_store import MemoryVectorStore
from tests.fakes.model import FakeModel

SIZES = FakeModel().sizes
NEW, OLD = CollectionNames.of("new"), CollectionNames.of("old")


@pytest.fixture
def store() -> MemoryVectorStore:
    made = MemoryVectorStore()
    for names in (NEW, OLD):
        made.ensure_collections(names, SIZES)
    return made


def put(store: MemoryVectorStore, names: CollectionNames, offset: int, sequence: int) -> None:
    interest, state = np.ones(SIZES.item, np.float32), np.ones(SIZES.state, np.float32)
    blob = pack(History(offsets={"0/clicks:0": offset}, applied=offset))
    store.upsert_users(names, [UserRecord("ann", interest, state, blob, sequence, sequence, 0, 0)])


def read(store: MemoryVectorStore, *elsewhere: CollectionNames) -> tuple[int, int, str | None, float]:
    user = read_users(store, NEW, SIZES, elsewhere, ["ann"])[0]
    return user.history.applied, user.sequence, user.encoded_by, float(user.state.sum())


def test_nobody_begins_empty(store: MemoryVectorStore) -> None:
    assert read(store, OLD) == (0, 0, NEW.users, 0.0)


def test_the_model_at_work_has_its_own_vectors(store: MemoryVectorStore) -> None:
    put(store, NEW, offset=5, sequence=2)
    assert read(store, OLD) == (5, 2, NEW.users, float(SIZES.state))


def test_a_user_of_another_version_comes_without_vectors(store: MemoryVectorStore) -> None:
    put(store, OLD, offset=5, sequence=3)
    assert read(store, OLD) == (5, 3, None, 0.0)


def test_the_record_that_came_further_is_taken(store: MemoryVectorStore) -> None:
    put(store, NEW, offset=5, sequence=3)
    put(store, OLD, offset=7, sequence=4)
    assert read(store, OLD) == (7, 4, None, 0.0)


def test_further_counts_before_the_number_of_writes_and_the_write_beats_both(
    store: MemoryVectorStore,
) -> None:
    put(store, NEW, offset=7, sequence=2)
    put(store, OLD, offset=5, sequence=9)
    assert read(store, OLD) == (7, 9, NEW.users, float(SIZES.state))


def test_of_equals_that_of_the_model_at_work_is_taken(store: MemoryVectorStore) -> None:
    put(store, NEW, offset=5, sequence=3)
    put(store, OLD, offset=5, sequence=3)
    assert read(store, OLD)[2]
