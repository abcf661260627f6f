"""A model of fewer dimensions that keeps its parent's ranking. Needs the extra ``train``."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from encoders.batching import Sequences
from encoders.config import TrainingConfig
from encoders.errors import ModelError
from encoders.progress import Progress, no_progress
from encoders.smaller_towers import FROZEN, LEARNED, SmallerTowers, cut, made_up_histories
from exporters.catalogue_sample import write_sample
from exporters.model_manifest import DISTILLED_METRIC, INT8_METRIC, read_manifest
from exporters.model_store import ModelFacts, resolve_model, write_model
from exporters.onnx_export import OPSET
from exporters.ranker_files import copy_ranker
from exporters.tower_files import encode_texts, load_towers, write_text_tower, write_towers

Vectors = npt.NDArray[np.float32]

LEAST_ITEMS = 100
HISTORIES = 20_000
"""Made up where the catalogue comes without behaviour."""


def distill(
    model: Path,
    texts: list[str],
    out: Path,
    *,
    dim: int,
    histories: Sequences | None = None,
    steps: int = 300,
    least_overlap: float = 0.7,
    training: TrainingConfig | None = None,
    text_vectors: Vectors | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Write the model again with ``dim`` dimensions; returns the new version's folder in ``out``.

    ``texts`` are a catalogue's, ``histories`` indices into it (else made up), ``text_vectors``
    [n, text_dim] save encoding the texts. The gate is on ranking: of the ten items nearest to each held-out
    item, and to the interest after each held-out history, ``least_overlap`` must stay. Raises ``ModelError``
    where fewer do, where ``dim`` is not below the model's, or where there are fewer than 100 texts to tell.
    """
    if len(texts) < LEAST_ITEMS:
        raise ModelError(
            f"{len(texts)} items: give at least {LEAST_ITEMS}, so that the ranking can be compared"
        )
    source = resolve_model(model)
    parent, training = read_manifest(source), training or TrainingConfig()
    config, towers = load_towers(source)
    smaller, child = cut(towers, config, dim)
    vectors = encode_texts(source, texts, progress) if text_vectors is None else text_vectors
    if histories is None:
        with torch.no_grad():
            histories = made_up_histories(
                towers.item(torch.from_numpy(vectors)).numpy(), HISTORIES, training.seed
            )
    pair = SmallerTowers(towers, child, vectors, histories, training.seed)
    pair.learn(steps, training, progress)
    kept = pair.kept()
    share = min(kept.items, kept.interests)
    if not share >= least_overlap:
        raise ModelError(
            f"with {dim} dimensions {share:.2f} of the ten best are kept, {least_overlap:.2f} are wanted: "
            "choose more dimensions, or keep the model as it is"
        )
    metrics = {
        DISTILLED_METRIC: share,
        "distilled_items_overlap_at_10": kept.items,
        "distilled_interests_overlap_at_10": kept.interests,
    } | {name: value for name, value in parent.metrics.items() if name == INT8_METRIC}

    def build(folder: Path) -> ModelFacts:
        name, digest = write_text_tower(folder, smaller, None, source)
        write_towers(folder, smaller, child, metrics)
        copy_ranker(source, folder)
        write_sample(folder, vectors)
        return ModelFacts(
            parent=parent.version,
            opset=OPSET,
            text_model=name,
            text_digest=digest,
            trained=LEARNED,
            frozen=(*FROZEN, "ranker", "text"),
            data=msgspec.structs.replace(parent.data, items=len(texts)),
            metrics=metrics,
        )

    return write_model(out, build, name=parent.name)
