"""What the pipelines work with: the model at work, the stores, the way out, and threads for what blocks."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from encoders.runtime import ServingModel
from exporters.metrics import Metrics
from exporters.publisher import Outgoing, Publisher
from exporters.tracing import UNTRACED, Tracer
from exporters.vector_store import CollectionNames, VectorStore
from streams.catalog_replica import CatalogReplica, wall_clock_ms
from streams.challenger import Challenger
from streams.generation import Generation
from streams.recommender import Recommender

Result = TypeVar("Result")


@dataclass(slots=True)
class Serving:
    """The wired surroundings of a pipeline; ``generation`` changes between two batches, the rest never.

    Whoever works over several steps outside a batch takes ``generation`` once.
    """

    store: VectorStore
    generation: Generation
    publisher: Publisher
    metrics: Metrics
    executor: Executor
    clock_ms: Callable[[], int] = wall_clock_ms
    challenger: Challenger | None = None
    """Another version that is scored beside it."""
    coming: tuple[Generation, ...] = ()
    """Versions that are being loaded: they hear of every item from the start."""
    versions: tuple[CollectionNames, ...] = ()
    """Versions under which users may have been stored last, this one among them or not."""
    tracer: Tracer = UNTRACED

    @property
    def names(self) -> CollectionNames:
        """Collections of the model at work."""
        return self.generation.names

    @property
    def model(self) -> ServingModel:
        """The model at work."""
        return self.generation.model

    @property
    def replica(self) -> CatalogReplica:
        """The catalogue as the model at work sees it."""
        return self.generation.replica

    @property
    def elsewhere(self) -> tuple[CollectionNames, ...]:
        """Other versions under which users may have been stored last."""
        return self.elsewhere_of(self.generation)

    @property
    def recommender(self) -> Recommender:
        """Makes lists with the model at work."""
        return self.generation.recommender

    def generation_for(self, user_id: str) -> Generation:
        """Whose lists a user gets: the challenger's for its canaries, else those of the model at work."""
        challenger = self.challenger
        if challenger is not None and challenger.answers(user_id):
            return challenger.generation
        return self.generation

    def elsewhere_of(self, generation: Generation) -> tuple[CollectionNames, ...]:
        """Other versions than this one under which users may have been stored last."""
        known = dict.fromkeys((self.names, *self.versions))
        return tuple(one for one in known if one != generation.names)

    @property
    def followers(self) -> list[Generation]:
        """The other generations that must hear of every item and of all evidence."""
        challenger = (self.challenger.generation,) if self.challenger else ()
        return list({one.version: one for one in (*challenger, *self.coming)}.values())

    async def in_thread(self, function: Callable[..., Result], *args: object) -> Result:
        """Run what blocks (ONNX Runtime, Qdrant) off the event loop, in the caller's context."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self.executor, context.run, function, *args)

    async def publish(self, messages: list[Outgoing]) -> None:
        """Publish and await every delivery. Raises ``BrokerUnavailable``."""
        if messages:
            await self.publisher.publish(messages)
