"""Every metric of the worker, by Prometheus' book: seconds, ``_total``, no user or item in a label."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from exporters.drift_metrics import DriftMetrics
from exporters.tracing import span

STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
FRESHNESS_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 15, 60, 300)
SHARE_BUCKETS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The metrics of one worker, in a registry of their own, so that two in one process do not collide."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        # CPU and memory of this process: freshet_process_…
        ProcessCollector("freshet", registry=registry)
        self.events = Counter(
            "freshet_events",
            "Events by what became of them; an event is applied, duplicate or dead_lettered once.",
            ["topic", "outcome"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "freshet_dead_letters", "Messages set aside.", ["topic", "reason"], registry=registry
        )
        self.items = Counter(
            "freshet_items", "Catalogue messages by what became of them.", ["outcome"], registry=registry
        )
        self.recommendations = Counter(
            "freshet_recommendations", "Recommendations published.", ["model_version"], registry=registry
        )
        self.listed_items = Counter(
            "freshet_listed_items",
            "Items on published recommendations, by why they are there.",
            ["scenario", "reason"],
            registry=registry,
        )
        self.distinct_listed_items = Gauge(
            "freshet_distinct_listed_items",
            "Different items on the latest 1,000 recommendations.",
            registry=registry,
        )
        self.stages = Histogram(
            "freshet_stage_duration_seconds",
            "Time of one stage of a micro-batch.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self.stage_cpu = Counter(
            "freshet_stage_cpu_seconds",
            "CPU time of the thread that carried a stage out.",
            ["stage"],
            registry=registry,
        )
        self.freshness = Histogram(
            "freshet_freshness_seconds",
            "From the event's record on Kafka to the acknowledged recommendation.",
            buckets=FRESHNESS_BUCKETS,
            registry=registry,
        )
        self.batch_events = Histogram(
            "freshet_batch_events", "Messages in a micro-batch.", buckets=BATCH_BUCKETS, registry=registry
        )
        self.lag = Gauge(
            "freshet_lag_events",
            "Messages on Kafka that are not acknowledged yet.",
            ["topic", "partition"],
            registry=registry,
        )
        self.waiting = Gauge(
            "freshet_waiting_users", "Users with an event that waits for its item.", registry=registry
        )
        self.cached_users = Gauge("freshet_cached_users", "User states in memory.", registry=registry)
        self.known_items = Gauge("freshet_known_items", "Items in the worker's replica.", registry=registry)
        self.evidence = Counter(
            "freshet_evidence_additions",
            "What events add to items: merged, repeated (sent again after a fault), or of an unknown item.",
            ["outcome"],
            registry=registry,
        )
        self.conflicts = Counter(
            "freshet_store_conflicts", "User writes that lost to another worker.", registry=registry
        )
        self.retries = Counter(
            "freshet_batch_retries", "Micro-batches begun anew after an outage.", ["agent"], registry=registry
        )
        self.model = Gauge(
            "freshet_model_info",
            "The models at work, by what they do: champion, shadow or canary; always 1.",
            ["model_version", "dim", "role"],
            registry=registry,
        )
        self.reencoded_users = Counter(
            "freshet_reencoded_users",
            "Users whose vectors another model wrote last, encoded again from their history.",
            registry=registry,
        )
        self.release = Gauge(
            "freshet_release_number",
            "Number of the release that serves; 0 before the first.",
            registry=registry,
        )
        self.release_refusals = Counter(
            "freshet_release_refusals", "Released models that were not loaded.", ["reason"], registry=registry
        )
        self.swap_seconds = Gauge(
            "freshet_swap_duration_seconds",
            "The last swap: to open the model, to fill its items, and to change over.",
            ["part"],
            registry=registry,
        )
        self.filled_items = Counter(
            "freshet_filled_items", "Items given their vectors of a released model.", registry=registry
        )
        self.shadow_overlap = Histogram(
            "freshet_shadow_overlap",
            "Share of a list that the challenger would have recommended as well.",
            ["model_version"],
            buckets=SHARE_BUCKETS,
            registry=registry,
        )
        self.drift = DriftMetrics(registry)
        self.ready = Gauge("freshet_ready", "1 when /readyz answers 200.", registry=registry)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage of a micro-batch, and count the CPU that its thread took meanwhile; in seconds.

        Also a span, where the batch is traced.
        """
        start, cpu_start = time.perf_counter(), time.thread_time()
        try:
            with span(name):
                yield
        finally:
            self.stages.labels(name).observe(time.perf_counter() - start)
            self.stage_cpu.labels(name).inc(time.thread_time() - cpu_start)

    def exposition(self) -> bytes:
        """The page that Prometheus scrapes."""
        return generate_latest(self.registry)
