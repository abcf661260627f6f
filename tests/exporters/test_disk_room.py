"""The engine in this process on a disk that is really full: nothing ends, and what was written stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from encoders.errors import StoreUnavailable
from exporters.disk_room import MB, RESERVE, require_room
from tests.support.full_disk import fill_up, small_disk
from tests.support.workers import REPOSITORY

PRELUDE = """
import sys
from pathlib import Path
import numpy as np
from encoders.errors import StoreUnavailable
from exporters.qdrant_edge import EdgeVectorStore
from exporters.vector_store import CollectionNames
from tests.contracts.vector_store_contract import SIZES, item, user
from tests.support.full_disk import fill_up

disk, running, released = Path(sys.argv[1]), CollectionNames.of("v1"), CollectionNames.of("v2")

def refused(call, *arguments):
    try:
        call(*arguments)
    except StoreUnavailable as error:
        assert "is full" in str(error), error
    else:
        raise AssertionError("it was done")

store = EdgeVectorStore(disk / "vectors")
store.ensure_collections(running, SIZES)
"""

FULL = """
store.upsert_items(running, [item(f"i{n}") for n in range(100)])
ballast = fill_up(disk)
for _ in range(20):
    refused(store.upsert_items, running, [item(f"j{n}") for n in range(100)])
assert store.count_items(running) == 100
assert store.nearest_items(running, item("i7").vector[None], [1])[0][0].item_id == "i7"
ballast.unlink()
store.upsert_items(running, [item("late")])
assert store.count_items(running) == 101
store.close()
"""

GROWING = """
fill_up(disk, but_for=66 * 2**20)
try:
    for start in range(0, 20_000, 100):
        store.upsert_items(running, [item(f"i{n}") for n in range(start, start + 100)])
except StoreUnavailable:
    assert store.count_items(running) == start
    store.close()
else:
    raise AssertionError("it found room")
"""

RELEASED = """
store.upsert_items(running, [item(f"i{n}") for n in range(100)])
fill_up(disk, but_for=65 * 2**20)
refused(store.ensure_collections, released, SIZES)
store.upsert_users(running, [user("ann")])
assert not store.has_users(released)
store.close()
"""


@pytest.mark.parametrize("story", ["full", "growing", "released"])
def test_a_full_disk_is_refused_and_the_process_goes_on(story: str, tmp_path: Path) -> None:
    """In a process of its own: the kernel would end it (SIGBUS)."""
    program = PRELUDE + {"full": FULL, "growing": GROWING, "released": RELEASED}[story]
    with small_disk(tmp_path / "disk", megabytes=160) as disk:
        command = [sys.executable, "-c", program, str(disk)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_room_is_what_is_wanted_and_the_reserve(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=80) as disk:
        fill_up(disk, but_for=RESERVE + 2 * MB)
        require_room(disk, MB)
        with pytest.raises(StoreUnavailable, match="make room there"):
            require_room(disk, 4 * MB)
