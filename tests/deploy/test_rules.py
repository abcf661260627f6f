"""Recording and alerting rules, by promtool: well-formed, explained, and loud when they should be alone."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.tools import tool

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted((REPOSITORY / "deploy" / "prometheus" / "rules").glob("*.yaml"))
RULES: list[dict[str, Any]] = [
    rule for path in FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
RUNBOOKS = (REPOSITORY / "docs" / "runbooks.md").read_text()
HOUR = 60


@dataclass(frozen=True)
class Case:
    """Series a minute apart (in promtool's notation), and whether the alert fires after so many minutes."""

    alert: str
    fires: bool
    minutes: int
    series: dict[str, str]


def freshness(alert: str, fires: bool, minutes: int, within_a_second: str) -> Case:
    """600 events a minute, so many of them answered within a second."""
    bucket = 'freshet_freshness_seconds_bucket{job="w",le="1.0"}'
    events = f"0+600x{minutes}"
    return Case(
        alert, fires, minutes, {bucket: within_a_second, 'freshet_freshness_seconds_count{job="w"}': events}
    )


def recall(fires: bool, hits: str, scored: str, **more: str) -> Case:
    """Hours, and the last two that are compared with them."""
    labels = '{job="w",model_version="v1"}'
    series = {
        f"freshet_progressive_hits_total{labels}": hits,
        f"freshet_progressive_scored_total{labels}": scored,
        'freshet_model_info{job="w",model_version="v1",role="champion"}': "1x360",
    }
    return Case("FreshetRecallFalls", fires, 6 * HOUR, series | more)


def drift(fires: bool, minutes: int, release: str) -> Case:
    """Drift is found after half of the minutes."""
    half = minutes // 2
    return Case(
        "FreshetDriftWithoutRelease",
        fires,
        minutes,
        {
            'freshet_drift_decisions_total{job="w",kind="drift"}': f"0x{half} 1x{half}",
            'freshet_release_number{job="w"}': release,
        },
    )


APPLIED = 'freshet_events_total{job="w",topic="clicks",outcome="applied"}'
DEAD = 'freshet_events_total{job="w",topic="clicks",outcome="dead_lettered"}'
DEAD_ITEMS = 'freshet_items_total{job="w",outcome="dead_lettered"}'
PUBLISHED = 'freshet_recommendations_total{job="w",model_version="v1"}'
LAG = 'freshet_lag_events{job="w",topic="clicks",partition="0"}'
READY = 'freshet_ready{job="w",instance="%s"}'
NUMBER = 'freshet_release_number{job="w",instance="%s"}'
RETRIES = 'freshet_batch_retries_total{job="w",agent="interest"}'
FAILED = 'freshet_trainer_jobs_total{job="t",outcome="failed"}'
STARTED = 'freshet_process_start_time_seconds{job="w"}'

CASES = [
    freshness("FreshetFreshnessBurnsFast", True, 90, "0+480x90"),
    freshness("FreshetFreshnessBurnsFast", False, 90, "0+590x90"),
    # Bad for most of the hour, and over.
    freshness("FreshetFreshnessBurnsFast", False, 90, "0+480x75 36000+600x15"),
    freshness("FreshetFreshnessBurns", True, 2 * HOUR, "0+552x120"),
    freshness("FreshetFreshnessBurns", False, 2 * HOUR, "0+570x120"),
    freshness("FreshetFreshnessBurnsSlowly", True, 5 * HOUR, "0+588x300"),
    freshness("FreshetFreshnessBurnsSlowly", False, 5 * HOUR, "0+597x300"),
    Case("FreshetLagGrows", True, 40, {LAG: "1500+100x40"}),
    Case("FreshetLagGrows", False, 40, {LAG: "9000-100x40"}),
    Case("FreshetLagGrows", False, 40, {LAG: "10+10x40"}),
    Case("FreshetNoWorkerReady", True, 15, {READY % "a": "0x15", READY % "b": "0x15"}),
    Case("FreshetNoWorkerReady", True, 15, {}),
    Case("FreshetNoWorkerReady", False, 15, {READY % "a": "0x15", READY % "b": "1x15"}),
    Case("FreshetWorkerNotReady", True, 30, {READY % "a": "0x30", READY % "b": "1x30"}),
    Case("FreshetWorkerNotReady", False, 30, {READY % "a": "0x12 1x17"}),
    Case("FreshetNoRecommendations", True, 30, {APPLIED: "0+60x30"}),
    Case("FreshetNoRecommendations", True, 30, {APPLIED: "60x30", LAG: "5x30", PUBLISHED: "60x30"}),
    Case("FreshetNoRecommendations", False, 30, {APPLIED: "0+60x30", PUBLISHED: "0+60x30"}),
    # Nobody came.
    Case("FreshetNoRecommendations", False, 30, {APPLIED: "60x30", PUBLISHED: "60x30", LAG: "0x30"}),
    Case("FreshetStoreOrBrokerFails", True, 20, {RETRIES: "0+2x20"}),
    Case("FreshetStoreOrBrokerFails", False, 20, {RETRIES: "0x15 3x5"}),
    Case("FreshetDeadLetters", True, 30, {APPLIED: "0+95x30", DEAD: "0+5x30"}),
    Case("FreshetDeadLetters", True, 30, {DEAD_ITEMS: "0+5x30"}),
    Case("FreshetDeadLetters", False, 30, {APPLIED: "0+995x30", DEAD: "0+5x30"}),
    Case("FreshetWorkerRestarts", True, 50, {STARTED: "1x9 2x9 3x9 4x9 5x14"}),
    Case("FreshetWorkerRestarts", False, 50, {STARTED: "1x24 2x25"}),
    recall(True, "0+12x240 2880+3x120", "0+60x360"),
    recall(False, "0+12x240 2880+10x120", "0+60x360"),
    # Too few to tell.
    recall(False, "0+2x240 480+0x120", "0+10x360"),
    # A challenger in the shadow that does badly is what shadows are for.
    recall(
        False,
        "0+12x360",
        "0+60x360",
        **{
            'freshet_progressive_hits_total{job="w",model_version="v2"}': "0+3x360",
            'freshet_progressive_scored_total{job="w",model_version="v2"}': "0+60x360",
            'freshet_model_info{job="w",model_version="v2",role="shadow"}': "1x360",
        },
    ),
    drift(True, 5 * HOUR, "0x300"),
    drift(True, 9 * HOUR, "3x540"),
    drift(False, 9 * HOUR, "3x300 4x239"),
    # The first release of all, and no series is 6 hours old.
    drift(False, 4 * HOUR, "0x120 1x119"),
    Case("FreshetTrainingFails", True, 30, {FAILED: "0x10 1x20"}),
    Case("FreshetTrainingFails", False, 30, {FAILED: "1x30"}),
    Case("FreshetReleaseNotTaken", True, 40, {NUMBER % "a": "3x40", NUMBER % "b": "4x40"}),
    Case("FreshetReleaseNotTaken", False, 40, {NUMBER % "a": "3x10 4x29", NUMBER % "b": "4x40"}),
]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True)


