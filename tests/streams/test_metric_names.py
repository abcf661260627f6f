"""The metrics by Prometheus' book: base units, names without endings of their own, labels that stay few."""

from __future__ import annotations

import pytest
from prometheus_client.metrics import MetricWrapperBase

from exporters.metrics import Metrics
from streams.trainer.metrics import TrainerMetrics

METRICS = {
    one._name: one
    for metrics in (Metrics(), TrainerMetrics())
    for one in metrics.registry._collector_to_names
    if isinstance(one, MetricWrapperBase)
}
BOUNDED = {
    *(
        "topic",
        "partition",
        "model_version",
        "scenario",
        "outcome",
        "reason",
        "stage",
        "agent",
        "dim",
        "role",
    ),
    *("part", "k", "detector", "level", "kind", "check", "passed"),
}
"""Labels with a bounded number of values."""


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_names_begin_with_freshet_and_have_base_units(metric: MetricWrapperBase) -> None:
    words = metric._name.split("_")
    assert words[0] == "freshet"
    assert not {"ms", "millis", "milliseconds", "minutes", "kb", "mb", "percent", "total"} & set(words)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_help_is_a_sentence(metric: MetricWrapperBase) -> None:
    assert metric._documentation.endswith(".")


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_labels_have_a_bounded_number_of_values(metric: MetricWrapperBase) -> None:
    assert set(metric._labelnames) <= BOUNDED
