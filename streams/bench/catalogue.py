"""A catalogue that costs no text encoding: random text vectors, stored before the worker starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from encoders.config import ModelConfig
from encoders.errors import ModelError
from encoders.events import Item
from encoders.runtime import ServingModel
from exporters.qdrant_edge import EdgeVectorStore
from exporters.vector_store import CollectionNames, ItemRecord, Vector, VectorSizes
from streams.bench.events import item_id
from streams.catalog import text_digest

BATCH = 1_000
TEXT_DIM = 384
"""Of the default text model."""


def make_model(models: Path, items: int, seed: int) -> Path:
    """Make an untrained model of the catalogue in the folder ``models``; raises ``ModelError``."""
    # torch takes seconds to import, and a run with a model of its own needs none of it.
    try:
        from exporters.model_factory import make_untrained
    except ImportError as error:
        raise ModelError(
            f"making a model needs the extra `train` ({error}): pip install 'freshet[train]', or name a model"
            " with --model"
        ) from None
    vectors = text_vectors(np.random.default_rng(seed), items, TEXT_DIM)
    return make_untrained([_item(n) for n in range(items)], models, ModelConfig(), text_vectors=vectors)


def text_vectors(rng: np.random.Generator, count: int, dim: int) -> Vector:
    """Random unit vectors [count, dim]."""
    vectors = rng.standard_normal((count, dim), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def preload(path: Path, model: ServingModel, items: int, seed: int, advance: Callable[[int], None]) -> None:
    """Fill a new store at ``path`` with ``items`` items; ``advance`` hears how many more are stored."""
    names = CollectionNames.of(model.version)
    rng = np.random.default_rng(seed)
    store = EdgeVectorStore(path)
    try:
        store.ensure_collections(names, VectorSizes(model.dim, model.text_dim, model.state_dim))
        for start in range(0, items, BATCH):
            numbers = range(start, min(start + BATCH, items))
            texts = text_vectors(rng, len(numbers), model.text_dim)
            store.upsert_items(names, _records(numbers, texts, model.item_vectors(texts)))
            advance(len(numbers))
    finally:
        store.close()


def _item(number: int) -> Item:
    return Item(item_id(number), f"Item number {number}", categories=("Bench", f"Shelf {number % 50}"))


def _records(numbers: range, texts: Vector, vectors: Vector) -> list[ItemRecord]:
    now_ms = time.time_ns() // 1_000_000
    return [
        ItemRecord(
            item_id=item.item_id,
            vector=vector,
            text_vector=text,
            title=item.title,
            categories=item.categories,
            price=None,
            available=True,
            text_digest=text_digest(item.text),
            source_offset=0,
            updated_at_ms=now_ms,
        )
        for item, text, vector in zip(map(_item, numbers), texts, vectors, strict=True)
    ]
