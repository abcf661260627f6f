"""The decayed mean of whitened text vectors: what a fresh model recommends, only the whitening fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.errors import DataError
from encoders.evaluation.streaming import StreamingMethod, weighted_items
from encoders.evaluation.timeline import Basket, Events, Floats, Integers, Stage, Vectors
from encoders.whitening import fit_whitening


class StreamingText(StreamingMethod):
    """Items nearest to the decayed mean of a user's newest items; whitened on items that had arrived."""

    name = "decayed-text"

    def __init__(self, decay: float = 0.8, length: int = 20, dim: int = 128) -> None:
        """``decay`` of the ``length`` newest events, each step; ``dim`` whitened dimensions are kept."""
        self._decay, self._length, self._dim = decay, length, dim

    def _start(self, past: Events) -> None:
        self._vectors = whitened(self._stage, self._dim).astype(np.float64)

    def _learn(self, baskets: Sequence[Basket]) -> None:
        """The histories learn."""

    def _scores(self, users: Integers, seconds: Floats) -> Floats:
        means = np.zeros((len(users), self._vectors.shape[1]))
        for row, user in enumerate(users.tolist()):
            items, weights = weighted_items(self._histories.newest(user, self._length), self._decay)
            means[row] = weights @ self._vectors[items]
        return means @ self._vectors.T


def whitened(stage: Stage, dim: int) -> Vectors:
    """[n_items, dim] unit vectors, whitened as the items that had arrived before the split say.

    Raises ``DataError`` where the stage has no text vectors.
    """
    if stage.text_vectors is None:
        raise DataError("no text vectors: this method reads what items say of themselves")
    vectors = fit_whitening(stage.text_vectors[stage.arrived]).apply(stage.text_vectors)[:, :dim]
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit
