"""Matrix factorisation by alternating least squares (``implicit``), users folded in as their histories grow.

Hu, Koren & Volinsky, "Collaborative filtering for implicit feedback datasets" (ICDM 2008). Fitted once, on
the past; a user's factor is solved anew from his newest events whenever he asks; later items have none.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

import numpy as np

from encoders.errors import DataError
from encoders.evaluation.streaming import TYPE_WEIGHTS, StreamingMethod, weighted_items
from encoders.evaluation.timeline import Basket, Events, Floats, Integers


class StreamingALS(StreamingMethod):
    """Scores are inner products of a folded-in user factor and the item factors."""

    name = "als"

    def __init__(
        self,
        factors: int = 64,
        regularization: float = 0.05,
        alpha: float = 10.0,
        length: int = 100,
        decay: float = 1.0,
        iterations: int = 15,
        seed: int = 0,
    ) -> None:
        """An item's confidence is 1 + ``alpha`` times its weighted events; ``length`` newest events are
        folded in, older ones decayed each step.
        """
        self._factors, self._regularization, self._alpha = factors, regularization, alpha
        self._length, self._decay = length, decay
        self._iterations, self._seed = iterations, seed

    def _start(self, past: Events) -> None:
        als, sparse = _libraries()
        shape = (self._stage.n_users, self._stage.n_items)
        # Repeats add up; log keeps a hundred of them from drowning everything else.
        counts = sparse.coo_matrix((TYPE_WEIGHTS[past.event_types], (past.users, past.items)), shape).tocsr()
        counts.eliminate_zeros()
        # To implicit a value is the whole confidence, of which what is not there has 1.
        counts.data = (1.0 + self._alpha * np.log1p(counts.data)).astype(np.float32)
        model = als.AlternatingLeastSquares(
            factors=self._factors,
            regularization=self._regularization,
            iterations=self._iterations,
            num_threads=1,
            random_state=self._seed,
        )
        model.fit(counts, show_progress=False)
        self._items = np.asarray(model.item_factors, dtype=np.float64)  # [n_items, f]
        self._items[np.bincount(past.items, minlength=shape[1]) == 0] = 0.0
        self._gram = self._items.T @ self._items + self._regularization * np.eye(self._factors)

    def _learn(self, baskets: Sequence[Basket]) -> None:
        """The histories learn; item factors stay."""

    def _scores(self, users: Integers, seconds: Floats) -> Floats:
        return np.stack([self._fold_in(user) for user in users.tolist()]) @ self._items.T

    def _fold_in(self, user: int) -> Floats:
        """[f]: the least squares of one user (equation 4 of the paper), confidences as in the fit."""
        items, weights = weighted_items(self._histories.newest(user, self._length), self._decay)
        items, where = np.unique(items, return_inverse=True)
        extra = self._alpha * np.log1p(np.bincount(where, weights))  # [t]
        chosen = self._items[items]  # [t, f]
        gram = self._gram + (chosen.T * extra) @ chosen
        return np.asarray(np.linalg.solve(gram, chosen.T @ (1.0 + extra)), dtype=np.float64)


def _libraries() -> tuple[ModuleType, ModuleType]:
    """``implicit.cpu.als`` and ``scipy.sparse``; raises ``DataError`` where they are not installed."""
    try:
        return importlib.import_module("implicit.cpu.als"), importlib.import_module("scipy.sparse")
    except ModuleNotFoundError as error:
        raise DataError(f"als needs {error.name}: pip install 'freshet[bench]'") from error
