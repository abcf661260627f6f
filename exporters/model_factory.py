"""Making models: untrained from a catalogue, or pretrained on a data set. Needs the extra ``train``."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file

from encoders.batching import TrainingSequences
from encoders.checkpoint import Checkpoint
from encoders.config import ModelConfig, TrainingConfig, decode_config, encode_config
from encoders.errors import ModelError, SettingsError
from encoders.events import Item
from encoders.sessions import open_session
from encoders.text import TextEncoder
from encoders.towers import ItemTower, UserTower
from encoders.training import Outcome, Progress, Towers, Trainer, new_towers, no_progress, seeded
from encoders.whitening import Whitening, fit_whitening
from exporters.model_manifest import DataWindow, read_manifest
from exporters.model_store import ModelFacts, load_model, resolve_model, write_model
from exporters.onnx_export import (
    OPSET,
    default_text_model,
    export_item,
    export_text,
    export_user,
    load_text_tower,
)
from exporters.ranker_files import copy_ranker, write_default_ranker

Vectors = npt.NDArray[np.float32]
CHECKPOINT = ".pretraining"
_TEXT_FILES = ("text.onnx", "tokenizer.json")
_ENCODE_STEP = 256


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
        name, digest = _write_text_tower(folder, config, text_model, text_from)
        if vectors is None:
            vectors = _encode(folder, [item.text for item in items], progress)
        _require_rows(vectors, items)
        with seeded(0):
            towers = Towers(
                ItemTower(config, fit_whitening(vectors, config.whitening_shrinkage)),
                UserTower(config),
            )
        _write_towers(folder, config, towers, {})
        write_default_ranker(folder)
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
        vectors = _encode(folder, [item.text for item in items], progress)
    _require_rows(vectors, items)
    config, towers = load_towers(folder, training.dropout)
    checkpoint = Checkpoint(out / CHECKPOINT)
    version = read_manifest(folder).version
    trainer = Trainer(towers, vectors, sequences, training)
    outcome = trainer.run(checkpoint, progress, resume=resume, parent=version)
    written = (
        _write_trained(out, folder, config, towers, sequences, len(items), outcome)
        if outcome.improved
        else folder
    )
    checkpoint.remove()
    return written


def load_towers(folder: Path, dropout: float = 0.0) -> tuple[ModelConfig, Towers]:
    """Read a verified model's weights back into torch."""
    load_model(folder)
    config = decode_config((folder / "config.json").read_bytes())
    weights = load_file(folder / "weights.safetensors")
    blank = Whitening(weights["item.mean"].numpy(), weights["item.projection"].numpy())
    towers = new_towers(ItemTower(config, blank), UserTower(config), dropout)
    towers.load_state_dict(weights)
    return config, towers


def _write_trained(
    out: Path,
    parent: Path,
    config: ModelConfig,
    towers: Towers,
    sequences: TrainingSequences,
    items: int,
    outcome: Outcome,
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
    metrics = {name: value for name, value in metrics.items() if np.isfinite(value)}
    data = DataWindow(
        dataset=sequences.dataset,
        items=items,
        interactions=sequences.interactions,
        from_ms=sequences.from_ms,
        until_ms=sequences.until_ms,
    )

    def build(folder: Path) -> ModelFacts:
        name, digest = _write_text_tower(folder, config, None, parent)
        _write_towers(folder, config, towers, metrics)
        copy_ranker(parent, folder)
        return ModelFacts(
            parent=source.version,
            opset=OPSET,
            text_model=name,
            text_digest=digest,
            trained=("item_residual", "user_residual", "decay"),
            data=data,
            metrics=metrics,
        )

    return write_model(out, build, name=config.name)


def _write_text_tower(
    folder: Path, config: ModelConfig, text_model: str | None, text_from: Path | None
) -> tuple[str, str]:
    """Write ``text.onnx`` and ``tokenizer.json``; returns the text model's name and digest."""
    if text_from is not None:
        if text_model is not None:
            raise SettingsError("name a text model or a model to take it from, not both")
        source = resolve_model(text_from)
        for name in _TEXT_FILES:
            shutil.copyfile(source / name, folder / name)
        manifest = read_manifest(source)
        return manifest.text_model, manifest.text_digest
    name = text_model or default_text_model()
    tower, tokenizer = load_text_tower(name, config.max_tokens)
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    export_text(tower, folder / "text.onnx")
    digest = hashlib.sha256(tokenizer.encode())
    for key, tensor in sorted(tower.state_dict().items()):
        digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    return ("all-MiniLM-L6-v2" if text_model is None else Path(name).name), digest.hexdigest()


def _write_towers(folder: Path, config: ModelConfig, towers: Towers, metrics: dict[str, float]) -> None:
    towers.eval()
    (folder / "config.json").write_bytes(encode_config(config))
    (folder / "metrics.json").write_bytes(msgspec.json.encode(metrics, order="sorted"))
    save_file({k: v.contiguous() for k, v in towers.state_dict().items()}, folder / "weights.safetensors")
    export_item(towers.item, folder / "item.onnx")
    export_user(towers.user, folder / "user_step.onnx", folder / "user_prefill.onnx")


def _encode(folder: Path, texts: list[str], progress: Progress) -> Vectors:
    session = open_session(folder / "text.onnx", threads=torch.get_num_threads())
    encoder = TextEncoder.open(folder / "tokenizer.json", session)
    # Long and short texts apart, over the whole catalogue: less padding than in each step alone.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.empty((len(texts), encoder.text_dim), dtype=np.float32)
    for start in range(0, len(order), _ENCODE_STEP):
        chosen = order[start : start + _ENCODE_STEP]
        vectors[chosen] = encoder.encode([texts[i] for i in chosen])
        progress("encode", start + len(chosen), len(order), "")
    return vectors


def _require_rows(vectors: Vectors, items: Sequence[Item]) -> None:
    if len(vectors) != len(items):
        raise ModelError(f"{len(vectors)} text vectors for {len(items)} items: encode the same catalogue")
