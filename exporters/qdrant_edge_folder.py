"""The folder of an engine in this process: its lock, and a folder inside for each collection."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from pathlib import Path

from encoders.errors import StoreError
from exporters.disk_room import require_room, taken

CONFIG = "edge_config.json"
CHUNK = 1 << 20
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_BESIDE = re.compile(rf"\.({_FOLDER_NAME.pattern})\.filling")


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
    return (folder / CONFIG).is_file()


def filling_folder(folder: Path) -> Path:
    """What lies beside a collection's ``folder`` until it is filled; no collection has such a name."""
    return folder.with_name(f".{folder.name}.filling")


def remove_unfinished(path: Path) -> None:
    """Remove the collections that a process which has ended was about to fill."""
    for beside in path.iterdir():
        if match := _BESIDE.fullmatch(beside.name):
            shutil.rmtree(path / match[1], ignore_errors=True)
            shutil.rmtree(beside, ignore_errors=True)


def layout_in(folder: Path) -> tuple[object, object]:
    """Names and sizes of a collection's vectors, dense and sparse."""
    config = json.loads((folder / CONFIG).read_bytes())
    return config["vectors"], config["sparse_vectors"]


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder of files, holes as holes: the engine's are larger than what is in them.

    Raises ``StoreUnavailable`` where there is no room for it.
    """
    require_room(source.parent, taken(source))
    shutil.copytree(source, target, copy_function=_copy_file)


def sync_folder(folder: Path) -> None:
    """Put all files onto the disk; unlike a flush of the engine, without the interpreter lock."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _copy_file(source: str, target: str) -> None:
    with open(source, "rb", 0) as reading, open(target, "xb", 0) as writing:
        at, size = 0, os.fstat(reading.fileno()).st_size
        writing.truncate(size)
        while at < size:
            try:
                at = os.lseek(reading.fileno(), at, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return  # a hole to the end
            end = os.lseek(reading.fileno(), at, os.SEEK_HOLE)
            while at < end:
                chunk = os.pread(reading.fileno(), min(CHUNK, end - at), at)
                at += os.pwrite(writing.fileno(), chunk, at)
