"""Towers and texts in a model folder: written as weights and graphs, read back into torch."""

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

from encoders.config import ModelConfig, decode_config, encode_config
from encoders.errors import ModelError, SettingsError
from encoders.events import Item
from encoders.progress import Progress
from encoders.sessions import open_session
from encoders.text import TextEncoder
from encoders.towers import ItemTower, Towers, UserTower, new_towers
from encoders.whitening import Whitening
from exporters.model_manifest import read_manifest
from exporters.model_store import load_model, resolve_model
from exporters.onnx_export import (
    TextTower,
    default_text_model,
    export_item,
    export_text,
    export_user,
    load_text_tower,
)

Vectors = npt.NDArray[np.float32]
_TEXT_FILES = ("text.onnx", "tokenizer.json")
_ENCODE_STEP = 256
UNIT_TOLERANCE = 1e-3
"""Of the length of a text vector: what half precision leaves."""


def load_towers(folder: Path, dropout: float = 0.0) -> tuple[ModelConfig, Towers]:
    """Read a verified model's weights back into torch."""
    load_model(folder)
    config = decode_config((folder / "config.json").read_bytes())
    weights = load_file(folder / "weights.safetensors")
    blank = Whitening(weights["item.mean"].numpy(), weights["item.projection"].numpy())
    towers = new_towers(ItemTower(config, blank), UserTower(config), dropout)
    # Models from before there were gains: all directions count alike.
    towers.load_state_dict({"item.log_gain": torch.zeros(config.dim)} | weights)
    return config, towers


def write_text_tower(
    folder: Path, config: ModelConfig, text_model: str | None, text_from: Path | None
) -> tuple[str, str]:
    """Write ``text.onnx`` and ``tokenizer.json``; returns the text model's name and digest.

    ``text_model`` is what transformers loads, or a folder that has these two files already. Raises
    ``ModelError`` where it is neither.
    """
    if text_from is not None:
        if text_model is not None:
            raise SettingsError("name a text model or a model to take it from, not both")
        source = resolve_model(text_from)
        for name in _TEXT_FILES:
            shutil.copyfile(source / name, folder / name)
        manifest = read_manifest(source)
        return manifest.text_model, manifest.text_digest
    name = text_model or default_text_model()
    if (Path(name) / "text.onnx").is_file():
        return Path(name).name, _copy_text_tower(Path(name), folder)
    tower, tokenizer = load_text_tower(name, config.max_tokens)
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    export_text(tower, folder / "text.onnx")
    return ("all-MiniLM-L6-v2" if text_model is None else Path(name).name), digest_of_text(tower, tokenizer)


def digest_of_text(tower: TextTower, tokenizer: str) -> str:
    """SHA-256 of a text tower's weights and of its ``tokenizer.json``, in hexadecimal digits."""
    digest = hashlib.sha256(tokenizer.encode())
    for key, tensor in sorted(tower.state_dict().items()):
        digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _copy_text_tower(source: Path, folder: Path) -> str:
    """Take a text tower that is ONNX already; returns its digest."""
    digest = hashlib.sha256()
    try:
        for name in _TEXT_FILES:
            shutil.copyfile(source / name, folder / name)
            digest.update((folder / name).read_bytes())
        encoder = TextEncoder.open(folder / "tokenizer.json", open_session(folder / "text.onnx"))
        vectors = encoder.encode(["", "Tea pot", "A tea pot of cast iron, 1.2 litres, with a strainer"])
    except Exception as error:  # onnxruntime and tokenizers raise bare exceptions of many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{source} holds no text tower (docs/extending.md says how it must be): {reason}"
        ) from error
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=UNIT_TOLERANCE):
        raise ModelError(f"text_vectors of {source} are not of unit length: normalise them inside the graph")
    return digest.hexdigest()


def write_towers(folder: Path, config: ModelConfig, towers: Towers, metrics: dict[str, float]) -> None:
    """Write configuration, metrics, weights and the three graphs of the towers."""
    towers.eval()
    (folder / "config.json").write_bytes(encode_config(config))
    (folder / "metrics.json").write_bytes(msgspec.json.encode(metrics, order="sorted"))
    save_file({k: v.contiguous() for k, v in towers.state_dict().items()}, folder / "weights.safetensors")
    export_item(towers.item, folder / "item.onnx")
    export_user(towers.user, folder / "user_step.onnx", folder / "user_prefill.onnx")


def encode_texts(folder: Path, texts: list[str], progress: Progress) -> Vectors:
    """Encode a catalogue's texts -> [n, text_dim] with the text tower in ``folder``."""
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


def require_rows(vectors: Vectors, items: Sequence[Item]) -> None:
    """Raise ``ModelError`` unless there is a vector for each item."""
    if len(vectors) != len(items):
        raise ModelError(f"{len(vectors)} text vectors for {len(items)} items: encode the same catalogue")
