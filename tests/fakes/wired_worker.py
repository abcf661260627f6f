"""A worker's pipelines on fakes: everything but Kafka, Qdrant and the encoder is the real thing."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import numpy as np

from encoders.runtime import ServingModel
from exporters.metrics import Metrics
from exporters.publisher import Publisher
from exporters.vector_store import CollectionNames, UserRecord
from streams.catalog import CatalogPipeline
from streams.catalog_replica import CatalogReplica
from streams.codec import Limits
from streams.drift.collector import Collector
from streams.drift.pipeline import DriftPipeline
from streams.drift.reporter import DriftReporter
from streams.evidence_pipeline import EvidencePipeline
from streams.fold_types import Bounds
from streams.generation import Generation
from streams.pipeline import InterestPipeline, Policy
from streams.recommender import Recommender, Stages
from streams.scenarios import Scenario
from streams.serving import Serving
from streams.settings_sections import DriftSettings
from streams.state import History, unpack
from streams.trending_board import TrendingBoard, trending_items
from streams.user_cache import UserCache
from streams.user_states import UserStates
from tests.fakes.faulty_vector_store import FaultyVectorStore
from tests.fakes.kafka_messages import NOW_MS, item
from tests.fakes.model import FakeModel
from tests.fakes.publisher import RecordingPublisher

POLICY = Policy(Limits(), Bounds(wait_ms=30_000), {"home": Scenario(k=3)})
NEAREST = Stages(two_stage=False)
"""Nearest items alone: what most tests of the pipeline are about."""


class Clock:
    """Milliseconds since 1970-01-01 UTC, moved by hand."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


class WiredWorker:
    """One worker; give a second one the first one's ``store`` and both serve the same users."""

    def __init__(
        self,
        store: FaultyVectorStore | None = None,
        policy: Policy = POLICY,
        stages: Stages = NEAREST,
        drift: DriftSettings | None = None,
    ) -> None:
        self.log: list[str] = [] if store is None else store.log
        self.store = store or FaultyVectorStore(self.log)
        self.clock = Clock()
        self.model = FakeModel()
        self.publisher = RecordingPublisher(self.log)
        self.metrics = Metrics()
        self.names = CollectionNames.of(self.model.version)
        self.store.ensure_collections(self.names, self.model.sizes)
        self.executor = ThreadPoolExecutor(1)
        self.replica = CatalogReplica(self.store, self.names, self.clock)
        self.serving = serving = Serving(
            self.store,
            self.generation(self.model, self.replica, stages),
            cast(Publisher, self.publisher),
            self.metrics,
            self.executor,
            self.clock,
        )
        self.states = UserStates(serving, UserCache(100))
        self.trending = TrendingBoard(self.store, self.names, 24.0, policy.source_epoch)
        drift = drift or DriftSettings()
        self.reporter = DriftReporter(serving, Collector(drift, 100, repeats=False, seed=0), "shop", 5.0)
        self.drift = DriftPipeline(serving, drift, "shop")
        self.interest = InterestPipeline(serving, self.states, self.trending, policy, self.reporter)
        self.catalog = CatalogPipeline(serving, policy.limits, policy.source_epoch)
        self.evidence = EvidencePipeline(serving)

    def generation(self, model: FakeModel, replica: CatalogReplica, stages: Stages = NEAREST) -> Generation:
        """A model at work on this worker's store."""
        names, served = CollectionNames.of(model.version), cast(ServingModel, model)
        return Generation(
            served, names, replica, Recommender(self.store, names, served, replica, stages, 0.0)
        )

    async def stock(self, *item_ids: str) -> None:
        """Put items into the catalogue through its pipeline, then forget what was logged."""
        start = self.store.count_items(self.names)
        await self.catalog.process([item(one, start + n) for n, one in enumerate(item_ids)])
        self.log.clear()

    def close(self) -> None:
        """End the thread."""
        self.executor.shutdown()

    def user(self, user_id: str) -> UserRecord:
        """A user as stored."""
        found = self.store.retrieve_users(self.names, [user_id])[0]
        assert found is not None, f"no user {user_id} in the store"
        return found

    def history(self, user_id: str) -> History:
        """A user's history as stored."""
        return unpack(self.user(user_id).blob)

    def everything(self, *user_ids: str) -> dict[str, tuple[Any, ...]]:
        """What the store holds of users, less the count of writes, comparable with ``==``."""
        return {one: _content(self.user(one)) for one in user_ids}

    def recommendations(self) -> list[dict[str, Any]]:
        """What was published, in order, less ``generated_at``."""
        bodies = [json.loads(one.value or b"") for one in self.publisher.on("recommendations")]
        return [{name: value for name, value in body.items() if name != "generated_at"} for body in bodies]

    def trends(self) -> dict[str, float]:
        """Item -> share of the strongest, as flushed to the store."""
        return dict(trending_items(self.store, self.names, 1_000))

    def counted(self, outcome: str) -> float:
        """Events that the metrics count under an outcome, all topics."""
        return sum(
            sample.value
            for metric in self.metrics.events.collect()
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels["outcome"] == outcome
        )


def policy(**bounds: int) -> Policy:
    """The tests' policy with other bounds."""
    return replace(POLICY, bounds=replace(POLICY.bounds, **bounds))


def _content(record: UserRecord) -> tuple[Any, ...]:
    return (*_floats(record.interest), *_floats(record.state), record.blob, record.waiting)


def _floats(vector: Any) -> list[float]:
    return [float(one) for one in np.asarray(vector, np.float32)]
