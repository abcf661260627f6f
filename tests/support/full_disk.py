"""File systems of a few megabytes, to be full in earnest: what a library does then no fake can tell."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BALLAST = "ballast"


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size at ``place``; the test skips, and says so, where none may be mounted."""
    place.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("a full disk needs `mount`, which is not here")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "freshet-test", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a full disk needs the right to mount one: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill_up(place: Path, but_for: int = 0) -> Path:
    """Write a file that leaves ``but_for`` bytes of a small disk free; to delete it makes room again."""
    ballast = place / BALLAST
    left = shutil.disk_usage(place).free - but_for
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, left)
    return ballast
