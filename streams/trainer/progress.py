"""How far a training is: bars on a terminal, lines in a log otherwise."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import Protocol, Self

from streams.cli.training_progress import TrainingBar

log = logging.getLogger(__name__)

LINE_SECONDS = 10.0


class Report(Protocol):
    """Shows one training; a context manager."""

    def update(self, stage: str, done: int, total: int, note: str) -> None:
        """``done`` of ``total`` of a stage, and a note."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ProgressLog:
    """A line for each stage's end, and one every ten seconds."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def update(self, stage: str, done: int, total: int, note: str) -> None:
        """Log it, where it is time."""
        now = time.monotonic()
        ended = done >= total and stage != "batch"
        if ended or now - self._told >= LINE_SECONDS:
            self._told = now
            log.info("%s %d of %d %s", stage, done, total, note)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left open."""


def report() -> Report:
    """Bars where somebody looks."""
    return TrainingBar() if sys.stderr.isatty() else ProgressLog()
