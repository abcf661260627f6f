"""What a worker's metrics say of drift, as they are exposed."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from encoders.errors import DataError
from exporters.metrics import Metrics
from streams.cli import cli
from streams.cli import drift as command
from streams.drift.status import drift_status


def exposed(*levels: int) -> str:
    """A worker whose detectors ``d0``, ``d1``, ... are at these levels."""
    metrics = Metrics()
    drift = metrics.drift
    drift.decisions.labels("warning").inc(3)
    drift.requested.set(1_795_000_000)
    for number, level in enumerate(levels):
        name = f"d{number}"
        drift.level.labels(name).set(level)
        drift.statistic.labels(name).set(0.1 * number)
        drift.threshold.labels(name, "warning").set(0.2)
        drift.threshold.labels(name, "drift").set(0.4)
        drift.recall.labels("v1", 10).set(0.25)
    return metrics.exposition().decode()


def test_the_most_alarmed_detector_comes_first() -> None:
    found = drift_status(exposed(0, 2, 1))
    assert [(one.detector, one.level) for one in found.detectors] == [
        ("d1", "drift"),
        ("d2", "warning"),
        ("d0", "none"),
    ]


def test_statistics_stand_beside_their_thresholds() -> None:
    (found,) = drift_status(exposed(1)).detectors
    assert (found.statistic, found.warning, found.drift) == (0.0, 0.2, 0.4)


def test_decisions_and_the_last_request_are_told() -> None:
    found = drift_status(exposed(0))
    assert (found.decisions["warning"], found.last_request_seconds, found.recall) == (
        3,
        1_795_000_000,
        {"v1": 0.25},
    )


def test_a_worker_that_does_not_decide_has_no_detectors() -> None:
    assert drift_status(exposed()).detectors == []


@pytest.mark.parametrize("text", ["", "<html>", "up 1\n"], ids=["empty", "page", "another"])
def test_what_is_not_a_workers_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        drift_status(text)


def test_of_several_workers_the_one_that_decides_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"http://one": exposed(), "http://two": exposed(2)}
    monkeypatch.setattr(command, "_metrics", pages.__getitem__)
    arguments = ["drift", "show", "--requests", "0", "--url", "http://one", "--url", "http://two"]
    shown = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert (shown["url"], shown["detectors"][0]["level"]) == ("http://two", "drift")
    assert "drift" in CliRunner().invoke(cli, arguments).stdout


def test_where_nobody_answers_it_is_said_how_to_name_a_worker() -> None:
    result = CliRunner().invoke(cli, ["drift", "show", "--url", "http://127.0.0.1:9", "--requests", "0"])
    assert "--url" in str(result.exception)
