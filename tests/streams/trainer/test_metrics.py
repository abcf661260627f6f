from __future__ import annotations

import httpx
import pytest

from encoders.errors import SettingsError
from encoders.gate.report import Check, GateReport
from streams.settings import TrainerSettings
from streams.trainer.metrics import TrainerMetrics, served
from streams.trainer.outcomes import Outcome

LOST = Check(name="holds: games", value=0.2, threshold=0.05, passed=False, sentence="s")
BROKEN = Check(name="better", value=None, threshold=0.0, passed=False, sentence="s")
REPORT = GateReport(champion="v1", challenger="v2", passed=False, checks=[LOST, BROKEN])


def outcome(**changes: object) -> Outcome:
    usual: dict[str, object] = {"request_id": "r1", "model": "m", "parent": "v1", "sentence": "s"}
    return Outcome(**(usual | {"status": "rejected"} | changes))  # type: ignore[arg-type]


def scraped(metrics: TrainerMetrics) -> list[str]:
    with served(metrics, TrainerSettings(port=0)) as port:
        return httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()


def test_an_outcome_shows_with_what_the_gate_found() -> None:
    metrics = TrainerMetrics()
    metrics.concluded(outcome(events=70, older=30, skipped={"schema": 2}), REPORT)
    page = scraped(metrics)
    assert {
        'freshet_trainer_jobs_total{outcome="rejected"} 1.0',
        "freshet_trainer_events_replayed_total 100.0",
        'freshet_trainer_messages_skipped_total{reason="schema"} 2.0',
        'freshet_trainer_gate_value{check="holds: games"} 0.2',
        'freshet_trainer_gate_value{check="better"} NaN',
        'freshet_trainer_gate_threshold{check="holds: games"} 0.05',
        'freshet_trainer_gate_checks_total{check="better",passed="false"} 1.0',
        "freshet_trainer_last_release_timestamp_seconds 0.0",
    } <= set(page)


def test_the_last_release_is_told_in_seconds() -> None:
    metrics = TrainerMetrics()
    metrics.concluded(outcome(status="released", finished_at=5_000), None)
    assert "freshet_trainer_last_release_timestamp_seconds 5.0" in scraped(metrics)


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with served(TrainerMetrics(), TrainerSettings(port=0)) as port:
        taken = TrainerSettings(port=port)
        with pytest.raises(SettingsError, match="FRESHET_TRAINER__PORT"), served(TrainerMetrics(), taken):
            pass
