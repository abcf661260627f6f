"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int, str], None]
"""Called with (stage, done, total, note) as work goes on."""


def no_progress(stage: str, done: int, total: int, note: str) -> None:
    """Tell nobody."""
