"""Turns a data set into what a ranker learns from: each validation target among its user's candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from encoders.batching import Integers, TrainingSequences
from encoders.candidates import Retriever, catalogue_of, interests_of, newest_first
from encoders.covisitation import CovisitationConfig
from encoders.errors import DataError
from encoders.features import Floats
from encoders.progress import Progress, no_progress
from encoders.ranker import RankingRows, join_rows
from encoders.runtime import ServingModel


def ranking_rows(
    model: ServingModel,
    vectors: Floats,
    data: TrainingSequences,
    config: CovisitationConfig,
    *,
    max_rows: int = 10_000,
    seed: int = 0,
    progress: Progress = no_progress,
) -> RankingRows:
    """Candidates and features of validation targets [r], with evidence from the training part alone.

    So no target's own pair is counted, just as in the running system. ``vectors`` [n, d]: of the items.
    ``questions`` are rows of ``data.valid``. Users whose target was not retrieved are left out: no order of
    their candidates is better than another.
    Raises ``DataError`` where the data have no validation part.
    """
    if data.valid is None or not len(data.valid):
        raise DataError("nobody has a history and a next item after it: a ranker has nothing to learn from")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(data.valid))[:max_rows])
    cases, targets = data.valid.take(chosen), data.valid_targets[chosen]
    retriever = Retriever(catalogue_of(vectors, data.train, config), config.exponent)
    kept: list[RankingRows] = []
    retrieved: list[Integers] = []
    done = 0
    for found in retriever.batches(newest_first(cases), interests_of(model, vectors, cases)):
        hit = found.candidates == targets[done : done + len(found.candidates), None]  # [b, c]
        there = hit.any(axis=1)
        retrieved.append(chosen[done : done + len(hit)][there])
        kept.append(RankingRows(found.features[there], found.candidates[there] >= 0, hit[there]))
        done += len(hit)
        progress("candidates", done, len(cases), "")
    return replace(join_rows(kept), questions=np.concatenate(retrieved))
