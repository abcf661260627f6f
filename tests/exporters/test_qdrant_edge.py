"""What the engine in this process promises beyond the contract: its folder, its locks, and ``kill -9``."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge

from encoders.errors import StoreError
from exporters.qdrant_edge import EdgeVectorStore
from exporters.qdrant_edge_engine import EdgeEngine
from exporters.qdrant_points import (
    EVIDENCE_LAYOUT,
    Layout,
    evidence_point,
    item_point,
    items_layout,
    point_id,
)
from exporters.vector_store import CollectionNames, ItemFilter, dimension_of
from tests.contracts.evidence_contract import evidence, neighbours
from tests.contracts.vector_store_contract import NAMES, SIZES, assert_same, item, user

REPOSITORY = Path(__file__).resolve().parents[2]
# Writes, says so, and never closes.
WRITER = """
import sys, time
from pathlib import Path
from exporters.qdrant_edge import EdgeVectorStore
from tests.contracts.vector_store_contract import NAMES, SIZES, item, user

store = EdgeVectorStore(Path(sys.argv[1]))
store.ensure_collections(NAMES, SIZES)
store.upsert_users(NAMES, [user(f"u{n}", 1) for n in range(50)])
store.upsert_users(NAMES, [user(f"u{n}", 2, token=2) for n in range(50)])
store.upsert_items(NAMES, [item("i")])
print("written", flush=True)
time.sleep(300)
"""


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a process left behind when it was killed right after its last write."""
    path = tmp_path_factory.mktemp("killed")
    with writer(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return path


def test_what_was_written_survives_kill_9(killed: Path) -> None:
    store = EdgeVectorStore(killed)
    found = store.retrieve_users(NAMES, [f"u{n}" for n in range(50)])
    stored_item = store.retrieve_items(NAMES, ["i"], with_text=True)[0]
    store.close()
    for n, record in enumerate(found):
        assert_same(record, user(f"u{n}", 2, token=2))
    assert_same(stored_item, item("i"))


def test_the_folder_of_a_killed_process_can_be_written_again(killed: Path) -> None:
    store = EdgeVectorStore(killed)
    store.ensure_collections(NAMES, SIZES)
    lost = store.upsert_users(NAMES, [user("u0", 3, token=3), user("u1", 2, token=9)])
    store.close()
    assert lost == ["u1"]


def test_a_second_process_is_told_that_the_folder_is_in_use(tmp_path: Path) -> None:
    with writer(tmp_path), pytest.raises(StoreError, match="in use by another process"):
        EdgeVectorStore(tmp_path)


def test_closing_gives_the_folder_free(tmp_path: Path) -> None:
    EdgeVectorStore(tmp_path).close()
    EdgeVectorStore(tmp_path).close()


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot keep vectors in .*file"):
        EdgeVectorStore(tmp_path / "file" / "vectors")


@pytest.mark.parametrize("version", ["../../up", "a/b", "", "x" * 300])
def test_a_model_version_that_is_no_folder_name_is_refused(tmp_path: Path, version: str) -> None:
    store = EdgeVectorStore(tmp_path)
    names = CollectionNames(f"{version}/items", "users", "counters", "evidence")
    with pytest.raises(StoreError, match="cannot be the name of a collection"):
        store.ensure_collections(names, SIZES)
    store.close()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path)
    store.ensure_collections(NAMES, SIZES)
    store.close()
    for call in (store.ping, lambda: store.count_users(NAMES)):
        with pytest.raises(StoreError, match="is closed"):
            call()


def test_a_damaged_collection_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / NAMES.users).mkdir()
    (tmp_path / NAMES.users / "edge_config.json").write_text("{")
    store = EdgeVectorStore(tmp_path)
    with pytest.raises(StoreError, match=NAMES.users):
        store.count_users(NAMES)
    store.close()


def test_an_id_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path)
    store.ensure_collections(NAMES, SIZES)
    with pytest.raises(StoreError, match="refused a write"):
        store.upsert_users(NAMES, [replace(user("u"), user_id="\ud800")])
    store.close()


