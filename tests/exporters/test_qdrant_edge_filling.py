"""A collection that begins as a copy of another one's folder ends as one that was written point by point."""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from encoders.errors import StoreError
from exporters import qdrant_edge
from exporters.qdrant_edge import EdgeVectorStore, Filling
from exporters.qdrant_edge_engine import EdgeEngine
from exporters.qdrant_edge_folder import copy_folder
from exporters.qdrant_points import item_point, items_layout
from exporters.qdrant_store import QdrantVectorStore
from exporters.vector_store import CollectionNames, ItemFilter, ItemRecord, VectorSizes
from tests.contracts.vector_store_contract import NAMES, OTHER, SIZES, assert_same, item, turned
from tests.qdrant_http_server.quick_folder import quick_folder

THIRD = CollectionNames.of("v3", prefix="test-")
ITEMS = [
    item(f"i{n}", price=float(n), available=n % 3 > 0, brand="b" if n % 2 else None, source_offset=5)
    for n in range(250)
]
IDS = [one.item_id for one in ITEMS]
QUERY = item("query").vector[None]


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


@pytest.fixture
def store(folder: Path) -> Iterator[EdgeVectorStore]:
    """With all items under one version, and none under another."""
    store = EdgeVectorStore(folder / "store")
    store.ensure_collections(NAMES, SIZES)
    store.ensure_collections(OTHER, SIZES)
    store.upsert_items(NAMES, ITEMS)
    yield store
    store.close()


def whole(store: EdgeVectorStore, names: CollectionNames) -> list[ItemRecord | None]:
    return store.retrieve_items(names, IDS, with_text=True)


def turned_item(item_id: str) -> ItemRecord:
    """An item as the other version has it."""
    one = item(item_id)
    return replace(one, vector=turned(one.text_vector[None])[0])


def begun(store: EdgeVectorStore) -> Generator[list[ItemRecord]]:
    """The first page is done."""
    pages = cast(Generator[list[ItemRecord]], store.copy_items(NAMES, OTHER, turned))
    next(pages)
    return pages


def assert_filled(store: EdgeVectorStore, names: CollectionNames = OTHER) -> None:
    for stored, one in zip(whole(store, names), ITEMS, strict=True):
        assert_same(stored, replace(one, vector=turned(one.text_vector[None])[0]))


def test_it_is_what_writing_every_point_gives(store: EdgeVectorStore) -> None:
    store.ensure_collections(THIRD, SIZES)
    list(store.copy_items(NAMES, OTHER, turned))
    list(QdrantVectorStore.copy_items(store, NAMES, THIRD, turned))
    for copied, written in zip(whole(store, OTHER), whole(store, THIRD), strict=True):
        assert written is not None
        assert_same(copied, written)
    wanted = ItemFilter(max_price=99, no_brand=("b",))
    for filters in (None, [wanted]):
        found = [store.nearest_items(names, QUERY, [20], filters) for names in (OTHER, THIRD)]
        assert found[0] == found[1]


def test_every_item_is_given_with_its_new_vector(store: EdgeVectorStore) -> None:
    given = {one.item_id: one for page in store.copy_items(NAMES, OTHER, turned) for one in page}
    stored = store.retrieve_items(OTHER, IDS)
    for one in stored:
        assert one is not None
        assert_same(given[one.item_id], one)


def test_the_collection_that_is_copied_stays_as_it_was(store: EdgeVectorStore) -> None:
    list(store.copy_items(NAMES, OTHER, turned))
    for stored, one in zip(whole(store, NAMES), ITEMS, strict=True):
        assert_same(stored, one)


def test_an_item_that_changes_meanwhile_keeps_the_vector_of_its_new_text(store: EdgeVectorStore) -> None:
    pages = store.copy_items(NAMES, OTHER, turned)
    first = {one.item_id for one in next(pages)}
    text = item("another text").text_vector
    early, late = (next(one for one in ITEMS if (one.item_id in first) == done) for done in (True, False))
    changed = [
        replace(one, source_offset=6, text_vector=text, vector=turned(text[None])[0]) for one in (early, late)
    ]
    store.upsert_items(OTHER, changed)
    list(pages)
    stored = store.retrieve_items(OTHER, [early.item_id, late.item_id], with_text=True)
    for one, wanted in zip(stored, changed, strict=True):
        assert_same(one, wanted)


def test_an_item_that_comes_meanwhile_stays(store: EdgeVectorStore) -> None:
    pages = store.copy_items(NAMES, OTHER, turned)
    next(pages)
    new = turned_item("new")
    store.upsert_items(OTHER, [new])
    list(pages)
    assert store.count_items(OTHER) == len(ITEMS) + 1
    assert_same(store.retrieve_items(OTHER, ["new"], with_text=True)[0], new)


