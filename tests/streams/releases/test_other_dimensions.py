"""A version of fewer dimensions takes over: it has its own collections, users come from their histories."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from encoders.config import ModelConfig
from exporters.metrics import Metrics
from exporters.model_factory import make_untrained
from exporters.vector_store import ItemRecord
from streams.demo.catalogue import make_catalogue
from streams.opening import open_generation, open_store
from streams.releases.loading import Pace, fill
from streams.settings import Settings
from streams.settings_sections import ModelSettings, QdrantSettings
from tests.fakes.kafka_messages import click
from tests.fakes.releasing import DIMS, Releasing, release
from tests.fakes.wired_worker import WiredWorker


@pytest.fixture
def releasing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Releasing]:
    worker = WiredWorker()
    asyncio.run(worker.stock("a", "b", "c", "d"))
    yield Releasing(worker, monkeypatch)
    worker.close()


async def test_a_user_goes_on_in_the_smaller_space(releasing: Releasing) -> None:
    worker = releasing.worker
    await worker.interest.process([click("ann", "a", 0)])
    await releasing.obey(release(1, "small", "fake-1"))
    await worker.interest.process([click("ann", "b", 1)])
    assert [one["model_version"] for one in worker.recommendations()] == ["fake-1", "small"]
    assert len(releasing.user("small", "ann").interest) == DIMS["small"]


def test_the_engine_is_filled_with_smaller_vectors_and_searches_them(
    untrained_model: Path, tmp_path: Path
) -> None:
    items = make_catalogue(40, 7)
    texts = np.random.default_rng(0).standard_normal((len(items), 384)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    small = make_untrained(
        items, tmp_path / "models", ModelConfig(dim=64), text_from=untrained_model, text_vectors=texts
    )
    settings = Settings(
        model=ModelSettings(path=untrained_model), qdrant=QdrantSettings(path=tmp_path / "vectors")
    )
    store = open_store(settings.qdrant)
    before = open_generation(settings, store)
    records = [
        ItemRecord(
            item_id=item.item_id,
            vector=np.zeros(before.model.dim, np.float32),
            text_vector=text,
            title=item.title,
            categories=item.categories,
            price=item.price,
            available=True,
            text_digest="0" * 64,
            source_offset=number,
            updated_at_ms=1,
        )
        for number, (item, text) in enumerate(zip(items, texts, strict=True))
    ]
    before.take_in(store, before.encoded(records))
    after = open_generation(settings, store, small)
    fill(store, before.names, after, Metrics(), Pace())
    wanted = after.model.item_vectors(texts)
    found = store.nearest_items(after.names, wanted[:5], [1] * 5)
    assert wanted.shape == (len(items), 64)
    assert [hits[0].item_id for hits in found] == [item.item_id for item in items[:5]]
    store.close()
