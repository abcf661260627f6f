"""A model as the running system uses it: numpy in, numpy out, onnxruntime in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from encoders.factors import ItemFactors
from encoders.text import TextEncoder

Vector = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

ROWS = 4_096
"""Rows a run of the item graph: bounds its memory on large catalogues."""


@dataclass(frozen=True, slots=True)
class ServingModel:
    """One version of a model. Every method may be called from several threads at once."""

    version: str
    dim: int
    text_dim: int
    state_dim: int
    text: TextEncoder
    item_graph: ort.InferenceSession
    step_graph: ort.InferenceSession
    prefill_graph: ort.InferenceSession
    ranker_graph: ort.InferenceSession | None = None
    """``None`` in a model without a ranker: candidates are then ordered by their plain fused score."""
    factors: ItemFactors | None = None
    """Of the past that the ranker was trained on; ``None`` where it was trained without."""

    def encode_texts(self, texts: Sequence[str]) -> Vector:
        """Encode texts -> [n, text_dim], unit length, in the order given."""
        return self.text.encode(texts)

    def item_vectors(self, text_vectors: Vector) -> Vector:
        """Take text vectors [n, text_dim] to item vectors [n, dim], unit length."""
        vectors = np.empty((len(text_vectors), self.dim), dtype=np.float32)
        for start in range(0, len(text_vectors), ROWS):
            rows = np.ascontiguousarray(text_vectors[start : start + ROWS], dtype=np.float32)
            vectors[start : start + ROWS] = self.item_graph.run(["item_vectors"], {"text_vectors": rows})[0]
        return vectors

    def initial_state(self, n: int) -> Vector:
        """States [n, state_dim] of users without events."""
        return np.zeros((n, self.state_dim), dtype=np.float32)

    def step(
        self, state: Vector, item: Vector, event_type: Integers, gap_seconds: Vector
    ) -> tuple[Vector, Vector]:
        """Apply one event each to a batch of users.

        ``state`` [b, state_dim], ``item`` [b, dim], ``event_type`` [b] (``EventType``), ``gap_seconds``
        [b]: seconds since the user's newest event so far, negative for a late one, 0 for the first. Returns
        the new states [b, state_dim] and the interest vectors [b, dim], unit length.
        """
        feed = {
            "state": _float(state),
            "item": _float(item),
            "event_type": np.ascontiguousarray(event_type, dtype=np.int64),
            "gap_seconds": _float(gap_seconds),
        }
        new_state, interest = self.step_graph.run(["new_state", "interest"], feed)
        return new_state, interest

    def prefill(
        self, items: Vector, event_types: Integers, gaps: Vector, lengths: Integers
    ) -> tuple[Vector, Vector]:
        """Apply whole histories to users without a state: the same as repeated ``step``.

        ``items`` [b, t, dim], ``event_types`` [b, t], ``gaps`` [b, t] in seconds, ``lengths`` [b]: how many
        of the t events count, from the left. Returns states [b, state_dim] and interests [b, dim]; zeros
        where a length is 0.
        """
        if items.shape[1] == 0:
            return self.initial_state(len(items)), np.zeros((len(items), self.dim), dtype=np.float32)
        feed = {
            "items": _float(items),
            "event_types": np.ascontiguousarray(event_types, dtype=np.int64),
            "gaps": _float(gaps),
            "lengths": np.ascontiguousarray(lengths, dtype=np.int64),
        }
        state, interest = self.prefill_graph.run(["final_state", "final_interest"], feed)
        return state, interest

    def rank(self, features: Vector) -> Vector | None:
        """Score candidates by their features (``encoders/features.py``): [b, c, F] -> [b, c], higher is
        better; ``None`` where the model has no ranker.
        """
        if self.ranker_graph is None:
            return None
        scores: Vector = self.ranker_graph.run(["scores"], {"features": _float(features)})[0]
        return scores


def _float(array: Vector) -> Vector:
    return np.ascontiguousarray(array, dtype=np.float32)