def test_what_was_searched_before_is_searched_anew(store: EdgeVectorStore) -> None:
    assert store.nearest_items(OTHER, QUERY, [5]) == [[]]
    list(store.copy_items(NAMES, OTHER, turned))
    texts = np.stack([one.text_vector for one in ITEMS if one.available])
    scores = [hit.score for hit in store.nearest_items(OTHER, QUERY, [5])[0]]
    np.testing.assert_allclose(scores, np.sort(turned(texts) @ QUERY[0])[:-6:-1], rtol=1e-5)


def test_what_is_written_afterwards_is_there_when_it_is_opened_again(
    store: EdgeVectorStore, folder: Path
) -> None:
    """The copy's log goes on where the other one's was: a lower number would be ignored."""
    list(store.copy_items(NAMES, OTHER, turned))
    later = item("i7", title="another", source_offset=6)
    store.upsert_items(OTHER, [later])
    store.close()
    again = EdgeVectorStore(folder / "store")
    stored = again.retrieve_items(OTHER, ["i7"], with_text=True)[0]
    again.close()
    assert_same(stored, later)


def test_after_kill_9_in_the_middle_it_is_empty_and_is_filled_at_the_next_start(
    store: EdgeVectorStore, folder: Path
) -> None:
    pages = begun(store)
    copy_folder(folder / "store", folder / "left")  # what is on the disk at this moment
    pages.close()
    again = EdgeVectorStore(folder / "left")
    again.ensure_collections(OTHER, SIZES)
    assert again.count_items(OTHER) == 0
    list(again.copy_items(NAMES, OTHER, turned))
    assert_filled(again)
    again.close()


def test_given_up_in_the_middle_it_is_empty_and_can_be_filled_again(store: EdgeVectorStore) -> None:
    pages = begun(store)
    pages.close()
    assert store.count_items(OTHER) == 0
    list(store.copy_items(NAMES, OTHER, turned))
    assert_filled(store)


def full(step: Callable[..., object], before: bool) -> Callable[..., object]:
    """The disk is full before a step takes effect, or after it."""

    def failing(*arguments: object) -> None:
        if not before:
            step(*arguments)
        raise OSError(errno.ENOSPC, "No space left on device")

    return failing


@pytest.mark.parametrize("step", ["copy_folder", "sync_folder", "_replace"])
@pytest.mark.parametrize("before", [True, False])
def test_a_full_disk_is_told_and_leaves_nothing_behind(
    store: EdgeVectorStore, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(qdrant_edge, step, full(getattr(qdrant_edge, step), before))
        with pytest.raises(StoreError, match="No space left"):
            list(store.copy_items(NAMES, OTHER, turned))
    store.ensure_collections(OTHER, SIZES)  # as at every attempt
    assert store.count_items(OTHER) == 0
    assert [one.name for one in (folder / "store").glob(".*.filling")] == []
    list(store.copy_items(NAMES, OTHER, turned))
    assert_filled(store)


def test_it_has_the_payload_indexes_that_the_copied_one_lacks(folder: Path) -> None:
    """Of which an older version made fewer."""
    wanted = items_layout(SIZES)
    engine = EdgeEngine(folder / "older")
    engine.ensure(NAMES.items, replace(wanted, indexes={"available": "integer"}))
    engine.upsert_newer(NAMES.items, [item_point(one) for one in ITEMS[:9]], "source_offset")
    engine.ensure(OTHER.items, wanted)
    assert Filling(engine, NAMES.items, OTHER.items).begin()
    found = set(engine._shard(OTHER.items).info().payload_schema)
    engine.close()
    assert found == set(wanted.indexes)


def test_vectors_of_other_sizes_are_written_point_by_point(store: EdgeVectorStore) -> None:
    store.ensure_collections(THIRD, VectorSizes(item=2, text=SIZES.text, state=SIZES.state))
    list(store.copy_items(NAMES, THIRD, lambda texts: texts[:, :2]))
    stored = store.retrieve_items(THIRD, ["i3"])[0]
    assert stored is not None
    np.testing.assert_array_equal(stored.vector, ITEMS[3].text_vector[:2])


def test_a_file_is_copied_with_its_holes(tmp_path: Path) -> None:
    size = 1 << 24
    (tmp_path / "from").mkdir()
    with (tmp_path / "from" / "file").open("wb") as file:
        file.write(b"first")
        file.seek(size // 2)
        file.write(b"middle")
        file.truncate(size)
    copy_folder(tmp_path / "from", tmp_path / "to")
    copied, original = tmp_path / "to" / "file", tmp_path / "from" / "file"
    assert copied.read_bytes() == original.read_bytes()
    assert copied.stat().st_blocks <= original.stat().st_blocks
