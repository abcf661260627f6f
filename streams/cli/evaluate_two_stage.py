"""The offline copy of the running pipeline for ``freshet evaluate``, with a worker's settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from encoders.evaluation.progressive_two_stage import Ordering, ProgressiveTwoStage
from encoders.evaluation.timeline import Events, Stage, Timeline
from encoders.progress import Progress
from exporters.model_store import load_model
from streams.cli.training_progress import import_factory
from streams.composition import replay_of
from streams.settings import load_settings


@dataclass(frozen=True, slots=True)
class Training:
    """How the ablation's rankers are trained; ``rows``: of the past's baskets at most."""

    rows: int
    epochs: int | None
    seed: int


def two_stage(model: Path, timeline: Timeline) -> ProgressiveTwoStage:
    """The model's own towers and ranker."""
    return ProgressiveTwoStage(load_model(model), timeline.items, replay_of(load_settings()))


def ablated(
    model: Path, timeline: Timeline, past: Events, stage: Stage, training: Training, progress: Progress
) -> ProgressiveTwoStage:
    """The two stages taken apart, their rankers trained on ``past``; ``ModelError`` without torch."""
    import_factory()
    from encoders.evaluation.ablation import orderings
    from encoders.progressive_rows import progressive_rows
    from encoders.ranker import RankerConfig

    serving, replayed = load_model(model), replay_of(load_settings())
    rows = progressive_rows(
        serving,
        past,
        stage,
        timeline.items,
        replayed,
        max_rows=training.rows,
        seed=training.seed,
        progress=progress,
    )
    config = RankerConfig(seed=training.seed, threads=1)
    if training.epochs is not None:
        config = msgspec.structs.replace(config, epochs=training.epochs)
    found = dict(orderings(rows, config, repeats=timeline.repeats, progress=progress))
    found["ranker of the model"] = Ordering(serving.rank)
    serving = replace(serving, factors=rows.factors)
    return ProgressiveTwoStage(serving, timeline.items, replayed, found)
