"""The demo's model and vectors, made once: a second run with the same catalogue starts in seconds.

Everything lies in a work folder: ``text-*/`` (a model whose text tower is taken over), and for each catalogue
a folder with its model and its text vectors, as the trainer keeps them. A run works on a copy, with a new
store.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from encoders.config import ModelConfig
from encoders.errors import ModelCorrupt, ModelError, ModelNotFound
from encoders.events import Item
from encoders.runtime import ServingModel, Vector
from exporters.model_manifest import read_manifest
from exporters.model_store import load_model, resolve_model
from exporters.qdrant_edge import EdgeVectorStore
from exporters.vector_store import CollectionNames, ItemRecord, VectorSizes
from streams.catalog import text_digest
from streams.demo.screen_state import Stage
from streams.trainer.text_vectors import TEXTS, TextVectors

CONFIG = ModelConfig(name="demo")

MODELS, STORE = "models", "store"
"""In a run's folder."""
OLDEST = -1
"""Source offset of what the demo stores itself: every message of the topic ``items`` is newer."""

Watch = Callable[[], None]
"""Called whenever a stage has moved on."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run needs: a folder of models, and the catalogue's text vectors [n, t]."""

    models: Path
    model: ServingModel
    text_vectors: Vector


def prepare(work: Path, items: Sequence[Item], exporting: Stage, encoding: Stage, watch: Watch) -> Prepared:
    """Find or make the model for a catalogue; ``exporting`` and ``encoding`` are the stages on the screen.

    Raises ``ModelError`` where the text encoder cannot be had.
    """
    folder = work / f"catalogue-{_key(items)}"
    with timed(exporting, watch):
        text_path = _find_or_make_text_tower(text_folder(work), items)
    with timed(encoding, watch):
        encoding.total = len(items)
        models = folder / "models"
        model = _load(models)
        if model is None:
            shutil.rmtree(models, ignore_errors=True)
        text_vectors = _encode(models, text_path, items, encoding, watch)
        model = model or _make(models, text_path, items, text_vectors)
    return Prepared(models, model, text_vectors)


def text_folder(work: Path) -> Path:
    """Where the model stands whose text tower every catalogue's model takes over."""
    return work / f"text-{CONFIG.max_tokens}"


@contextmanager
def run_folder(work: Path, prepared: Prepared, items: Sequence[Item]) -> Iterator[Path]:
    """A folder in ``work`` for one run: ``MODELS``, a copy that may grow, and ``STORE``, filled.

    At the end the gate's reports go to ``work/reports``, and the folder goes away.
    """
    run = Path(tempfile.mkdtemp(prefix="run-", dir=work)).absolute()
    try:
        shutil.copytree(prepared.models, run / MODELS)
        fill_store(run / STORE, prepared, items)
        yield run
        if (run / MODELS / "reports").is_dir():
            shutil.copytree(run / MODELS / "reports", work / "reports", dirs_exist_ok=True)
    finally:
        shutil.rmtree(run, ignore_errors=True)


def fill_store(path: Path, prepared: Prepared, items: Sequence[Item]) -> None:
    """Store the catalogue in a new in-process Qdrant at ``path``: the worker need not encode it again.

    The items go through the topic all the same: the worker finds their texts unchanged.
    """
    shutil.rmtree(path, ignore_errors=True)
    model = prepared.model
    names = CollectionNames.of(model.version)
    store = EdgeVectorStore(path)
    try:
        store.ensure_collections(names, VectorSizes(model.dim, model.text_dim, model.state_dim))
        store.upsert_items(names, _records(prepared, items))
    finally:
        store.close()


@contextmanager
def timed(stage: Stage, watch: Watch) -> Iterator[None]:
    """Mark a stage as started, and at the end of the block as finished, with its seconds."""
    began = time.monotonic()
    stage.started = True
    watch()
    yield
    stage.done = stage.total
    stage.seconds = time.monotonic() - began
    watch()


def _key(items: Sequence[Item]) -> str:
    digest = blake2b(repr(CONFIG).encode(), digest_size=6)
    for item in items:
        digest.update(text_digest(item.text).encode())
    return digest.hexdigest()


def _load(models: Path) -> ServingModel | None:
    try:
        return load_model(models, threads=2)
    except (ModelNotFound, ModelCorrupt):
        return None


def _find_or_make_text_tower(models: Path, items: Sequence[Item]) -> Path:
    if _load(models) is None:
        shutil.rmtree(models, ignore_errors=True)
        _factory()(items[:1], models, CONFIG, dataset="demo")
    return models


def _make(models: Path, text_path: Path, items: Sequence[Item], text_vectors: Vector) -> ServingModel:
    _factory()(items, models, CONFIG, text_from=text_path, text_vectors=text_vectors, dataset="demo")
    return load_model(models, threads=2)


def _factory() -> Callable[..., Path]:
    # torch takes seconds to import, and a demo that was prepared before needs none of it.
    try:
        from exporters.model_factory import make_untrained
    except ImportError as error:
        raise ModelError(f"the demo makes its model with the extra `train` ({error}): make install") from None
    return make_untrained


def _encode(models: Path, text_path: Path, items: Sequence[Item], stage: Stage, watch: Watch) -> Vector:
    def told(_: str, done: int, total: int, __: str) -> None:
        stage.done = len(items) - total + done
        watch()

    model, digest = load_model(text_path, threads=2), read_manifest(resolve_model(text_path)).text_digest
    return TextVectors(models / TEXTS).of(model, digest, [item.text for item in items], told)


def _records(prepared: Prepared, items: Sequence[Item]) -> list[ItemRecord]:
    vectors = prepared.model.item_vectors(prepared.text_vectors)
    now_ms = time.time_ns() // 1_000_000
    return [
        ItemRecord(
            item_id=item.item_id,
            vector=vector,
            text_vector=text_vector,
            title=item.title,
            categories=item.categories,
            price=item.price,
            available=item.available,
            text_digest=text_digest(item.text),
            source_offset=OLDEST,
            updated_at_ms=now_ms,
            created_at_ms=item.created_ms or 0,
        )
        for item, vector, text_vector in zip(items, vectors, prepared.text_vectors, strict=True)
    ]
