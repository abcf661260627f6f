"""A model for a target from a parent's knowledge: what is tuned, what stays. Needs the extra ``train``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from encoders.batching import TrainingSequences
from encoders.config import TrainingConfig, decode_config
from encoders.events import Item
from encoders.ranker import RankingRows
from encoders.runtime import ServingModel
from encoders.training import Progress, no_progress
from exporters.model_factory import pretrain
from exporters.model_store import resolve_model

Vectors = npt.NDArray[np.float32]
Policy = Literal["zero-shot", "adaptor", "adaptor-then-all", "scratch"]
Domain = Literal["new", "same"]


def transfer(
    parent: Path,
    sequences: TrainingSequences,
    items: Sequence[Item],
    out: Path,
    policy: Policy,
    training: TrainingConfig,
    *,
    domain: Domain = "new",
    replay: TrainingSequences | None = None,
    ranking: Callable[[ServingModel], RankingRows] | None = None,
    text_vectors: Vectors | None = None,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Make a model for what ``sequences`` (indices into ``items``) show; returns its folder in ``out``.

    ``domain`` "same": the parent's own shop, later; its item vectors keep their meaning. "new": another
    shop; whitening is fitted on ``items``, and what the parent learned about items is left behind.
    ``replay``: older behaviour over the same ``items``, mixed in against forgetting. ``ranking`` gives the
    rows that the ranker is tuned on, by the model it will order for; default: the validation targets of
    ``sequences``. ``text_vectors`` [n, text_dim] saves encoding. ``resume`` goes on after the last whole
    epoch of an interrupted call with the same arguments, where there was one.
    """
    folder = resolve_model(parent)
    config = decode_config((folder / "config.json").read_bytes())
    return pretrain(
        sequences, items, out, config, training, parent=folder, text_vectors=text_vectors, progress=progress
    )
