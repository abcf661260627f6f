"""What the pipelines work with: the model, the stores, the way out, and threads for what blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from encoders.runtime import ServingModel
from exporters.metrics import Metrics
from exporters.publisher import Outgoing, Publisher
from exporters.vector_store import CollectionNames, VectorStore
from streams.catalog_replica import CatalogReplica, wall_clock_ms
from streams.recommender import Recommender

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Serving:
    """The wired surroundings of a pipeline."""

    store: VectorStore
    names: CollectionNames
    model: ServingModel
    replica: CatalogReplica
    recommender: Recommender
    publisher: Publisher
    metrics: Metrics
    executor: Executor
    clock_ms: Callable[[], int] = wall_clock_ms

    async def in_thread(self, function: Callable[..., Result], *args: object) -> Result:
        """Run what blocks (ONNX Runtime, Qdrant) off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, function, *args)

    async def publish(self, messages: list[Outgoing]) -> None:
        """Publish and await every delivery. Raises ``BrokerUnavailable``."""
        if messages:
            await self.publisher.publish(messages)
