"""Workers on fakes that obey releases: versions are models of a few lines, and nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from encoders.errors import ReleaseRefused
from exporters.vector_store import CollectionNames
from streams.catalog_replica import CatalogReplica
from streams.generation import Generation
from streams.messages import ModelAt, ModelRelease
from streams.releases import loading
from streams.releases.changeover import Changeover, Worker
from tests.fakes.kafka_messages import NOW_MS
from tests.fakes.model import DIM, FakeModel
from tests.fakes.wired_worker import WiredWorker

FIRST = {"fake-1": 0, "fake-2": 2, "fake-3": 1, "small": 0}
DIMS = {"small": 4}
"""Of versions that have fewer dimensions than the others."""
TOWER, MANIFEST = "0" * 64, "1" * 64


def at(version: str) -> ModelAt:
    return ModelAt(version=version, uri=f"models/{version}", digest=MANIFEST)


def release(number: int, champion: str, *lineage: str, **changes: Any) -> ModelRelease:
    return ModelRelease(
        model="m", number=number, champion=at(champion), lineage=list(lineage), released_at=NOW_MS, **changes
    )


class Releasing:
    """A worker with a changeover; ``towers`` and ``unreadable`` say what is wrong with versions."""

    def __init__(self, worker: WiredWorker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.worker = worker
        self.latest: ModelRelease | None = None
        self.towers: dict[str, str] = {}
        self.unreadable: set[str] = set()
        monkeypatch.setattr(loading, "fetch_model", self._fetch)
        self.changeover = self.for_worker(worker)

    def for_worker(self, worker: WiredWorker) -> Changeover:
        serving = worker.serving
        serving.generation = Generation(
            serving.model, serving.names, serving.replica, serving.recommender, TOWER, MANIFEST
        )
        locks = (worker.catalog.lock, worker.evidence.lock, worker.interest.lock)
        wired = Worker(
            serving,
            locks,
            worker.evidence.model_changed,
            Path("cache"),
            lambda folder: self._open(worker, folder),
        )
        return Changeover(wired, lambda: self.latest)

    async def obey(self, one: ModelRelease) -> None:
        self.latest = one
        await self.changeover.look()
        assert self.changeover._task is not None
        await self.changeover._task

    @property
    def version(self) -> str:
        return self.worker.serving.model.version

    def refusals(self) -> dict[str, float]:
        samples = self.worker.metrics.release_refusals.collect()[0].samples
        return {one.labels["reason"]: one.value for one in samples if one.name.endswith("_total")}

    def user(self, version: str, user_id: str) -> Any:
        return self.worker.store.retrieve_users(CollectionNames.of(version), [user_id])[0]

    def _fetch(self, uri: str, cache: Path, digest: str | None = None) -> Any:
        version = Path(uri).name
        if version in self.unreadable:
            raise ReleaseRefused("unreadable", f"no model at {uri}")
        manifest = SimpleNamespace(version=version, text_digest=self.towers.get(version, TOWER))
        return SimpleNamespace(folder=Path(version), manifest=manifest)

    def _open(self, worker: WiredWorker, folder: Path) -> Generation:
        model = FakeModel(str(folder), FIRST[str(folder)], DIMS.get(str(folder), DIM))
        names = CollectionNames.of(model.version)
        worker.store.ensure_collections(names, model.sizes)
        made = worker.generation(model, CatalogReplica(worker.store, names, worker.clock))
        return Generation(made.model, names, made.replica, made.recommender, TOWER, MANIFEST)
