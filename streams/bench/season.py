"""``freshet bench season``: a data set replayed through its season, the ranker frozen or tuned as it goes.

One replay of the worker offline: what users did, the evidence and the candidates are the same for all arms,
which differ in the ranker that orders them. All that an arm knows lies before the moment it is asked. Two
more say what there is to win: evidence that stands still, and an oracle, trained on the season itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from encoders.config import ModelConfig
from encoders.datasets import Dataset
from encoders.errors import DataError
from encoders.evaluation.progressive import Replayed
from encoders.evaluation.timeline import Basket, Events, Timeline, Vectors, baskets_of, chunks_of, timeline_of
from encoders.progress import Progress
from encoders.progressive_rows import WARM_UP
from encoders.ranker import Ranker, RankerConfig, train_ranker
from encoders.replayed_worker import Asked, ReplayedWorker
from encoders.runtime import ServingModel
from encoders.torch_context import torch_threads
from exporters.model_factory import make_untrained
from exporters.model_manifest import RANKER_WEIGHTS
from exporters.model_store import load_model, resolve_model
from exporters.ranker_files import read_ranker
from streams.bench.season_arms import Arm
from streams.bench.season_cases import Cases, lists_of, rank_of, replayed, rows_of
from streams.bench.season_figures import (
    DAILY,
    DRIFT,
    DRIFT_MODEL,
    FROZEN,
    ORACLE,
    STANDING,
    TRAINED,
    WEEK_SECONDS,
    SeasonFigures,
    arm_figures,
    targets_of,
    weeks_of,
)
from streams.bench.season_triggers import Daily, Drifting, Never
from streams.composition import replay_of
from streams.settings import Settings

CHUNK: Final = 64
"""Baskets that are asked about before any of them is learned."""


@dataclass(frozen=True, slots=True)
class SeasonOptions:
    """What to measure; times in seconds since 1970-01-01 UTC."""

    model: Path | None
    """``None``: an untrained one, made of what the catalogue holds before the season."""
    start: float
    """When the season begins."""
    end: float
    """What comes at it or later is left out."""
    weeks: float
    """The last ones, which are measured."""
    rows: int
    """Baskets of the past that are asked about, at most: what ``frozen-trained`` learns from."""
    epochs: int
    """Of every tuning, at most."""
    seed: int
    threads: int


def run_season(
    data: Dataset, options: SeasonOptions, settings: Settings, progress: Progress
) -> SeasonFigures:
    """Replay the season; raises ``DataError`` where nothing lies before it or in it, or without times."""
    timeline = timeline_of(data)
    seconds = timeline.events.seconds
    start, end = np.searchsorted(seconds, [options.start, options.end]).tolist()
    past, season = timeline.events[:start], timeline.events[start:end]
    if not len(past) or not len(season):
        raise DataError("nothing lies before the season, or nothing in it: choose another --start or --until")
    with TemporaryDirectory(prefix="freshet-season-") as scratch, torch_threads(options.threads):
        replay = _Replay(timeline, past, options, settings, Path(scratch), progress)
        return replay.run(baskets_of(season))


class _Replay:
    def __init__(
        self,
        timeline: Timeline,
        past: Events,
        options: SeasonOptions,
        settings: Settings,
        scratch: Path,
        progress: Progress,
    ) -> None:
        self._timeline, self._past, self._options = timeline, past, options
        self._settings, self._progress = settings, progress
        self._config = RankerConfig(epochs=options.epochs, seed=options.seed, threads=options.threads)
        self._cases = Cases()
        model, self._texts, self._ranker = _model(timeline, options, scratch)
        stage = timeline.stage(options.start, self._texts)
        self._worker = ReplayedWorker(model, stage, timeline.items, replay_of(settings))

    def run(self, season: Sequence[Basket]) -> SeasonFigures:
        """Live through the past, make the arms, and send them through the season."""
        self._live(baskets_of(self._past))
        trained, seconds = self._train_on_all(self._options.start)
        arms, standing = self._arms(trained), self._worker.twin()
        done = 0
        for chunk in chunks_of(season, CHUNK):
            asked = [self._ask(basket) for basket in chunk]
            stale = [standing.ask(basket.user, basket.seconds) for basket in chunk]
            requests = [arm.show(chunk, stale if arm.name == STANDING else asked) for arm in arms]
            self._worker.learn(chunk)
            for arm, request in zip(arms, requests, strict=True):
                if request is not None:
                    arm.train(request, self._cases, self._settings.trainer, self._config)
            done += len(chunk)
            self._progress(
                "season", done, len(season), f"{sum(len(arm.trainings) for arm in arms)} trainings"
            )
        return self._figures(arms, season, seconds)

    def _live(self, baskets: Sequence[Basket]) -> None:
        """Learn the past, asking about a sample of it once there is evidence."""
        late = np.arange(int(WARM_UP * len(baskets)), len(baskets))
        chosen = np.random.default_rng(self._options.seed).permutation(late)[: self._options.rows]
        asked = set(chosen.tolist())
        for begin in range(0, len(baskets), CHUNK):
            slab = range(begin, min(begin + CHUNK, len(baskets)))
            for at in slab:
                if at in asked:
                    self._ask(baskets[at])
            self._worker.learn(baskets[slab.start : slab.stop])
            self._progress("past", slab.stop, len(baskets), "baskets")

    def _ask(self, basket: Basket) -> Asked:
        begun = time.process_time()
        asked = self._worker.ask(basket.user, basket.seconds)
        self._cases.add(basket, asked, time.process_time() - begun)
        return asked

    def _train_on_all(self, until: float) -> tuple[Ranker, float]:
        """A ranker of all that was asked before a time, and the CPU seconds that it took."""
        cases = self._cases.between(0.0, until)
        begun = time.process_time()
        config = RankerConfig(seed=self._options.seed, threads=self._options.threads)
        trained = train_ranker(rows_of(cases), config, self._progress)
        asking = sum(case.cpu_seconds for case in cases)
        return trained.ranker, asking + time.process_time() - begun

    def _oracle(self, season: Sequence[Basket]) -> Replayed:
        """The season as one would be shown it who knew it already."""
        ranker, _ = self._train_on_all(math.inf)
        cases = self._cases.between(self._options.start, math.inf)
        lists, _ = lists_of([case.asked for case in cases], rank_of(ranker))
        return replayed(season, lists)

    def _arms(self, trained: Ranker) -> list[Arm]:
        start, drift = self._options.start, self._settings.drift

        def drifting() -> Drifting:
            return Drifting(drift, self._timeline, self._past, self._texts, self._options.seed)

        return [
            Arm(FROZEN, self._ranker, Never(), start),
            Arm(TRAINED, trained, Never(), start),
            Arm(DRIFT, trained, drifting(), start),
            Arm(DRIFT_MODEL, self._ranker, drifting(), start),
            Arm(DAILY, trained, Daily(start, drift.train_on_seconds), start),
            Arm(STANDING, trained, Never(), start),
        ]

    def _figures(self, arms: Sequence[Arm], season: Sequence[Basket], first_seconds: float) -> SeasonFigures:
        options, last = self._options, season[-1].seconds
        measured_from = last - options.weeks * WEEK_SECONDS
        outcomes = {arm.name: arm.outcome(season) for arm in arms} | {ORACLE: self._oracle(season)}
        done = {arm.name: (arm.trainings, arm.asking.decisions) for arm in arms}
        found = [
            arm_figures(
                name,
                outcomes,
                *done.get(name, ([], {})),
                season_from=options.start,
                measured_from=measured_from,
            )
            for name in outcomes
        ]
        share, targets = targets_of(found)
        measured = [basket for basket in season if basket.seconds > measured_from]
        return SeasonFigures(
            dataset=self._timeline.name,
            season_from=_iso(options.start),
            measured_from=_iso(measured_from),
            until=_iso(last),
            baskets=len(measured),
            users=len({basket.user for basket in measured}),
            first_training_cpu_seconds=first_seconds,
            weeks=[_iso(week)[:10] for week, _ in weeks_of(outcomes[FROZEN], options.start)],
            arms=found,
            training_share_of_daily=share,
            targets=targets,
        )


def _model(
    timeline: Timeline, options: SeasonOptions, scratch: Path
) -> tuple[ServingModel, Vectors, Ranker | None]:
    """The model at work all along, the items' texts [n, t] by its text tower, and its ranker."""
    folder = options.model
    if folder is None:
        # Of one item, for its text tower's sake: the towers are made from all that had arrived.
        folder = make_untrained(timeline.items[:1], scratch / "texts", ModelConfig())
    texts = load_model(folder, threads=options.threads).encode_texts([item.text for item in timeline.items])
    if options.model is None:
        arrived = np.flatnonzero(timeline.stage(options.start).arrived)
        items = [timeline.items[row] for row in arrived.tolist()]
        folder = make_untrained(
            items, scratch / "model", ModelConfig(), text_from=folder, text_vectors=texts[arrived]
        )
    weights = resolve_model(folder) / RANKER_WEIGHTS
    ranker = read_ranker(weights) if weights.is_file() else None
    return load_model(folder, threads=options.threads), texts, ranker


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")
