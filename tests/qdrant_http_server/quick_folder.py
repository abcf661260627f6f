"""A folder for vectors that is quick to make and to leave."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 2 * 2**30


@contextmanager
def quick_folder() -> Iterator[Path]:
    """In memory where there is plenty: a new shard is synced, a quarter of a second on a busy disk."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    with TemporaryDirectory(dir=MEMORY if roomy else None) as folder:
        yield Path(folder)
