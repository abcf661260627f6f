"""What the demo reads from the metrics of its worker and its trainer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporters.metrics import Metrics
from streams.demo.processes import (
    DETECTOR,
    drift_gauge,
    items_stored,
    outcomes,
    recommendations,
    served_version,
    training_stage,
)
from streams.trainer.metrics import TrainerMetrics


def read(registry: CollectorRegistry) -> Mapping[str, Metric]:
    text = generate_latest(registry).decode()
    return {one.name: one for one in text_string_to_metric_families(text)}


def test_events_are_counted_by_outcome_over_all_topics() -> None:
    metrics = Metrics()
    metrics.events.labels("clicks", "applied").inc(3)
    metrics.events.labels("purchases", "applied").inc(2)
    metrics.events.labels("clicks", "duplicate").inc()

    assert outcomes(read(metrics.registry))["applied"] == 5
    assert outcomes(read(metrics.registry))["duplicate"] == 1


def test_the_version_that_answers_users_is_the_champion() -> None:
    metrics = Metrics()
    metrics.model.labels("v2", 128, "shadow").set(1)
    metrics.model.labels("v1", 128, "champion").set(1)

    assert served_version(read(metrics.registry)) == "v1"
    metrics.model.clear()
    assert served_version(read(metrics.registry)) is None


def test_before_the_first_window_there_is_no_gauge() -> None:
    assert drift_gauge(read(Metrics().registry)) is None


def test_the_gauge_is_that_of_the_detector_that_asks() -> None:
    metrics = Metrics()
    for detector, value in ((DETECTOR, 12.0), ("ndcg_page_hinkley", 99.0)):
        metrics.drift.statistic.labels(detector).set(value)
        metrics.drift.threshold.labels(detector, "warning").set(150.0)
        metrics.drift.threshold.labels(detector, "drift").set(300.0)

    assert drift_gauge(read(metrics.registry)) == (12.0, 300.0)


def test_the_stage_of_a_training_is_there_while_it_runs() -> None:
    metrics = TrainerMetrics()
    told: list[str] = []
    with metrics.at_work():
        progress = metrics.told(lambda stage, *_: told.append(stage))
        progress("replay", 10, 10, "")
        progress("ranker", 3, 12, "")
        assert training_stage(read(metrics.registry)) == ("ranker", 0.25)

    assert told == ["replay", "ranker"]
    assert training_stage(read(metrics.registry)) is None


def test_nothing_done_is_nothing_counted() -> None:
    metrics = read(Metrics().registry)

    assert (items_stored(metrics), recommendations(metrics), +outcomes(metrics)) == (0, 0, Counter())
