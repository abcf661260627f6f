"""Model folders: written whole or not at all, verified before they are used.

``models/`` holds one folder a version and the plain text file ``latest`` that names one of them. Nothing here
needs torch.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
from safetensors import SafetensorError

from encoders.config import decode_config
from encoders.errors import ModelCorrupt, ModelError, ModelNotFound
from encoders.features import FEATURES
from encoders.runtime import ServingModel
from encoders.sessions import CPU, open_session
from encoders.text import TextEncoder
from exporters.factor_files import read_factors
from exporters.model_manifest import (
    FACTORS,
    FORMAT_VERSION,
    GOLDEN,
    MANIFEST,
    RANKER,
    RANKER_WEIGHTS,
    DataWindow,
    Manifest,
    check_golden,
    decode_golden,
    entry_of,
    read_manifest,
    read_small,
    record_golden,
    verify_files,
)

LATEST = "latest"
_IDENTITY = ("config.json", "tokenizer.json", "weights.safetensors", RANKER_WEIGHTS, FACTORS)
_TEXT_FILES = ("text.onnx", "tokenizer.json")
_text_encoders: WeakValueDictionary[tuple[object, ...], TextEncoder] = WeakValueDictionary()
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the writer of a model knows about it; the rest of the manifest is read off the files."""

    parent: str | None
    opset: int
    text_model: str
    text_digest: str
    trained: tuple[str, ...]
    frozen: tuple[str, ...] = ()
    data: DataWindow
    metrics: dict[str, float]


def load_model(path: Path, *, threads: int = 1, providers: Sequence[str] = (CPU,)) -> ServingModel:
    """Verify and load a model version folder, or the version that ``latest`` names in a models folder.

    ``threads`` are onnxruntime's intra-op threads a graph. Of ``providers`` those are used that work here,
    else the CPU. Raises ``ModelNotFound`` where there is no model and ``ModelCorrupt`` where a file is not
    what the manifest says or the golden vector comes out otherwise.
    """
    folder = resolve_model(path)
    manifest = read_manifest(folder)
    verify_files(folder, manifest)
    if manifest.ranker_features not in ((), FEATURES):
        raise ModelCorrupt(
            f"the ranker in {folder} reads other features: make the model again with this version of Freshet"
        )
    try:
        decode_config(read_small(folder / "config.json"))
        golden = decode_golden(read_small(folder / GOLDEN))
        model = _open(folder, manifest, threads, providers)
        check_golden(model, golden)
    except ModelError:
        raise
    except Exception as error:  # onnxruntime and tokenizers raise bare exceptions of many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelCorrupt(f"cannot load the model in {folder}: {reason}") from error
    return model


def resolve_model(path: Path) -> Path:
    """The version folder that ``path`` means; raises ``ModelNotFound`` or ``ModelCorrupt``."""
    if (path / MANIFEST).is_file():
        return path
    pointer = path / LATEST
    if not pointer.is_file():
        raise ModelNotFound(
            f"no model at {path}: make one with `freshet model init --catalog items.jsonl --out {path}`"
        )
    version = read_small(pointer).decode("utf-8", errors="replace").strip()
    if not _VERSION.fullmatch(version) or not (path / version / MANIFEST).is_file():
        raise ModelCorrupt(
            f"{pointer} names {version[:100]!r}, which is no model in {path}: write a version into it"
        )
    return path / version


def write_model(models: Path, build: Callable[[Path], ModelFacts], *, name: str) -> Path:
    """Write a model version and point ``latest`` at it; returns the version folder.

    ``build`` writes all files but the manifest and the golden vector into the folder it is given. The
    version's hexadecimal part is a digest of what makes this model this model: weights, tokenizer,
    configuration, not the graphs, which other releases of torch write otherwise. The folder appears under
    its name only when it is whole, and a version of the same weights that exists already is kept as it is.
    Raises ``ModelError`` where it cannot be written, a full disk included; nothing of it is left then.
    """
    try:
        models.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".writing-", dir=models))
        try:
            facts = build(scratch)
            version = _finish(scratch, facts, name)
            folder = _publish(scratch, models, version)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        point_latest(models, folder.name)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"cannot write a model to {models}: {error}; make room there, or name another folder"
        ) from error
    return folder


