"""Turns the past of a timestamped data set into what a ranker learns from: questions as they were lived.

The past is walked through in time order with the evidence as it was, so that age, trend, repeats and pauses
vary in training as they will in service, and no target's own event is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from encoders.errors import DataError
from encoders.evaluation.timeline import Basket, Events, Stage, baskets_of
from encoders.events import Item
from encoders.factors import Floats, fit_factors, item_factors
from encoders.progress import Progress, no_progress
from encoders.ranker import RankingRows, join_rows
from encoders.replayed_worker import SLAB, USUAL, ReplayConfig, ReplayedWorker
from encoders.runtime import ServingModel

WARM_UP = 0.2
"""Share of the past that nothing is asked in: evidence must be there first."""
REFIT = 0.05
"""Share of the past after which factors are fitted again."""


def progressive_rows(
    model: ServingModel,
    past: Events,
    stage: Stage,
    items: Sequence[Item],
    config: ReplayConfig = USUAL,
    *,
    max_rows: int = 10_000,
    seed: int = 0,
    progress: Progress = no_progress,
) -> RankingRows:
    """Candidates, features and targets of a sample of the baskets of the past [r].

    A basket's distinct items are its targets; baskets with none of them among the candidates are left out.
    Factors are fitted again as the past grows, so that no question is asked with what came after it; those
    of the whole past go with the rows. Raises ``DataError`` where that leaves nothing.
    """
    baskets = baskets_of(past)
    asked = np.arange(int(WARM_UP * len(baskets)), len(baskets))
    asked = np.sort(np.random.default_rng(seed).permutation(asked)[:max_rows])
    worker = ReplayedWorker(model, stage, items, config)
    rows: list[RankingRows] = []
    learned = refitted = 0
    for done, at in enumerate(asked.tolist(), 1):
        if not refitted or at - refitted >= REFIT * len(baskets):
            worker.factors, refitted = _factors(past, baskets[at].seconds, stage.n_items), at
        for start in range(learned, at, SLAB):
            worker.learn(baskets[start : min(start + SLAB, at)])
        learned = at
        rows += _row(worker, baskets[at])
        progress("candidates", done, len(asked), "")
    if not rows:
        raise DataError("nobody's next items are among the candidates: a ranker has nothing to learn from")
    factors = item_factors([item.item_id for item in items], _factors(past, np.inf, stage.n_items))
    return replace(join_rows(rows), factors=factors)


def _factors(past: Events, seconds: float, n: int) -> Floats:
    """Of what lies before a time, [n, f]."""
    before = past[: int(np.searchsorted(past.seconds, seconds))]
    return fit_factors(before.users, before.items, n)


def _row(worker: ReplayedWorker, basket: Basket) -> list[RankingRows]:
    asked = worker.ask(basket.user, basket.seconds)
    targets = np.isin(asked.candidates, basket.items)[None]
    if not targets.any():
        return []
    # Half precision: all features are similarities or logarithms, and rows are many.
    return [RankingRows(asked.features.astype(np.float16), np.ones_like(targets), targets)]
