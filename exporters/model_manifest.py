"""A model folder's manifest and golden vector: what the files are, and what they must compute."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from encoders.batching import TrainingSequences
from encoders.errors import ModelCorrupt
from encoders.features import FEATURES
from encoders.runtime import ServingModel

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
GOLDEN = "golden.json"
REQUIRED = (
    "config.json",
    "tokenizer.json",
    "text.onnx",
    "item.onnx",
    "user_step.onnx",
    "user_prefill.onnx",
    "weights.safetensors",
    "metrics.json",
    GOLDEN,
)
RANKER = "ranker.onnx"
RANKER_WEIGHTS = "ranker.safetensors"
"""Optional: both, or neither."""
FACTORS = "factors.safetensors"
"""Optional, beside a ranker that reads them."""
INT8_METRIC = "int8_overlap_at_10"
"""Share of the ten best neighbours of the texts that an int8 text tower keeps."""
DISTILLED_METRIC = "distilled_overlap_at_10"
"""Share of its parent's ten best that a model of fewer dimensions keeps: of items or interests, the less."""
MAX_JSON_BYTES = 8 * 1024 * 1024
GOLDEN_TOLERANCE = 2e-3
"""Absolute, on components of unit vectors: above any processor's rounding, far below another model's."""

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the folder."""

    sha256: Digest
    bytes: Annotated[int, Meta(ge=0)]


class DataWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the model was made from; times in milliseconds since 1970-01-01 UTC, ``None`` without times."""

    dataset: str = ""
    items: int = 0
    interactions: int = 0
    from_ms: int | None = None
    until_ms: int | None = None

    @classmethod
    def of(cls, sequences: TrainingSequences, items: int) -> DataWindow:
        """What was trained on: ``sequences`` over a catalogue of so many items."""
        return cls(
            dataset=sequences.dataset,
            items=items,
            interactions=sequences.interactions,
            from_ms=sequences.from_ms,
            until_ms=sequences.until_ms,
        )


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``manifest.json``."""

    format_version: int
    name: str
    version: Name
    created_at: str
    """RFC 3339, UTC."""
    parent: Name | None
    dim: int
    text_dim: int
    state_dim: int
    opset: int
    text_model: str
    text_digest: Digest
    """Of the text tower's weights and tokenizer: equal digests mean comparable text vectors."""
    trained: tuple[str, ...]
    """Which parts were trained: none in a model made from a catalogue alone."""
    frozen: tuple[str, ...] = ()
    """Which parts were left as the parent's, where a model was made by transfer."""
    data: DataWindow
    metrics: dict[str, float]
    files: Annotated[dict[str, FileEntry], Meta(max_length=100)]
    ranker_features: tuple[str, ...] = ()
    """What ``ranker.onnx`` reads, in order; none in a model without a ranker."""
    factors: int = 0
    """Dimensions of the items' factors; 0 in a model without."""


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Inputs, and what the model answered when it was made."""

    texts: list[str]
    event_types: list[int]
    gap_seconds: list[float]
    text_vectors: list[list[float]]
    interest: list[float]
    interest_after: list[float]
    ranker_scores: list[float] = []


def read_manifest(folder: Path) -> Manifest:
    """Read and validate; raises ``ModelCorrupt`` for anything but a manifest of this format."""
    return decode_manifest(read_small(folder / MANIFEST), str(folder))


def decode_manifest(content: bytes, folder: str) -> Manifest:
    """Validate a manifest's bytes; ``folder`` is for the message of the ``ModelCorrupt`` that it raises."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise ModelCorrupt(f"{folder}/{MANIFEST} is not a model manifest: {error}") from error
    if manifest.format_version != FORMAT_VERSION:
        raise ModelCorrupt(
            f"{folder} has format {manifest.format_version}, not {FORMAT_VERSION}: make the model again"
        )
    return manifest


