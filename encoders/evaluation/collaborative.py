"""Baselines from what users did alone: item co-visitation and session neighbours.

Their parameters were chosen like our own: on the validation targets of Amazon Scientific, fitted on its
training part, by NDCG@10. Both leave out what the history holds, as the test targets there almost never
repeat (0.6 %).
"""

from __future__ import annotations

import numpy as np

from encoders.batching import sequences_of
from encoders.covisitation import CovisitationConfig, Neighbours, count
from encoders.evaluation.methods import Histories
from encoders.evaluation.metrics import Scores
from encoders.features import SLOW, Integers, histories_of

NEIGHBOURS = 200
"""Sessions whose votes count (VSKNN's k); of 50, 100, 200, 500."""
DECAY = 0.9
"""Of an asking history's older items; of .6, .8, .9."""
MASKED = np.float32(-1e9)


class Covisitation:
    """Items that the same users turned to, over the decayed history (``encoders/covisitation.py``)."""

    name = "covisitation"

    def __init__(self, config: CovisitationConfig | None = None) -> None:
        self._config = config or CovisitationConfig()
        self._neighbours: Neighbours | None = None

    def fit(self, sequences: Histories, n_items: int) -> None:
        """Count pairs."""
        counted = count(sequences_of(sequences), n_items, self._config)
        self._neighbours = counted.normalised(self._config.exponent)

    def scores(self, histories: Histories) -> Scores:
        """Sum of neighbours' weights: -> [b, n_items]."""
        assert self._neighbours is not None, "fit before scores"
        newest = histories_of([list(history) for history in histories])
        weights = newest.weights * np.float32(SLOW) ** np.arange(newest.items.shape[1], dtype=np.float32)
        return without_seen(self._neighbours.scores(newest.items, weights), histories)


class SessionNeighbours:
    """Vector multiplication session-based kNN (Ludewig & Jannach, UMUAI 2018).

    A history's items weigh less with age; the most similar past histories vote for their items, by how late
    the newest common item stands in the asking history, times the item's inverse document frequency.
    """

    name = "vsknn"

    def __init__(self, neighbours: int = NEIGHBOURS, decay: float = DECAY) -> None:
        self._k, self._decay = neighbours, np.float32(decay)
        self._n_items = 0

    def fit(self, sequences: Histories, n_items: int) -> None:
        """Index the past histories by item."""
        sets = [sorted(set(sequence)) for sequence in sequences]
        self._n_items = n_items
        self._members = np.concatenate([np.array(items, dtype=np.int64) for items in sets])
        self._offsets = np.concatenate([[0], np.cumsum([len(items) for items in sets])])
        owners = np.repeat(np.arange(len(sets)), np.diff(self._offsets))
        order = np.argsort(self._members, kind="stable")
        self._holders = owners[order]
        counts = np.bincount(self._members, minlength=n_items)
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._idf = np.log(len(sets) / np.maximum(counts, 1)).astype(np.float32)

    def scores(self, histories: Histories) -> Scores:
        """Votes of the nearest sessions: -> [b, n_items]."""
        found = np.stack([self._one(list(history)) for history in histories])
        return without_seen(found, histories)

    def _one(self, history: list[int]) -> Scores:
        newest = list(dict.fromkeys(reversed(history)))
        weights = self._decay ** np.arange(len(newest), dtype=np.float32)
        similar = np.zeros(len(self._offsets) - 1, dtype=np.float32)
        latest = np.zeros_like(similar)
        for item, weight in zip(newest, weights):
            holders = self._holders[self._starts[item] : self._starts[item + 1]]
            similar[holders] += weight
            latest[holders] = np.maximum(latest[holders], weight)
        nearest = _strongest(similar, self._k)
        votes = similar[nearest] * latest[nearest]
        lengths = self._offsets[nearest + 1] - self._offsets[nearest]
        at = np.concatenate(
            [np.arange(self._offsets[j], self._offsets[j + 1]) for j in nearest]
            or [np.empty(0, dtype=np.int64)]
        ).astype(np.int64)
        items = self._members[at]
        scores = np.bincount(items, np.repeat(votes, lengths) * self._idf[items], minlength=self._n_items)
        return scores.astype(np.float32)


def without_seen(scores: Scores, histories: Histories) -> Scores:
    """Put the items of each history last: scores [b, n] -> the same array."""
    for row, history in enumerate(histories):
        scores[row, list(history)] += MASKED
    return scores


def _strongest(values: Scores, k: int) -> Integers:
    """Positions of the k largest positive values."""
    positive = np.nonzero(values)[0]
    strongest: Integers = positive[np.argsort(-values[positive], kind="stable")[:k]]
    return strongest
