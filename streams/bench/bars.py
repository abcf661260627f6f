"""Progress on stderr, so that stdout holds the result alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bar:
    """One stage of the work."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, steps: int) -> None:
        """``steps`` more are done."""
        self._progress.advance(self._task, steps)

    def reach(self, done: int) -> None:
        """``done`` in all are done."""
        self._progress.update(self._task, completed=done)


class Bars:
    """All stages, a line each; a context manager. Where stderr is no terminal they show at the end."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )

    @contextmanager
    def stage(self, name: str, total: int = 1) -> Iterator[Bar]:
        """Show a stage of ``total`` steps while the block runs."""
        task = self._progress.add_task(name, total=total)
        yield Bar(self._progress, task)
        self._progress.update(task, completed=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()
