"""The owner's part: summaries of all workers in, decisions and training requests out.

All summaries of a model have one key, so one partition, and one worker reads them. What it must not forget
goes to the store before the batch is acknowledged. The topic could be read again instead, but the reference
may be older than what Kafka keeps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from encoders.errors import DataError
from exporters.drift_metrics import DriftMetrics
from exporters.publisher import Outgoing
from exporters.tracing import trace_headers
from exporters.vector_store import CounterRecord
from streams.codec import Rejected
from streams.dead_letters import dead_letter
from streams.drift.monitor import DECISIONS, DriftMonitor, Judgement, MonitorState, pack_state, unpack_state
from streams.drift.summary import DriftSummary, decode_summary
from streams.fold_types import DeadLetter, Received
from streams.messages import SCHEMA_VERSION, TrainingRequest
from streams.serving import Serving
from streams.set_aside import tell_dead_letters
from streams.settings_sections import DriftSettings

log = logging.getLogger(__name__)

REQUESTS = "training-requests"


class DriftPipeline:
    """Micro-batches of ``drift-summaries``; blocking work runs in the serving executor."""

    def __init__(self, serving: Serving, settings: DriftSettings, model: str, epoch: int = 0) -> None:
        """``model``: its name, whose summaries count; ``epoch`` of the topics (``kafka.source_epoch``)."""
        self._serving = serving
        self._settings = settings
        self._model = model
        self._name = f"drift-{epoch}-{model}"
        self._monitor: DriftMonitor | None = None
        # From 0 on: an increase of what was never there is none, to Prometheus.
        for decision in DECISIONS:
            serving.metrics.drift.decisions.labels(decision)
        self._lock = asyncio.Lock()

    async def process(self, messages: Sequence[Received]) -> None:
        """Take a batch in; returns when what follows from it is durable. Safe to repeat after any fault.

        A request may then be published again, with the same id. Raises ``StoreUnavailable`` or
        ``BrokerUnavailable`` when it should be repeated later.
        """
        async with self._lock:
            summaries, refused = self._decode(messages)
            await self._serving.publish([dead_letter(one) for one in refused])
            tell_dead_letters(refused, self._serving.metrics)
            try:
                judgements = await self._serving.in_thread(self._judge, summaries)
                requests = [one.request for one in judgements if one.request is not None]
                await self._serving.publish([_outgoing(one) for one in requests])
                await self._serving.in_thread(self._save)
            except BaseException:
                # Memory is ahead of the store: begin again from there.
                self._monitor = None
                raise
            self._tell(judgements)

    async def partitions_moved(self) -> None:
        """Another worker may decide now: forget, and read it again where it is still this one."""
        async with self._lock:
            self._monitor = None
            self._serving.metrics.drift.forget_decisions()

    def _decode(
        self, messages: Sequence[Received]
    ) -> tuple[list[tuple[Received, DriftSummary]], list[DeadLetter]]:
        found, refused = [], []
        for received in messages:
            try:
                summary = decode_summary(received.value)
            except DataError as error:
                refused.append(DeadLetter(received, Rejected("schema", str(error))))
                continue
            if summary.model == self._model:
                found.append((received, summary))
        return found, refused

    def _judge(self, summaries: Sequence[tuple[Received, DriftSummary]]) -> list[Judgement]:
        """Blocks; the first time also for the import of ``river``, some seconds."""
        if not summaries:
            return []
        with self._serving.metrics.stage("drift"):
            if self._monitor is None:
                self._monitor = DriftMonitor(self._settings, self._stored())
            taken = [
                self._monitor.take(summary, str(received.partition), received.offset)
                for received, summary in summaries
            ]
            return [one for one in taken if one is not None]

    def _stored(self) -> MonitorState | None:
        counters = self._serving.store.read_counters(self._serving.names)
        return next((unpack_state(one.blob) for one in counters if one.name == self._name), None)

    def _save(self) -> None:
        if self._monitor is not None:
            state = self._monitor.state
            # A later state has taken more in.
            sequence = sum(offset + 1 for offset in state.offsets.values())
            record = CounterRecord(self._name, pack_state(state), sequence)
            self._serving.store.upsert_counters(self._serving.names, [record])

    def _tell(self, judgements: Sequence[Judgement]) -> None:
        metrics = self._serving.metrics.drift
        for one in judgements:
            metrics.decisions.labels(one.decision).inc()
            if one.request is not None:
                log.warning(
                    "training requested: %s", "; ".join(reason.detail for reason in one.request.reasons)
                )
        if judgements and self._monitor is not None:
            _show(metrics, judgements[-1], self._settings.k)
            state = self._monitor.state
            metrics.reference.set(len(state.reference))
            metrics.requested.set((state.requested_ms or 0) / 1000)


def _show(metrics: DriftMetrics, judgement: Judgement, k: int) -> None:
    """The last window as gauges."""
    if judgement.recall is not None and judgement.ndcg is not None:
        metrics.recall.labels(judgement.version, k).set(judgement.recall)
        metrics.ndcg.labels(judgement.version, k).set(judgement.ndcg)
    for one in judgement.readings:
        metrics.statistic.labels(one.detector).set(one.statistic)
        metrics.threshold.labels(one.detector, "warning").set(one.warning)
        metrics.threshold.labels(one.detector, "drift").set(one.drift)
        metrics.level.labels(one.detector).set(judgement.levels[one.detector])


_json = msgspec.json.Encoder()


def _outgoing(request: TrainingRequest) -> Outgoing:
    headers = (("schema_version", SCHEMA_VERSION.encode()), *trace_headers())
    return Outgoing(REQUESTS, request.model.encode(), _json.encode(request), headers)
