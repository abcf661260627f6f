"""Read text files line by line, whatever is in them: gzip, overlong lines, wrong bytes, cut-off ends."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar, cast

import msgspec

from encoders.datasets.dataset import MALFORMED, Skip, Skipped
from encoders.errors import DataError

MAX_LINE_BYTES = 1 << 20
"""Longer lines are left out and counted; the longest published ones are descriptions of Amazon's items."""

UTF8 = ("utf-8",)
UTF8_OR_LATIN1 = ("utf-8", "latin-1")
"""For sets that were published in both: every byte string is valid Latin-1, so nothing is left out."""

T = TypeVar("T")
_CHUNK = 1 << 18
_OVERLONG = Skip("line too long")
_ENCODING = Skip("wrong encoding")


def parse_lines(
    path: Path,
    parse: Callable[[int, str], T | Skip],
    *,
    header: bool = False,
    encodings: Sequence[str] = UTF8,
) -> Iterator[T | Skip]:
    """Yield ``parse(line number from 1, line)`` for each line; a line that cannot be parsed gives a ``Skip``.

    Lines end with ``\\n`` or ``\\r\\n``; a quoted field holds no line break. ``header`` leaves the first
    line out. Raises ``DataError`` where the file cannot be read or is a damaged gzip file.
    """
    for number, raw in enumerate(islice(_raw_lines(path), int(header), None), 1 + header):
        line = _decode(raw, encodings) if isinstance(raw, bytes) else raw
        if isinstance(line, Skip):
            yield line
            continue
        try:
            row = parse(number, line)
        except (ValueError, IndexError, OverflowError, csv.Error, msgspec.MsgspecError):
            row = MALFORMED
        yield row


def kept(rows: Iterable[T | Skip], skipped: Skipped) -> Iterator[T]:
    """The rows that are none of ``Skip``; the others are counted in ``skipped``."""
    for row in rows:
        if isinstance(row, Skip):
            skipped[row.reason] += 1
        else:
            yield row


def columns(path: Path, names: Sequence[str], split: Callable[[str], list[str]]) -> list[int]:
    """Where the named columns stand in the file's header; RecBole's ``name:type`` counts as ``name``.

    Raises ``DataError`` where one is missing.
    """
    raw = next(_raw_lines(path), b"")
    text = raw.decode("utf-8-sig", "replace") if isinstance(raw, bytes) else ""
    header = [name.strip().partition(":")[0].casefold() for name in split(text)]
    if any(name.casefold() not in header for name in names):
        raise DataError(f"{path} has another form than named: its first line should name {', '.join(names)}")
    return [header.index(name.casefold()) for name in names]


def split_csv(line: str) -> list[str]:
    """The fields of one comma-separated line; quotes as in RFC 4180, without line breaks inside them."""
    if '"' not in line:
        return line.split(",")
    return next(csv.reader([line], strict=True))


def split_tabs(line: str) -> list[str]:
    """The fields of one tab-separated line."""
    return line.split("\t")


def _decode(raw: bytes, encodings: Sequence[str]) -> str | Skip:
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return _ENCODING


def _raw_lines(path: Path) -> Iterator[bytes | Skip]:
    try:
        with _open(path) as file:
            yield from _split_bounded(file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file, fetch it again: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _split_bounded(file: IO[bytes]) -> Iterator[bytes | Skip]:
    """Lines without their ends; of an overlong one no more than the limit is ever held."""
    rest, overlong = b"", False
    while chunk := file.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield _OVERLONG if overlong or len(line) > MAX_LINE_BYTES else line.removesuffix(b"\r")
            overlong = False
        if len(rest) > MAX_LINE_BYTES:
            rest, overlong = b"", True
    if rest or overlong:
        yield _OVERLONG if overlong else rest.removesuffix(b"\r")
