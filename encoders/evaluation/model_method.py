"""Recommend with a Freshet model, as the running system does: item vectors nearest to the interest vector."""

from __future__ import annotations

import numpy as np

from encoders.evaluation.methods import Histories, padded
from encoders.evaluation.metrics import Scores
from encoders.events import EventType
from encoders.runtime import ServingModel, Vector

MAX_HISTORY = 50
"""Newest events that are read, as in the published splits."""


class ModelMethod:
    """Scores are inner products of interest and item vectors, both from the model's ONNX graphs."""

    def __init__(
        self,
        name: str,
        model: ServingModel,
        text_vectors: Vector,
        event_type: EventType = EventType.PURCHASE,
    ) -> None:
        """``text_vectors`` [n_items, text_dim] come from ``model.encode_texts``.

        Histories hold no times and no event types: every event counts as ``event_type``, without gaps.
        """
        self.name = name
        self._model = model
        self._items = model.item_vectors(text_vectors)
        self._event_type = event_type

    def fit(self, sequences: Histories, n_items: int) -> None:
        """Nothing is left to learn: a model is trained before it is evaluated."""

    def scores(self, histories: Histories) -> Scores:
        """[b] histories -> [b, n_items]; all alike where a history is empty."""
        items, lengths = padded(histories, MAX_HISTORY)  # [b, t], [b]
        types = np.full(items.shape, int(self._event_type), dtype=np.int64)
        gaps = np.zeros(items.shape, dtype=np.float32)
        _, interest = self._model.prefill(self._items[items], types, gaps, lengths)  # [b, d]
        scores: Scores = interest @ self._items.T
        return scores
