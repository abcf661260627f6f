"""From a window to a candidate: the champion's towers and ranker, tuned. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.batching import TrainingSequences, from_interactions
from encoders.config import TrainingConfig
from encoders.events import Interaction
from encoders.progress import Progress
from encoders.progressive_rows import progressive_rows
from encoders.ranker import RankingRows
from encoders.replayed_worker import ReplayConfig
from encoders.runtime import ServingModel
from exporters.transfer_factory import transfer
from streams.settings import TrainerSettings
from streams.trainer.window import Window, split_ms, stage_at, timeline

Vectors = npt.NDArray[np.float32]
FEW = 100
"""Older events below this are not worth mixing in."""


def train_candidate(
    champion: Path,
    window: Window,
    out: Path,
    settings: TrainerSettings,
    *,
    text_vectors: Vectors,
    repeats: bool,
    replayed: ReplayConfig,
    progress: Progress,
) -> Path:
    """Train on all but the window's newest part; returns the candidate's folder in ``out``.

    The champion's own folder where nothing was better. ``text_vectors`` [n, text_dim] of the window's items.
    Goes on after the last whole epoch that an interrupted call left in ``out``. Raises ``DataError`` where
    there is nothing to learn from.
    """
    boundary_ms = split_ms(window, settings.validation_share)
    index = {item.item_id: row for row, item in enumerate(window.items)}
    training = [event for event in window.events if event.timestamp_ms < boundary_ms]

    def ranking(model: ServingModel) -> RankingRows:
        whole = timeline(window, repeats=repeats)
        end = boundary_ms / 1e3
        past = whole.events[: int(np.searchsorted(whole.events.seconds, end))]
        stage = stage_at(window, whole, end, text_vectors)
        rows = settings.ranker_rows
        return progressive_rows(model, past, stage, whole.items, replayed, max_rows=rows, progress=progress)

    return transfer(
        champion,
        from_interactions(training, index, dataset="window"),
        window.items,
        out,
        settings.policy,
        TrainingConfig(
            epochs=settings.epochs,
            threads=settings.threads,
            click_loss_weight=settings.click_loss_weight,
            purchase_loss_weight=settings.purchase_loss_weight,
        ),
        domain="same",
        replay=_older(window.older, index),
        ranking=ranking,
        text_vectors=text_vectors,
        resume=True,
        progress=progress,
    )


def _older(events: Sequence[Interaction], index: dict[str, int]) -> TrainingSequences | None:
    """The first half of what was before the window: the second is what the gate asks about."""
    first = events[: len(events) // 2]
    return TrainingSequences(from_interactions(first, index).train) if len(first) >= FEW else None
