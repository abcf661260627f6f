"""Making models: untrained from a catalogue, or pretrained on a data set. Needs the extra ``train``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.batching import TrainingSequences
from encoders.checkpoint import Checkpoint
from encoders.config import ModelConfig, TrainingConfig
from encoders.domains import Domain
from encoders.errors import ModelError
from encoders.events import Item
from encoders.progress import Progress, no_progress
from encoders.torch_context import seeded
from encoders.towers import ItemTower, Towers, UserTower
from encoders.training import Outcome, Trainer
from encoders.whitening import fit_whitening
from exporters.catalogue_sample import write_sample
from exporters.model_manifest import DataWindow, read_manifest
from exporters.model_store import ModelFacts, resolve_model, write_model
from exporters.onnx_export import OPSET
from exporters.ranker_files import copy_ranker, write_default_ranker
from exporters.tower_files import encode_texts, load_towers, require_rows, write_text_tower, write_towers

Vectors = npt.NDArray[np.float32]
CHECKPOINT = ".pretraining"


def make_untrained(
    items: Sequence[Item],
    out: Path,
    config: ModelConfig,
    *,
    text_model: str | None = None,
    text_from: Path | None = None,
    text_vectors: Vectors | None = None,
    dataset: str = "",
    progress: Progress = no_progress,
) -> Path:
    """Make a model from a catalogue alone; returns its version folder in the models folder ``out``.

    The text tower is ``text_model`` (a Hugging Face id or local folder; default: the packaged
    all-MiniLM-L6-v2) or that of the model at ``text_from``. ``text_vectors`` [n, text_dim] saves encoding
    the items' texts with it. Raises ``ModelError`` where the catalogue is empty or the text model cannot be
    loaded.
    """
    return _make_untrained(items, out, config, text_model, text_from, text_vectors, dataset, progress)[0]


def _make_untrained(
    items: Sequence[Item],
    out: Path,
    config: ModelConfig,
    text_model: str | None,
    text_from: Path | None,
    text_vectors: Vectors | None,
    dataset: str,
    progress: Progress,
) -> tuple[Path, Vectors]:
    if not items:
        raise ModelError("the catalogue has no items: a model needs at least one to be made")
    vectors = text_vectors

    def build(folder: Path) -> ModelFacts:
        nonlocal vectors
        name, digest = write_text_tower(folder, config, text_model, text_from)
        if vectors is None:
            vectors = encode_texts(folder, [item.text for item in items], progress)
        require_rows(vectors, items)
        with seeded(0):
            towers = Towers(
                ItemTower(config, fit_whitening(vectors, config.whitening_shrinkage)),
                UserTower(config),
            )
        write_towers(folder, config, towers, {})
        write_default_ranker(folder)
        write_sample(folder, vectors)
        data = DataWindow(dataset=dataset, items=len(items))
        return ModelFacts(
            parent=None, opset=OPSET, text_model=name, text_digest=digest, trained=(), data=data, metrics={}
        )

    folder = write_model(out, build, name=config.name)
    assert vectors is not None
    return folder, vectors


def pretrain(
    sequences: TrainingSequences,
    items: Sequence[Item],
    out: Path,
    config: ModelConfig,
    training: TrainingConfig,
    *,
    parent: Path | None = None,
    text_model: str | None = None,
    text_vectors: Vectors | None = None,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Train the towers on ``sequences`` (indices into ``items``); returns the version's folder in ``out``.

    Starts from the model at ``parent`` (whose configuration then holds, not ``config``), else from an
    untrained one made from ``items``, which stays in ``out`` beside it. Where training does not beat the
    start on validation, the start is what is returned. ``resume`` goes on after the last whole epoch of an
    interrupted call with the same arguments. Raises ``SettingsError`` where there is nothing to resume,
    ``ModelError`` as ``make_untrained``.
    """
    vectors = text_vectors
    if parent is None:
        parent, vectors = _make_untrained(
            items, out, config, text_model, None, vectors, sequences.dataset, progress
        )
    folder = resolve_model(parent)
    if vectors is None:
        vectors = encode_texts(folder, [item.text for item in items], progress)
    require_rows(vectors, items)
    config, towers = load_towers(folder, training.dropout)
    checkpoint = Checkpoint(out / CHECKPOINT)
    version = read_manifest(folder).version
    trainer = Trainer(towers, [Domain.of(towers.item, vectors, sequences)], training)
    outcome = trainer.run(checkpoint, progress, resume=resume, parent=version)
    written = (
        _write_trained(out, folder, config, towers, sequences, len(items), outcome, training)
        if outcome.improved
        else folder
    )
    checkpoint.remove()
    return written


def _write_trained(
    out: Path,
    parent: Path,
    config: ModelConfig,
    towers: Towers,
    sequences: TrainingSequences,
    items: int,
    outcome: Outcome,
    training: TrainingConfig,
) -> Path:
    """Write a new version with the parent's text tower."""
    source = read_manifest(parent)
    metrics = {
        "validation_ndcg_at_10": outcome.ndcg_at_10,
        "validation_recall_at_10": outcome.recall_at_10,
        "parent_validation_ndcg_at_10": outcome.untrained_ndcg_at_10,
        "parent_validation_recall_at_10": outcome.untrained_recall_at_10,
        "best_epoch": float(outcome.best_epoch),
        "epochs": float(outcome.epochs),
    }
    metrics = {name: value for name, value in metrics.items() if np.isfinite(value)} | training.task_weights
    data = DataWindow.of(sequences, items)

    def build(folder: Path) -> ModelFacts:
        name, digest = write_text_tower(folder, config, None, parent)
        write_towers(folder, config, towers, metrics)
        copy_ranker(parent, folder)
        return ModelFacts(
            parent=source.version,
            opset=OPSET,
            text_model=name,
            text_digest=digest,
            trained=("adaptor", "item_residual", "user_residual", "decay"),
            data=data,
            metrics=metrics,
        )

    return write_model(out, build, name=config.name)