def test_promtool_takes_the_rules() -> None:
    result = promtool("check", "rules", *map(str, FILES))
    assert result.returncode == 0, result.stdout + result.stderr


def test_promtool_takes_the_configuration_and_finds_the_rules_by_it() -> None:
    result = promtool("check", "config", str(REPOSITORY / "deploy" / "prometheus" / "prometheus.yml"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(FILES)} rule files found" in result.stdout


def test_alerts_fire_when_they_should_alone(tmp_path: Path) -> None:
    tests = [
        {
            "name": f"{case.alert} {'fires' if case.fires else 'is silent'}: {case.series}",
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
            "promql_expr_test": [
                {
                    "expr": f'group(ALERTS{{alertname="{case.alert}",alertstate="firing"}})',
                    "eval_time": f"{case.minutes}m",
                    "exp_samples": [{"labels": "{}", "value": 1}] if case.fires else [],
                }
            ],
        }
        for case in CASES
    ]
    cases = tmp_path / "cases.yaml"
    given = {"rule_files": list(map(str, FILES)), "evaluation_interval": "2m", "tests": tests}
    cases.write_text(yaml.safe_dump(given))
    result = promtool("test", "rules", str(cases))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("fires", [True, False])
def test_each_alert_has_a_case(fires: bool) -> None:
    assert {case.alert for case in CASES if case.fires is fires} == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert (REPOSITORY / page).is_file()
    assert anchor == rule["alert"].lower()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_a_runbook_says_what_it_means_what_to_check_and_what_to_do(rule: dict[str, Any]) -> None:
    found = re.search(rf"^## {rule['alert']}\n(.*?)(?=^## |\Z)", RUNBOOKS, re.M | re.S)
    assert found
    assert re.findall(r"^\*\*(\w+)\.\*\*", found[1], re.M) == ["Meaning", "Check", "Fix"]


def test_runbooks_are_of_alerts_that_are_there() -> None:
    assert set(re.findall(r"^## (Freshet\w+)$", RUNBOOKS, re.M)) == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if "record" in rule], ids=lambda rule: rule["record"]
)
def test_recorded_series_are_named_by_level_metric_and_operation(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"freshet:[a-z_]+:[a-z0-9_]+", rule["record"])