def test_waiting_users_can_be_written_while_they_are_read(tmp_path: Path) -> None:
    store = EdgeVectorStore(tmp_path)
    store.ensure_collections(NAMES, SIZES)
    store.upsert_users(NAMES, [user(f"u{n}", 1, waiting=1) for n in range(1200)])
    seen = []
    for page in store.waiting_users(NAMES):
        seen += [record.user_id for record in page]
        store.upsert_users(NAMES, [user(record.user_id, 2, waiting=0) for record in page])
    store.close()
    assert sorted(seen) == sorted(f"u{n}" for n in range(1200))


def test_qdrant_ranks_by_evidence_as_the_sum_over_a_users_recent_items_does(tmp_path: Path) -> None:
    """Why neighbours are a sparse vector: one query gives what co-visitation with recent items gives."""
    rng = np.random.default_rng(5)
    ids = [f"i{n}" for n in range(200)]
    weights = rng.exponential(size=(200, 200)) * (rng.random((200, 200)) < 0.1)  # [item, neighbour]
    recent = {7: 1.0, 30: 0.7, 31: 0.49, 150: 0.343}
    engine = EdgeEngine(tmp_path)
    engine.ensure("evidence", EVIDENCE_LAYOUT)
    records = [
        evidence(ids[row], **neighbours({ids[n]: weights[row, n] for n in np.flatnonzero(weights[row])}))
        for row in range(200)
    ]
    engine.upsert_newer("evidence", [evidence_point(record) for record in records], "sequence")
    query = edge.SparseVector([dimension_of(ids[n]) for n in recent], list(recent.values()))
    hits = engine._shard("evidence").query(
        edge.QueryRequest(limit=200, query=edge.Query.Nearest(query, using="neighbours"))
    )
    engine.close()
    scores = weights[:, list(recent)] @ np.array(list(recent.values()))  # [item]
    order = [row for row in np.argsort(-scores, kind="stable") if scores[row] > 0]
    assert [hit.id for hit in hits] == [point_id(ids[row]) for row in order]
    np.testing.assert_allclose([hit.score for hit in hits], scores[order], rtol=1e-5)


def test_payload_indexes_come_with_the_first_points(tmp_path: Path) -> None:
    engine, layout = EdgeEngine(tmp_path), items_layout(SIZES)
    engine.ensure(NAMES.items, layout)
    made = set(engine._shard(NAMES.items).info().payload_schema)
    engine.upsert_newer(NAMES.items, [item_point(item("i"))], "source_offset")
    then = set(engine._shard(NAMES.items).info().payload_schema)
    engine.close()
    assert (made, then) == (set(), set(layout.indexes))


def test_items_of_an_older_version_are_read_and_filtered(tmp_path: Path) -> None:
    """It wrote neither ``brand`` nor ``created_at``, and indexed fewer keys."""
    engine = EdgeEngine(tmp_path)
    engine.ensure(
        NAMES.items,
        Layout(
            {"item": SIZES.item, "text": SIZES.text},
            frozenset({"item"}),
            indexes={"available": "integer", "updated_at": "integer"},
        ),
    )
    point = item_point(item("i", price=5.0))
    older = {key: value for key, value in point.payload.items() if key not in ("brand", "created_at")}
    engine.upsert_newer(NAMES.items, [replace(point, payload=older)], "source_offset")
    engine.close()
    store = EdgeVectorStore(tmp_path)
    store.ensure_collections(NAMES, SIZES)
    stored = store.retrieve_items(NAMES, ["i"], with_text=True)[0]
    passing = [
        ItemFilter(max_price=5, any_category=("Home",)),
        ItemFilter(no_brand=("b",), created_since_ms=0),
    ]
    failing = [ItemFilter(any_brand=("b",)), ItemFilter(created_since_ms=1)]
    queries = np.stack([item("i").vector] * 4)
    found = store.nearest_items(NAMES, queries, [1] * 4, [*passing, *failing])
    store.close()
    assert_same(stored, item("i", price=5.0, brand=None, created_at_ms=0))
    assert [len(hits) for hits in found] == [1, 1, 0, 0]
