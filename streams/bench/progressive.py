"""The running pipeline under the progressive protocol: the worker's own parts, with a queue in Kafka's place.

What a user is recommended is read as ``GET /recommendations/{user_id}`` reads it, from Qdrant. Evidence goes
through its messages to the evidence pipeline after every chunk of events: where Kafka runs, that takes some
seconds, in which little happens at a data set's own pace.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.evaluation.timeline import Basket, Events, Stage, Timeline, baskets_of
from encoders.events import EventType, Interaction
from exporters.publisher import Outgoing
from streams.codec import encode_interaction, encode_item
from streams.composition import Parts, compose_on
from streams.fold_types import Received
from streams.lookup import query_for, stored_users
from streams.messages import RecommendedItem
from streams.scenario_settings import scenarios_of
from streams.scenarios import Scenario
from streams.settings import Settings, load_settings

Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

BATCH = 256
PADDING = -1
NEVER_DAYS = 100_000.0


class Queue:
    """A publisher that keeps the evidence and forgets the rest."""

    def __init__(self) -> None:
        self._evidence: list[Outgoing] = []
        self._offset = 0

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to disconnect from."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Keep the evidence."""
        self._evidence += [one for one in messages if one.topic == "evidence"]

    async def partitions(self, topic: str) -> int:
        """One."""
        return 1

    def taken(self) -> list[Received]:
        """The evidence since the last call, as Kafka would give it."""
        found, self._evidence = self._evidence, []
        self._offset += len(found)
        first = self._offset - len(found)
        return [Received("evidence", 0, first + n, None, one.value, 0) for n, one in enumerate(found)]


class RunningPipeline:
    """A ``ProgressiveMethod``: the catalogue, interest and evidence pipelines on the in-process engine."""

    name = "freshet"

    def __init__(self, model: Path, timeline: Timeline) -> None:
        """``model``: a model's folder, trained on the past of ``timeline`` at most."""
        self._timeline = timeline
        self._stack = ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="freshet-progressive-"))
        self._runner = self._stack.enter_context(asyncio.Runner())
        self._settings = _settings(model, Path(folder), hide=not timeline.repeats)
        self._queue = Queue()
        self._parts: Parts = compose_on(self._queue, self._settings)
        self._scenario: Scenario = scenarios_of(self._settings)["home"]
        self._stocked = np.zeros(len(timeline.items), np.bool_)
        self._rows = {item.item_id: row for row, item in enumerate(timeline.items)}
        self._offset = 0

    def close(self) -> None:
        """Close the store and remove it."""
        self._parts.executor.shutdown()
        self._parts.serving.store.close()
        self._stack.close()

    def fit(self, past: Events, stage: Stage) -> None:
        """Stream the past through, without recommending."""
        self._arrivals = stage.arrivals
        baskets = baskets_of(past)
        for start in range(0, len(baskets), BATCH):
            self._stock(baskets[min(start + BATCH, len(baskets)) - 1].seconds)
            self.observe(baskets[start : start + BATCH])

    def recommend(self, users: Integers, seconds: Doubles, k: int) -> Integers:
        """What the users would be recommended, each at his moment."""
        lists = np.full((len(users), self._scenario.k), PADDING, np.int64)
        for own, user, when in zip(lists, users.tolist(), seconds.tolist(), strict=True):
            rows = [self._rows[one.item_id] for one in self._list(self._timeline.user_ids[user], when)]
            own[: len(rows)] = rows
        return lists

    def _list(self, user_id: str, seconds: float) -> list[RecommendedItem]:
        self._stock(seconds)
        serving = self._parts.serving
        serving.recommender.expire()
        (user,) = stored_users(serving.store, serving.generation, [user_id])
        query = replace(query_for(user, self._scenario), at_ms=round(1000 * seconds))
        return serving.recommender.recommend(self._scenario, [query])[0]

    def observe(self, baskets: Sequence[Basket]) -> None:
        """Send the baskets' events as a producer would, and let every pipeline work."""
        events = [event for basket in baskets for event in self._events(basket)]
        self._runner.run(self._process(events))

    async def _process(self, events: Sequence[Interaction]) -> None:
        await self._parts.interest.process([self._received(*encode_interaction(one)) for one in events])
        await self._parts.evidence.process(self._queue.taken())
        await self._parts.interest.flush()

    def _stock(self, seconds: float) -> None:
        """Put the items into the catalogue that have arrived by now."""
        due = np.flatnonzero((self._arrivals <= seconds) & ~self._stocked)
        if not len(due):
            return
        self._stocked[due] = True
        items = [
            replace(self._timeline.items[row], created_ms=round(1000 * self._arrivals[row]), available=True)
            for row in due.tolist()
        ]
        self._runner.run(self._parts.catalog.process([self._received(*encode_item(item)) for item in items]))

    def _events(self, basket: Basket) -> Iterable[Interaction]:
        user_id = self._timeline.user_ids[basket.user]
        for item, event_type in zip(basket.items.tolist(), basket.event_types.tolist(), strict=True):
            self._offset += 1
            yield Interaction(
                user_id,
                self._timeline.items[item].item_id,
                EventType(event_type),
                round(1000 * basket.seconds),
                event_id=str(self._offset),
            )

    def _received(self, topic: str, key: bytes, value: bytes) -> Received:
        self._offset += 1
        return Received(topic, 0, self._offset, key, value, 0)


def _settings(model: Path, folder: Path, *, hide: bool) -> Settings:
    """The defaults, but for what the protocol fixes: what is hidden, and that only questions are answered."""
    days = NEVER_DAYS if hide else 0.0
    return load_settings(
        model={"path": model},
        qdrant={"url": None, "path": folder / "store"},
        recommendations={"k": 20, "hide_seen_days": days, "hide_bought_days": days},
        history={"events": 1_000, "seen_items": 2_000, "bought_items": 2_000},
        scenarios={"home": {"publish_after": ()}},
    )
