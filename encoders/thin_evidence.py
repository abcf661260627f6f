"""Rows for a ranker from a shop as it was when it was young: evidence of a sample of its users.

A ranker that has seen plentiful evidence alone believes a pair that one user made as much as one that
hundreds did. Rows at every age of a shop teach it what few events are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from encoders.batching import Sequences, TrainingSequences
from encoders.covisitation import CovisitationConfig
from encoders.features import Floats
from encoders.progress import Progress, no_progress
from encoders.ranker import RankingRows, join_rows
from encoders.ranking_rows import ranking_rows
from encoders.runtime import ServingModel

EVENTS_AN_ITEM: Final = (0.0, 0.1, 0.4, 1.6, 6.4)
"""Events of evidence for each item of the catalogue, from a shop's first hour on."""


def rows_of_all_ages(
    model: ServingModel,
    vectors: Floats,
    data: TrainingSequences,
    config: CovisitationConfig,
    *,
    events_an_item: Sequence[float] = EVENTS_AN_ITEM,
    max_rows: int = 10_000,
    seed: int = 0,
    progress: Progress = no_progress,
) -> RankingRows:
    """``ranking_rows`` with all evidence, and again with as thin evidence as ``events_an_item`` says.

    ``max_rows`` validation targets are asked each time, others each time; what is not thinner than the data
    themselves is left out. Arguments and errors are those of ``ranking_rows``.
    """
    have = len(data.train.items)
    wanted = [round(share * len(vectors)) for share in events_an_item]
    parts = [data.train, *(sampled(data.train, events, seed) for events in wanted if events < have)]
    rows = []
    for age, part in enumerate(parts):
        of_age = replace(data, train=part)
        told = partial(_tell, progress, age, len(parts))
        found = ranking_rows(
            model, vectors, of_age, config, max_rows=max_rows, seed=seed + age, progress=told
        )
        # Half precision: all features are similarities or logarithms, and rows are many.
        rows.append(replace(found, features=found.features.astype(np.float16)))
    return join_rows(rows)


def _tell(progress: Progress, age: int, ages: int, stage: str, done: int, total: int, note: str) -> None:
    """One bar for all ages, each of which asks about as many."""
    progress(stage, age * total + done, ages * total, note)


def sampled(sequences: Sequences, events: int, seed: int) -> Sequences:
    """Whole sequences, drawn at random, the first that come to ``events`` or more; none for 0."""
    order = np.random.default_rng(seed).permutation(len(sequences))
    have = np.cumsum(np.diff(sequences.offsets)[order])
    count = 0 if events <= 0 else int(np.searchsorted(have, events)) + 1
    return sequences.take(np.sort(order[:count]))
