"""What the engine in this process promises beyond the contract: its folder, its locks, and ``kill -9``."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from encoders.errors import StoreError
from exporters.qdrant_edge import EdgeVectorStore
from exporters.vector_store import CollectionNames
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