def point_latest(models: Path, version: str) -> None:
    """Make ``latest`` name a version, in one step."""
    temporary = models / f".{LATEST}-{os.getpid()}"
    try:
        temporary.write_text(version + "\n", encoding="utf-8")
        temporary.replace(models / LATEST)
    finally:
        temporary.unlink(missing_ok=True)


def _open(folder: Path, manifest: Manifest, threads: int, providers: Sequence[str]) -> ServingModel:
    def session(name: str) -> object:
        return open_session(folder / name, threads=threads, providers=providers)

    return ServingModel(
        version=manifest.version,
        dim=manifest.dim,
        text_dim=manifest.text_dim,
        state_dim=manifest.state_dim,
        text=_text_encoder(folder, manifest, threads, providers),
        item_graph=session("item.onnx"),
        step_graph=session("user_step.onnx"),
        prefill_graph=session("user_prefill.onnx"),
        ranker_graph=session(RANKER) if manifest.ranker_features else None,
        factors=read_factors(folder) if manifest.factors else None,
    )


def _text_encoder(folder: Path, manifest: Manifest, threads: int, providers: Sequence[str]) -> TextEncoder:
    """Versions of equal text towers share one that is open: it is most of a model's memory and loading."""
    digests = tuple(entry.sha256 for name, entry in sorted(manifest.files.items()) if name in _TEXT_FILES)
    key = (digests, threads, tuple(providers))
    encoder = _text_encoders.get(key) if digests else None
    if encoder is None:
        text_graph = open_session(folder / "text.onnx", threads=threads, providers=providers)
        encoder = TextEncoder.open(folder / "tokenizer.json", text_graph)
        if digests:
            _text_encoders[key] = encoder
    return encoder


def _identity(scratch: Path, facts: ModelFacts) -> str:
    digest = hashlib.sha256(facts.text_digest.encode())
    for name in filter(lambda name: (scratch / name).is_file(), _IDENTITY):
        digest.update(entry_of(scratch / name).sha256.encode())
    return digest.hexdigest()[:8]


def _finish(scratch: Path, facts: ModelFacts, name: str) -> str:
    """Write the golden vector and the manifest, and check that the result loads; returns the version."""
    now = datetime.now(UTC)
    config = decode_config((scratch / "config.json").read_bytes())
    text = TextEncoder.open(scratch / "tokenizer.json", open_session(scratch / "text.onnx"))
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        version=f"{now:%Y%m%d}-{_identity(scratch, facts)}",
        created_at=now.isoformat(timespec="seconds"),
        dim=config.dim,
        text_dim=text.text_dim,
        state_dim=config.state_dim,
        files={},
        ranker_features=FEATURES if (scratch / RANKER).is_file() else (),
        factors=read_factors(scratch).vectors.shape[1] if (scratch / FACTORS).is_file() else 0,
        **msgspec.structs.asdict(facts),
    )
    golden = record_golden(_open(scratch, manifest, 1, (CPU,)))
    (scratch / GOLDEN).write_bytes(msgspec.json.encode(golden))
    files = {path.name: entry_of(path) for path in sorted(scratch.iterdir())}
    manifest = msgspec.structs.replace(manifest, files=files)
    (scratch / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    load_model(scratch)
    return manifest.version


def _publish(scratch: Path, models: Path, version: str) -> Path:
    existing = sorted(models.glob(f"*-{version.rpartition('-')[2]}"))
    for folder in existing:  # the same weights again: keep the older name, users' vectors are filed under it
        try:
            load_model(folder)
        except ModelError:
            continue
        return folder
    folder = models / version
    if folder.exists():
        shutil.rmtree(folder)
    for path in scratch.iterdir():
        path.chmod(0o644)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    scratch.chmod(0o755)
    scratch.rename(folder)
    return folder