def read_small(path: Path) -> bytes:
    """Read a JSON file of bounded size; raises ``ModelCorrupt`` where it is missing or too large."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelCorrupt(f"{path} is larger than {MAX_JSON_BYTES} bytes: this is no model file of ours")
        return path.read_bytes()
    except OSError as error:
        raise ModelCorrupt(f"cannot read {path}: {error.strerror}") from error


def entry_of(path: Path) -> FileEntry:
    """Digest and size of a file."""
    with path.open("rb") as file:
        return FileEntry(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Raise ``ModelCorrupt`` unless every file is in the folder with the size and digest it should have."""
    parts = ([RANKER] if manifest.ranker_features else []) + ([FACTORS] if manifest.factors else [])
    missing = [name for name in (*REQUIRED, *parts) if name not in manifest.files]
    if missing:
        raise ModelCorrupt(f"{folder / MANIFEST} does not list {', '.join(missing)}: make the model again")
    root = folder.resolve()
    for name, expected in manifest.files.items():
        path = (folder / name).resolve()
        if Path(name).is_absolute() or not path.is_relative_to(root):
            raise ModelCorrupt(f"{folder / MANIFEST} names a file outside its folder: do not use this model")
        if not path.is_file():
            raise ModelCorrupt(f"{folder / name} is missing: copy the model again")
        # The size first: it costs nothing, and catches what was cut off.
        if path.stat().st_size != expected.bytes or entry_of(path) != expected:
            raise ModelCorrupt(f"{folder / name} is not the file that was written: copy the model again")


_PROBE_TEXTS = ["A waterproof jacket for mountain walks", "Ceramic tea pot, 1.2 litres, with strainer"]
_PROBE_TYPES = [0, 1]
_PROBE_GAPS = [0.0, 86_400.0]


def record_golden(model: ServingModel) -> Golden:
    """Ask a model the fixed question and write down the answer."""
    texts, before, after = _probe(model, _PROBE_TEXTS, _PROBE_TYPES, _PROBE_GAPS)
    answers = (texts.tolist(), before.tolist(), after.tolist(), _probe_ranker(model).tolist())
    return Golden(_PROBE_TEXTS, _PROBE_TYPES, _PROBE_GAPS, *answers)


def check_golden(model: ServingModel, golden: Golden) -> None:
    """Raise ``ModelCorrupt`` where a model no longer gives the answer that was written down."""
    answers = _probe(model, golden.texts, golden.event_types, golden.gap_seconds)
    promised = (golden.text_vectors, golden.interest, golden.interest_after, golden.ranker_scores)
    for actual, expected in zip((*answers, _probe_ranker(model)), promised, strict=True):
        wanted = np.asarray(expected, dtype=np.float32)
        if actual.shape != wanted.shape or not np.allclose(actual, wanted, rtol=0, atol=GOLDEN_TOLERANCE):
            raise ModelCorrupt(f"model {model.version} does not compute what it promises: make it again")


def _probe(
    model: ServingModel, texts: list[str], types: list[int], gaps: list[float]
) -> tuple[npt.NDArray[np.float32], ...]:
    """Text vectors [n, text_dim], the interest after the events (prefill), and after one more (step)."""
    vectors = model.encode_texts(texts)
    items = model.item_vectors(vectors)
    event_types, seconds = np.asarray(types, dtype=np.int64), np.asarray(gaps, dtype=np.float32)
    state, before = model.prefill(items[None], event_types[None], seconds[None], np.array([len(texts)]))
    _, after = model.step(state, items[:1], event_types[-1:], seconds[-1:])
    return vectors, before[0], after[0]


def _probe_ranker(model: ServingModel) -> npt.NDArray[np.float32]:
    """Scores of four made-up candidates, [4]; none without a ranker."""
    made_up = np.linspace(-1.0, 2.0, 4 * len(FEATURES), dtype=np.float32).reshape(1, 4, -1)
    scores = model.rank(made_up)
    return np.zeros(0, dtype=np.float32) if scores is None else scores[0]


def decode_golden(data: bytes) -> Golden:
    """Read ``golden.json``; raises ``ModelCorrupt`` where its lists do not fit each other."""
    golden = msgspec.json.decode(data, type=Golden)
    if not len(golden.texts) == len(golden.event_types) == len(golden.gap_seconds) > 0:
        raise ModelCorrupt("the lists of golden.json differ in length: make the model again")
    return golden
