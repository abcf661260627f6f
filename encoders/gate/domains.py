"""A slice of another domain: a published data set, on which a new version must not be worse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.datasets import Dataset
from encoders.datasets.dataset import Case
from encoders.errors import DataError
from encoders.evaluation.metrics import hit_rate, ndcg, ranks_of
from encoders.evaluation.timeline import timeline_of
from encoders.evaluation.two_stage import TwoStage
from encoders.gate.decision import Measured, Slice
from encoders.gate.statistics import Vectors
from encoders.gate.trial import CUTOFF, Course, compare, course, live
from encoders.replayed_worker import USUAL, ReplayConfig
from encoders.runtime import ServingModel

NEWEST = 0.2
"""Share of a data set with times that is asked about."""
BATCH = 256


def domain_slice(
    dataset: Dataset,
    models: tuple[ServingModel, ServingModel],
    text_vectors: tuple[Vectors, Vectors],
    *,
    cases: int,
    config: ReplayConfig = USUAL,
) -> Slice:
    """Champion and challenger on at most ``cases`` questions of a data set, as whole systems.

    ``text_vectors`` [n, text_dim] of the data set's items, by each model's text tower. With times: its
    newest part, asked along the stream; with a published split: its test targets. Raises ``DataError`` where
    it has neither.
    """
    if dataset.split is not None:
        tests = dataset.split.test
        asked = [tests[at] for at in np.linspace(0, len(tests) - 1, min(cases, len(tests))).astype(int)]
        known = [history for history, _ in tests]
        champion, challenger = (
            _ranked(model, vectors, known, asked) for model, vectors in zip(models, text_vectors, strict=True)
        )
        return Slice(dataset.name, np.arange(len(asked)), champion, challenger)
    champion_way, challenger_way = (_way(dataset, vectors, cases) for vectors in text_vectors)
    lived = [
        live(model, way, config=config)
        for model, way in zip(models, (champion_way, challenger_way), strict=True)
    ]
    return compare(champion_way, lived[0], lived[1])[0]


def _way(dataset: Dataset, vectors: Vectors, cases: int) -> Course:
    timeline = timeline_of(dataset)
    seconds = timeline.events.seconds
    start = float(seconds[int(len(seconds) * (1.0 - NEWEST))])
    stage = timeline.stage(start, vectors)
    way = course(timeline.events, stage, timeline.items, {dataset.name: (start, np.inf)}, cases=cases)
    if not way.slices:
        raise DataError(f"{dataset.name} has nothing to ask about: leave it out of the references")
    return way


def _ranked(
    model: ServingModel, vectors: Vectors, known: Sequence[Sequence[int]], asked: Sequence[Case]
) -> Measured:
    """Full ranking of the targets, by co-visitation of all histories and the model."""
    method = TwoStage("gate", model, vectors, model.rank)
    method.fit(known, len(vectors))
    ranks = []
    for start in range(0, len(asked), BATCH):
        part = asked[start : start + BATCH]
        scores = method.scores([history for history, _ in part])
        ranks.append(ranks_of(scores, np.array([target for _, target in part], dtype=np.int64)))
    found = np.concatenate(ranks)[:, None]
    return Measured(ndcg(found, CUTOFF), hit_rate(found, CUTOFF))
