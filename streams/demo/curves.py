"""Curves and marks of text, for the demo's screen."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

BARS = "▁▂▃▄▅▆▇█"
MARK = "▲"


def sparkline(values: Sequence[float], width: int, top: float) -> str:
    """Values as bars, ``top`` the full height; of more than ``width`` those side by side are averaged."""
    if top <= 0:
        return BARS[0] * min(width, len(values))
    parts = [values[start:end] for start, end in _parts(len(values), width)]
    return "".join(BARS[min(len(BARS) - 1, int(fmean(part) / top * len(BARS)))] for part in parts)


def mark_line(marks: Sequence[tuple[int, str]], count: int, width: int) -> str:
    """Marks (place in ``count`` values, a word) as they stand under the values' sparkline; the word as far as
    there is room before the next one."""
    line = ""
    for place, word in marks:
        at = place * width // count if count > width else place
        line = line[:at].ljust(at) + MARK + word
    return line[:width]


def _parts(count: int, width: int) -> list[tuple[int, int]]:
    """Where each of at most ``width`` bars begins and ends."""
    bars = min(count, width)
    return [(n * count // bars, (n + 1) * count // bars) for n in range(bars)]
