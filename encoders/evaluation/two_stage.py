"""Recommend as the running system does with both kinds of evidence: fused, or ranked in a second stage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from encoders.batching import sequences_of
from encoders.candidates import Retrieved, Retriever, catalogue_of, interests_of, newest_first
from encoders.covisitation import CovisitationConfig
from encoders.diversity import mmr, scaled
from encoders.evaluation.methods import Histories
from encoders.evaluation.metrics import Scores
from encoders.events import EventType
from encoders.runtime import ServingModel, Vector

Rank = Callable[[Vector], Vector | None]
DIVERSE = 60
"""Best items that diversity orders anew."""


class TwoStage:
    """Dense and co-visitation scores added (``rank`` is ``None``), or candidates of both, ranked.

    Nothing but counting happens in ``fit``; a ranker is trained before, on other users' next items.
    """

    def __init__(
        self,
        name: str,
        model: ServingModel,
        text_vectors: Vector,
        rank: Rank | None = None,
        config: CovisitationConfig | None = None,
        diversity: float = 0.0,
    ) -> None:
        """``text_vectors`` [n_items, text_dim]; ``rank`` takes features [b, c, F] to scores [b, c];
        ``diversity`` 0 to 1: strength of maximal marginal relevance.
        """
        self.name = name
        self._model, self._rank, self._diversity = model, rank, diversity
        self._vectors = model.item_vectors(text_vectors)
        self._config = config or CovisitationConfig()
        self._retriever: Retriever | None = None

    def fit(self, sequences: Histories, n_items: int) -> None:
        """Count co-visitation and popularity."""
        evidence = sequences_of(sequences, EventType.PURCHASE)
        self._retriever = Retriever(
            catalogue_of(self._vectors, evidence, self._config), self._config.exponent
        )

    def scores(self, histories: Histories) -> Scores:
        """[b] histories -> [b, n_items]."""
        assert self._retriever is not None, "fit before scores"
        events = sequences_of(histories, EventType.PURCHASE)
        interests = interests_of(self._model, self._vectors, events)
        found = self._retriever.batches(newest_first(events), interests)
        scores = np.concatenate([self._lifted(batch) for batch in found])
        return diverse(scores, self._vectors, self._diversity) if self._diversity else scores

    def _lifted(self, batch: Retrieved) -> Scores:
        ranked = self._rank(batch.features) if self._rank else None
        if ranked is None:
            return batch.fused
        # All other items below the last candidate, in their fused order.
        below = ranked.min(axis=1) - batch.fused.max(axis=1) - 1.0  # [b]
        scores: Scores = batch.fused + below[:, None].astype(np.float32)
        rows, places = np.nonzero(batch.candidates >= 0)
        scores[rows, batch.candidates[rows, places]] = ranked[rows, places]
        return scores


def diverse(scores: Scores, vectors: Vector, strength: float) -> Scores:
    """Scores [b, n] with the ``DIVERSE`` best of each row in the order of maximal marginal relevance.

    ``vectors`` [n, d], unit length.
    """
    best = np.argsort(-scores, axis=1)[:, :DIVERSE]  # [b, m]
    values = np.take_along_axis(scores, best, axis=1)
    order = mmr(scaled(values), vectors[best], strength, best.shape[1])
    found = scores.copy()
    np.put_along_axis(found, np.take_along_axis(best, order, axis=1), values, axis=1)
    return found
