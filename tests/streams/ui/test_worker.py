"""What is read from a worker's metrics."""

from __future__ import annotations

import pytest

from exporters.metrics import Metrics
from streams.settings import HttpSettings, Settings, UiSettings
from streams.ui.worker import DetectorStatus, ModelStatus, WorkerStatus, read_status, worker_url


def status_of(metrics: Metrics) -> WorkerStatus:
    return read_status(True, [], metrics.exposition().decode())


def test_a_new_worker_has_measured_nothing() -> None:
    found = status_of(Metrics())
    assert (found.models, found.detectors, found.recall) == ([], [], None)


def test_the_most_alarmed_detector_comes_first() -> None:
    metrics = Metrics()
    for name, statistic, level in (("quiet", 0.1, 0), ("loud", 0.3, 2), ("near", 0.9, 0)):
        metrics.drift.statistic.labels(name).set(statistic)
        metrics.drift.threshold.labels(name, "warning").set(0.5)
        metrics.drift.threshold.labels(name, "drift").set(1.0)
        metrics.drift.level.labels(name).set(level)
    assert status_of(metrics).detectors == [
        DetectorStatus("loud", 0.3, 1.0, "drift"),
        DetectorStatus("near", 0.9, 1.0, "none"),
        DetectorStatus("quiet", 0.1, 1.0, "none"),
    ]


def test_the_champion_comes_before_its_challenger() -> None:
    metrics = Metrics()
    metrics.model.labels("v2", 128, "canary").set(1)
    metrics.model.labels("v1", 128, "champion").set(1)
    assert status_of(metrics).models == [ModelStatus("v1", "champion"), ModelStatus("v2", "canary")]


@pytest.mark.parametrize(
    ("host", "named", "expected"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:9000"),
        ("0.0.0.0", None, "http://127.0.0.1:9000"),
        ("127.0.0.1", "https://worker.internal/", "https://worker.internal"),
    ],
)
def test_the_worker_is_where_the_settings_say(host: str, named: str | None, expected: str) -> None:
    settings = Settings(http=HttpSettings(host=host, port=9000), ui=UiSettings(worker_url=named))
    assert worker_url(settings) == expected
