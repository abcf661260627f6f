"""What the gate compares: each model as the whole system along the same stream, asked at the same moments.

A worker offline (``encoders.replayed_worker``: towers, evidence, candidates, ranker) lives through all events
once for each model; at the chosen baskets it is asked before it learns them (test, then learn).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.evaluation.metrics import hit_rate, ndcg
from encoders.evaluation.timeline import Basket, Events, Integers, Stage, baskets_of
from encoders.events import Item
from encoders.features import PADDING
from encoders.gate.decision import Measured, Slice, Soundness
from encoders.gate.statistics import Vectors, spread
from encoders.replayed_worker import USUAL, ReplayConfig, ReplayedWorker
from encoders.runtime import ServingModel

CUTOFF = 10
SLAB = 256
"""Baskets that are learned at a time."""
TIMED_EVENTS = 64
TIMED_ROUNDS = 30
Progress = Callable[[int, int], None]
"""Called with (asked, of how many)."""


@dataclass(frozen=True)
class Course:
    """The stream that both models live through, and where they are asked."""

    baskets: Sequence[Basket]
    targets: Mapping[int, Integers]
    """Basket (its place) -> what counts as found."""
    slices: Mapping[str, Integers]
    """Name -> places of its baskets, ascending; the newest first."""
    items: Sequence[Item]
    stage: Stage


@dataclass(frozen=True)
class Lived:
    """What came of one model's way along the course."""

    measured: Mapping[str, Measured]
    interests: Vectors
    """[c, d]: of everybody who was asked for, at the end."""
    items: Vectors
    """[n, d]"""

    @property
    def not_finite(self) -> int:
        """Numbers that are none, in vectors and metrics."""
        arrays: list[npt.NDArray[np.floating]] = [self.interests, self.items]
        for one in self.measured.values():
            arrays += [one.ndcg, one.hit]
        return sum(int((~np.isfinite(values)).sum()) for values in arrays)


def course(
    events: Events,
    stage: Stage,
    items: Sequence[Item],
    parts: Mapping[str, tuple[float, float]],
    *,
    cases: int,
) -> Course:
    """Choose at most ``cases`` baskets from each part (name -> seconds from, below), spread evenly over it.

    ``events`` oldest first. Without repeats what a user had before is no target, and baskets without a
    target are not chosen; a part without any has no slice.
    """
    baskets = baskets_of(events)
    seconds = np.array([basket.seconds for basket in baskets])
    targets = _targets(baskets, stage)
    slices: dict[str, Integers] = {}
    for name, (start, end) in parts.items():
        places = np.flatnonzero((seconds >= start) & (seconds < end))
        places = places[np.array([len(targets[at]) > 0 for at in places.tolist()], dtype=np.bool_)]
        if len(places):
            chosen = np.linspace(0, len(places) - 1, min(cases, len(places))).round().astype(np.int64)
            slices[name] = places[chosen]
    return Course(baskets, targets, slices, items, stage)


def live(
    model: ServingModel,
    way: Course,
    *,
    config: ReplayConfig = USUAL,
    progress: Progress | None = None,
) -> Lived:
    """Send a model along the course; ``way.stage.text_vectors`` are of this model's text tower."""
    worker = ReplayedWorker(model, way.stage, way.items, config)
    asked = np.unique(np.concatenate([*way.slices.values()]))
    found: dict[int, Integers] = {}
    learned = 0
    for done, at in enumerate(asked.tolist(), 1):
        learned = _learn(worker, way.baskets, learned, at)
        basket = way.baskets[at]
        found[at], _ = worker.ask(basket.user, basket.seconds).best(model.rank, CUTOFF)
        if progress is not None:
            progress(done, len(asked))
    _learn(worker, way.baskets, learned, len(way.baskets))
    users = np.unique([way.baskets[at].user for at in asked.tolist()])
    measured = {name: _measured(places, found, way.targets) for name, places in way.slices.items()}
    return Lived(measured, worker.interests_of(users), worker.vectors)


def compare(way: Course, champion: Lived, challenger: Lived) -> list[Slice]:
    """Both models' metrics side by side, the newest slice first."""
    return [
        Slice(
            name,
            np.array([way.baskets[at].user for at in places.tolist()], dtype=np.int64),
            champion.measured[name],
            challenger.measured[name],
        )
        for name, places in way.slices.items()
    ]


def soundness(
    challenger: Lived,
    seconds: tuple[float, float],
    int8_overlap: float | None = None,
    distilled_overlap: float | None = None,
) -> Soundness:
    """What is looked at beside quality; ``seconds``: a step of the champion and of the challenger."""
    return Soundness(
        challenger.not_finite,
        spread(challenger.items),
        spread(challenger.interests),
        *seconds,
        int8_overlap=int8_overlap,
        distilled_overlap=distilled_overlap,
    )


def step_seconds(champion: ServingModel, challenger: ServingModel) -> tuple[float, float]:
    """Seconds of an event's step, of batches of 64; both in turns, so that a busy machine slows both.

    The shortest of many rounds: what the machine does beside can only add.
    """
    rounds = [(_timed(champion), _timed(challenger)) for _ in range(TIMED_ROUNDS)]
    return min(one for one, _ in rounds), min(other for _, other in rounds)


def _timed(model: ServingModel) -> float:
    state = model.initial_state(TIMED_EVENTS)
    items = np.full((TIMED_EVENTS, model.dim), model.dim**-0.5, dtype=np.float32)
    types, gaps = np.zeros(TIMED_EVENTS, np.int64), np.zeros(TIMED_EVENTS, np.float32)
    start = time.perf_counter()
    model.step(state, items, types, gaps)
    return (time.perf_counter() - start) / TIMED_EVENTS


def _learn(worker: ReplayedWorker, baskets: Sequence[Basket], start: int, end: int) -> int:
    for at in range(start, end, SLAB):
        worker.learn(baskets[at : min(at + SLAB, end)])
    return end


def _targets(baskets: Sequence[Basket], stage: Stage) -> dict[int, Integers]:
    """Distinct items of each basket; without repeats only what the user did not have before."""
    had: dict[int, set[int]] = {}
    targets = {}
    for at, basket in enumerate(baskets):
        items = np.unique(basket.items)
        if not stage.repeats:
            mine = had.setdefault(basket.user, set())
            items = items[np.array([item not in mine for item in items.tolist()], dtype=np.bool_)]
            mine.update(items.tolist())
        targets[at] = items
    return targets


def _measured(places: Integers, found: Mapping[int, Integers], targets: Mapping[int, Integers]) -> Measured:
    widest = max(len(targets[at]) for at in places.tolist())
    ranks = np.zeros((len(places), widest), dtype=np.int64)
    for row, at in enumerate(places.tolist()):
        lists = np.full(CUTOFF, PADDING, dtype=np.int64)
        lists[: len(found[at])] = found[at]
        hits = targets[at][:, None] == lists  # [t, k]
        ranks[row, : len(hits)] = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, CUTOFF + 1)
    return Measured(ndcg(ranks, CUTOFF), hit_rate(ranks, CUTOFF))
