"""Room on the disk, asked for before the engine in this process takes it.

The engine writes through mapped memory: where the disk is full the kernel ends the process (SIGBUS), and no
error is raised that anybody could catch (qdrant-edge 0.9.0, measured).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from encoders.errors import StoreUnavailable

MB: Final = 1 << 20
RESERVE: Final = 64 * MB
"""What the engine may take at once, of its own accord: a segment of its log, a page of payloads."""
BLOCK: Final = 512
"""Bytes of ``st_blocks``."""


def require_room(folder: Path, wanted: int = 0) -> None:
    """Raise ``StoreUnavailable`` unless ``wanted`` bytes and the reserve are free on the folder's disk."""
    free = shutil.disk_usage(folder).free
    if free < wanted + RESERVE:
        raise StoreUnavailable(
            f"the disk of {folder} is full: {free // MB} MB are free, {(wanted + RESERVE) // MB} are needed; "
            "make room there, it is tried again"
        )


def taken(folder: Path) -> int:
    """Bytes on the disk of the files in a folder; the engine's have holes, and are larger by their names."""
    return sum(path.stat().st_blocks * BLOCK for path in folder.rglob("*") if path.is_file())
