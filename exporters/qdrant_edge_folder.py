"""The folder of an engine in this process: its lock, and a folder inside for each collection."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from encoders.errors import StoreError

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def take_folder(path: Path) -> int:
    """Lock the folder for this process, and give the lock file, which is to be closed.

    The lock goes with the process, however it ends. Raises ``StoreError`` where another process has it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock_file = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"cannot keep vectors in {path}: {error.strerror}; name a folder to write to"
        ) from error
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock_file)
        raise StoreError(
            f"the vectors in {path} are in use by another process: stop it, name another folder, "
            "or use a Qdrant server, which several workers can share"
        ) from error
    return lock_file


def shard_folder(path: Path, collection: str) -> Path:
    """Where a collection is kept; raises ``StoreError`` for a name that could lead elsewhere."""
    if not _FOLDER_NAME.fullmatch(collection):
        raise StoreError(
            f"{collection!r} cannot be the name of a collection: "
            "use up to 200 letters, digits, dots, dashes and underscores"
        )
    return path / collection


def is_shard(folder: Path) -> bool:
    """Whether a collection was made here."""
    return (folder / "edge_config.json").is_file()
