"""Two stages taken apart: what each source, each group of features and more rows are worth. Torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from encoders.evaluation.progressive_two_stage import Ordering
from encoders.features import FEATURES, GROUPS
from encoders.progress import Progress, no_progress
from encoders.ranker import RankerConfig, RankingRows, rank_with, train_ranker
from encoders.two_stage import COVISITED, INTEREST

RECENT, HAD = FEATURES.index("recent"), FEATURES.index("had")
ROWS = (500, 1_000, 2_000, 4_000, 8_000, 16_000)
"""Rows that the learning curve's rankers are trained on, those below all there are."""
DIVERSITY = 0.3
"""Strength of maximal marginal relevance in the last line."""
FILL = 1e-6
"""Weight of what was popular lately, where co-visitation says nothing."""


def orderings(
    rows: RankingRows, config: RankerConfig, *, repeats: bool, progress: Progress = no_progress
) -> Iterator[tuple[str, Ordering]]:
    """What the table compares, by name; rankers are trained on ``rows`` as their turn comes.

    Without ``repeats`` the sources alone list last what a user had, as a ranker learns to.
    """

    def plain(dense: float, covisited: float, recent: float = 0.0) -> Ordering:
        weights = np.zeros(len(FEATURES), np.float32)
        weights[[INTEREST, COVISITED, RECENT, HAD]] = dense, covisited, recent, 0.0 if repeats else -10.0
        return Ordering(lambda features: features @ weights)

    yield "dense", plain(1.0, 0.0)
    yield "co-visitation", plain(0.0, 1.0, FILL)
    yield "fusion", plain(1.0, 1.0)
    for group in GROUPS:
        yield f"ranker without {group}", _trained(rows.without([group]), config, progress)
    chosen = np.random.default_rng(config.seed).permutation(len(rows.targets))
    for count in ROWS:
        if count < len(chosen):
            yield f"ranker, {count:,} rows", _trained(rows.take(chosen[:count]), config, progress)
    whole = _trained(rows, config, progress)
    yield f"ranker, all {len(chosen):,} rows", whole
    yield f"ranker, diversity {DIVERSITY}", replace(whole, diversity=DIVERSITY)


def _trained(rows: RankingRows, config: RankerConfig, progress: Progress) -> Ordering:
    return Ordering(rank_with(train_ranker([rows], config, progress).ranker))
