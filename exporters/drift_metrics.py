"""Metrics of drift: what was recommended against what users did next, and what the detectors say."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class DriftMetrics:
    """The counters of every worker, and the gauges of the one that decides."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["model_version"]
        self.scored = Counter(
            "freshet_progressive_scored",
            "Events of users whose list of this version was published before.",
            labels,
            registry=registry,
        )
        self.hits = Counter(
            "freshet_progressive_hits",
            "Of them, those whose item was in it.",
            labels,
            registry=registry,
        )
        self.gains = Counter(
            "freshet_progressive_ndcg", "Sum of their NDCG, 0 where it was not.", labels, registry=registry
        )
        self.recall = Gauge(
            "freshet_progressive_recall",
            "Hits over scored events in the last window of all workers.",
            [*labels, "k"],
            registry=registry,
        )
        self.ndcg = Gauge(
            "freshet_progressive_ndcg_mean",
            "Mean NDCG of the scored events in the last window of all workers.",
            [*labels, "k"],
            registry=registry,
        )
        self.statistic = Gauge(
            "freshet_drift_statistic", "What a detector measures.", ["detector"], registry=registry
        )
        self.threshold = Gauge(
            "freshet_drift_threshold",
            "Above it a detector's statistic is a warning, or drift.",
            ["detector", "level"],
            registry=registry,
        )
        self.level = Gauge(
            "freshet_drift_level",
            "How much a detector is alarmed: 0 not, 1 a warning, 2 drift.",
            ["detector"],
            registry=registry,
        )
        self.decisions = Counter(
            "freshet_drift_decisions", "Windows judged, by what was decided.", ["kind"], registry=registry
        )
        self.reference = Gauge(
            "freshet_drift_reference_windows", "Windows that later ones are compared with.", registry=registry
        )
        self.requested = Gauge(
            "freshet_drift_last_request_timestamp_seconds",
            "When a training was last asked for, since 1970-01-01 UTC; 0: never.",
            registry=registry,
        )

    def forget_decisions(self) -> None:
        """Another worker decides now: its gauges count."""
        for gauge in (self.recall, self.ndcg, self.statistic, self.threshold, self.level):
            gauge.clear()
        self.reference.set(0)
