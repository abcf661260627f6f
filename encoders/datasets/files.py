"""Find a format's files in the folder that was named."""

from __future__ import annotations

from pathlib import Path

from encoders.errors import DataError


def find(path: Path, pattern: str) -> list[Path]:
    """The files in the folder ``path`` whose name matches, gzipped or not, by name."""
    return sorted({*path.glob(pattern), *path.glob(pattern + ".gz")})


def find_one(path: Path, pattern: str) -> Path | None:
    """The first file in the folder ``path`` whose name matches, gzipped or not."""
    return next(iter(find(path, pattern)), None)


def require(path: Path, expected: str, *patterns: str) -> list[Path]:
    """``path`` itself where it is a file, else all files in it that match.

    Raises ``DataError`` where there are none; ``expected`` says in words what should be there.
    """
    if path.is_file():
        return [path]
    found = [file for pattern in patterns for file in find(path, pattern)]
    if not found:
        raise missing(path, expected)
    return found


def missing(path: Path, expected: str) -> DataError:
    """The error for a folder that does not hold what the format needs."""
    state = "does not hold the data set" if path.exists() else "does not exist"
    return DataError(f"{path} {state}: expected {expected}")
