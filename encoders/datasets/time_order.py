"""Sort interactions by time in bounded memory: sorted runs on disk, merged."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from operator import attrgetter
from typing import IO

import msgspec

from encoders.events import Interaction

RUN_LENGTH = 500_000
"""Interactions held in memory at once, about 250 MB; MovieLens 32M becomes 64 runs."""

_time = attrgetter("timestamp_ms")


def in_time_order(interactions: Iterable[Interaction], run_length: int = RUN_LENGTH) -> Iterator[Interaction]:
    """Yield the interactions by ``timestamp_ms``, equal ones in the order they came.

    Up to ``run_length`` of them are sorted in memory; more go through temporary files that vanish with the
    iterator (an external merge sort: Knuth, The Art of Computer Programming, vol. 3, 5.4).
    """
    source = iter(interactions)
    run = sorted(islice(source, run_length), key=_time)
    if len(run) < run_length:
        yield from run
        return
    with ExitStack() as files:
        runs: list[Iterator[Interaction]] = []
        while run:
            runs.append(_read_run(_write_run(run, files)))
            run = sorted(islice(source, run_length), key=_time)
        # merge() takes from the earlier run first where timestamps are equal, so the sort is stable.
        yield from heapq.merge(*runs, key=_time)


def _write_run(run: list[Interaction], files: ExitStack) -> IO[bytes]:
    file: IO[bytes] = tempfile.TemporaryFile(prefix="freshet-sort-")  # noqa: SIM115 - closed by the stack
    files.enter_context(file)
    file.write(msgspec.json.Encoder().encode_lines(run))
    file.seek(0)
    return file


def _read_run(file: IO[bytes]) -> Iterator[Interaction]:
    decode = msgspec.json.Decoder(Interaction).decode
    return (decode(line) for line in file)
