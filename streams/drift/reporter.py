"""A worker's part: note what is applied and published, and tell the owner every few seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec.structs import replace

from exporters.publisher import Outgoing
from streams.drift.collector import Collector, ItemFacts
from streams.drift.last_lists import gain
from streams.drift.summary import DriftSummary, encode_summary, pack_texts
from streams.drift.text_shift import projected
from streams.fold_types import Visited
from streams.messages import Recommendation
from streams.serving import Serving

TOPIC = "drift-summaries"


class DriftReporter:
    """Notes batches in the thread that carries them out; ``report`` is called once a second."""

    def __init__(self, serving: Serving, collector: Collector, model: str, cold_events: float) -> None:
        """``model``: its name; an item with fewer than ``cold_events`` events is cold."""
        self._serving = serving
        self._collector = collector
        self._model = model
        self._cold_events = cold_events
        self._version = serving.model.version
        self._since_ms = serving.clock_ms()

    def note(self, applied: Sequence[Visited], published: Sequence[Recommendation]) -> None:
        """Events whose write won, and the lists that answer them."""
        with self._serving.metrics.stage("note"):
            self._follow_version()
            scored = self._collector.note(applied, published, self._facts(), self._serving.clock_ms())
        metrics = self._serving.metrics.drift
        for version in {version for version, _ in scored}:
            ranks = [rank for of, rank in scored if of == version]
            metrics.scored.labels(version).inc(len(ranks))
            metrics.hits.labels(version).inc(sum(map(bool, ranks)))
            metrics.gains.labels(version).inc(sum(map(gain, ranks)))

    async def report(self) -> None:
        """Publish what was noted, where it is time. Raises ``StoreUnavailable`` or ``BrokerUnavailable``.

        What cannot be sent is lost: a few seconds of statistics, and never an event.
        """
        if not self._collector.is_due(self._serving.clock_ms()):
            return
        summary = await self._serving.in_thread(self._take)
        await self._serving.publish([Outgoing(TOPIC, self._model.encode(), encode_summary(summary))])

    def _take(self) -> DriftSummary:
        """A summary with the texts of its sample; blocks for one request of the store."""
        serving = self._serving
        self._follow_version()
        summary, items = self._collector.take(self._model, self._version, self._since_ms)
        known = serving.store.retrieve_items(serving.names, sorted(set(items)), with_text=True)
        texts = {one.item_id: one.text_vector for one in known if one is not None and len(one.text_vector)}
        sample = [texts[item_id] for item_id in items if item_id in texts]
        return replace(summary, text_sample=pack_texts(projected(np.stack(sample)))) if sample else summary

    def _follow_version(self) -> None:
        """What was noted while another version served is left out."""
        version = self._serving.model.version
        if version != self._version:
            self._version, self._since_ms = version, self._serving.clock_ms()
            self._collector.forget()

    def _facts(self) -> Callable[[str], ItemFacts]:
        replica = self._serving.replica
        with replica.lock:
            counted = replica.evidence.popularity(replica.evidence.latest)

        def facts(item_id: str) -> ItemFacts:
            row = replica.items.rows[item_id]
            categories = replica.items.categories[row]
            return ItemFacts(categories[-1] if categories else None, bool(counted[row] < self._cold_events))

        return facts
