"""The gate over a candidate: both models as whole systems, on the window and on the references."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.datasets import load
from encoders.errors import ModelError
from encoders.gate.decision import GateThresholds, Slice, judge
from encoders.gate.domains import domain_slice
from encoders.gate.report import GateReport, refusal
from encoders.gate.trial import compare, course, live, soundness, step_seconds
from encoders.progress import Progress
from encoders.replayed_worker import ReplayConfig
from encoders.runtime import ServingModel
from exporters.model_manifest import DISTILLED_METRIC, INT8_METRIC, Manifest, read_manifest
from exporters.model_store import load_model
from streams.settings import TrainerSettings
from streams.trainer.text_vectors import TextVectors
from streams.trainer.window import Window, split_ms, stage_at, timeline

Vectors = npt.NDArray[np.float32]
NEWEST, OLDER = "newest", "before the window"


@dataclass(frozen=True)
class Contender:
    """A loaded model with its manifest."""

    model: ServingModel
    manifest: Manifest

    @classmethod
    def load(cls, folder: Path, threads: int) -> Contender:
        """Verify and load; raises ``ModelError``."""
        return cls(load_model(folder, threads=threads), read_manifest(folder))


def judge_candidate(
    champion: Path,
    candidate: Path,
    window: Window,
    settings: TrainerSettings,
    *,
    texts: TextVectors,
    repeats: bool,
    replayed: ReplayConfig,
    progress: Progress,
) -> GateReport:
    """Compare the models in two folders on the newest part of the window and on all references.

    Raises ``ModelError`` where the champion cannot be loaded, ``DataError`` for a reference that cannot be
    read.
    """
    holder = Contender.load(champion, settings.threads)
    if candidate == champion:
        version = holder.manifest.version
        return refusal(version, version, "trained", "training found nothing better than the champion")
    try:
        challenger = Contender.load(candidate, settings.threads)
    except ModelError as error:
        return refusal(holder.manifest.version, candidate.name, "computes", str(error))
    pair = (holder, challenger)
    whole = timeline(window, repeats=repeats)
    start = split_ms(window, settings.validation_share) / 1e3
    parts = {NEWEST: (start, np.inf)} | _older_part(window)
    catalogue = [item.text for item in window.items]
    ways = [
        course(
            whole.events,
            stage_at(window, whole, start, _vectors(one, catalogue, texts, progress)),
            whole.items,
            parts,
            cases=settings.gate_cases,
        )
        for one in pair
    ]
    if NEWEST not in ways[0].slices:
        return refusal(
            holder.manifest.version, challenger.manifest.version, "cases", "nothing new to ask about"
        )
    lived = [
        live(one.model, way, config=replayed, progress=_told(progress, name))
        for one, way, name in zip(pair, ways, ("champion", "challenger"), strict=True)
    ]
    newest, *older = compare(ways[0], *lived)
    references = [*older, *_domains(pair, settings, texts, replayed, progress)]
    seconds = step_seconds(holder.model, challenger.model)
    overlaps = [challenger.manifest.metrics.get(name) for name in (INT8_METRIC, DISTILLED_METRIC)]
    return judge(
        holder.manifest.version,
        challenger.manifest.version,
        newest,
        references,
        soundness(lived[1], seconds, *overlaps),
        thresholds_of(settings),
    )


def thresholds_of(settings: TrainerSettings) -> GateThresholds:
    """What the gate asks for, in the pure core's terms."""
    return GateThresholds(
        test=settings.gate_test,
        level=settings.gate_level,
        min_cases=settings.gate_min_cases,
        max_loss=settings.gate_max_loss,
        min_spread=settings.gate_min_spread,
        min_int8_overlap=settings.gate_min_int8_overlap,
        min_distilled_overlap=settings.gate_min_distilled_overlap,
        max_cost_ratio=settings.gate_max_cost_ratio,
    )


def _older_part(window: Window) -> dict[str, tuple[float, float]]:
    """The second half of what was before the window: the first is mixed into training."""
    if not window.older or not window.events:
        return {}
    middle = window.older[len(window.older) // 2].timestamp_ms
    return {OLDER: (middle / 1e3, window.events[0].timestamp_ms / 1e3)}


def _vectors(one: Contender, catalogue: list[str], texts: TextVectors, progress: Progress) -> Vectors:
    return texts.of(one.model, one.manifest.text_digest, catalogue, progress)


def _domains(
    pair: tuple[Contender, Contender],
    settings: TrainerSettings,
    texts: TextVectors,
    replayed: ReplayConfig,
    progress: Progress,
) -> list[Slice]:
    found = []
    for name, path in settings.references:
        dataset = load(name, path)
        catalogue = [item.text for item in dataset.items]
        own = TextVectors(texts.folder / dataset.name)
        vectors = (
            _vectors(pair[0], catalogue, own, progress),
            _vectors(pair[1], catalogue, own, progress),
        )
        models = (pair[0].model, pair[1].model)
        found.append(domain_slice(dataset, models, vectors, cases=settings.gate_cases, config=replayed))
    return found


def _told(progress: Progress, note: str) -> Callable[[int, int], None]:
    return lambda done, total: progress("gate", done, total, note)
