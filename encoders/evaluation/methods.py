"""Ways to recommend that offline evaluation compares: anything that scores all items for a history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from encoders.evaluation.metrics import Scores

Histories = Sequence[Sequence[int]]
"""Item indices, oldest first."""


class Method(Protocol):
    """One way to recommend."""

    name: str

    def fit(self, sequences: Histories, n_items: int) -> None:
        """Learn from the training part: each user's items in order, indices below ``n_items``."""

    def scores(self, histories: Histories) -> Scores:
        """Score every item for each history, higher is better: [b] histories -> [b, n_items]."""


class Popularity:
    """The same list for everybody: how often an item occurs in the training part."""

    name = "popularity"

    def __init__(self) -> None:
        self._counts: Scores = np.zeros(0, dtype=np.float32)

    def fit(self, sequences: Histories, n_items: int) -> None:
        """Count."""
        items = np.fromiter((item for sequence in sequences for item in sequence), dtype=np.int64)
        self._counts = np.bincount(items, minlength=n_items).astype(np.float32)

    def scores(self, histories: Histories) -> Scores:
        """The counts, whatever the history: -> [b, n_items]."""
        return np.broadcast_to(self._counts, (len(histories), len(self._counts)))


def padded(histories: Histories, longest: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The newest ``longest`` items of each history, padded on the right with 0: items [b, t], lengths [b]."""
    newest = [history[-longest:] for history in histories]
    lengths = np.array([len(history) for history in newest], dtype=np.int64)
    items = np.zeros((len(newest), int(lengths.max(initial=0))), dtype=np.int64)
    for row, history in enumerate(newest):
        items[row, : len(history)] = history
    return items, lengths
