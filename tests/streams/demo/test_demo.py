"""The whole demo as a user starts it: one small run, and what it promises."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from encoders.errors import FreshetError
from streams.demo.preparation import text_folder
from streams.demo.processes import Place, WorkerProcess
from tests.support.shop import wait_for

REPOSITORY = Path(__file__).resolve().parents[3]


def freshet(*arguments: str, work: Path, seconds: float = 280) -> subprocess.CompletedProcess[str]:
    # A setting of the user's that would break the worker if the demo let it through.
    environment = os.environ | {"FRESHET_QDRANT__URL": "http://127.0.0.1:1", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", *arguments],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def test_headless_json_ends_with_figures_that_add_up(tmp_path: Path, untrained_model: Path) -> None:
    # As after an earlier run: exporting the text encoder again would take most of the time.
    shutil.copytree(untrained_model.parent, text_folder(tmp_path / ".demo"))
    arguments = (
        "--headless",
        "--json",
        "--events",
        "600",
        "--rate",
        "150",
        "--items",
        "200",
        "--users",
        "40",
    )
    run = freshet("demo", *arguments, work=tmp_path)

    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    accounted = report["events_applied"] + report["duplicates"] + report["dead_letters"]
    assert report["events_sent"] == accounted == 600
    assert report["duplicates"] > 0
    assert report["dead_letters"] > 0
    assert 0 < report["users"] <= 40
    assert report["items"] == 200
    assert report["recommendations_published"] > 0
    assert 0 < report["freshness_p50_ms"] <= report["freshness_p99_ms"]
    assert report["recall_at_10"] > report["recall_at_10_popularity"]
    assert report["drift_detected_after_events"] is report["recall_before"] is None
    assert "simulated shop" in run.stderr
    assert not list((tmp_path / ".demo").glob("run-*"))


@pytest.mark.slow
@pytest.mark.skipif("FRESHET_SLOW" not in os.environ, reason="takes a minute: set FRESHET_SLOW=1")
def test_what_a_visitor_of_the_playground_does_is_counted(tmp_path: Path, untrained_model: Path) -> None:
    shutil.copytree(untrained_model.parent, text_folder(tmp_path / ".demo"))
    options = "--headless --json --playground --events 500 --rate 50 --items 200 --users 40"
    command = [sys.executable, "-c", "from streams.cli import main; main()", "demo", *options.split()]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as demo:
        assert demo.stderr is not None
        lines = iter(demo.stderr.readline, "")
        url = next((one.split()[1] for one in lines if one.startswith("playground: ")), None)
        assert url is not None
        (item, *_) = wait_for(lambda: httpx.get(f"{url}api/items").json()["items"])  # type: ignore[misc]
        click = {"user_id": "visitor", "item_id": item["item_id"], "action": "click"}
        sent = httpx.post(f"{url}api/events", json=click, headers={"Origin": url.rstrip("/")})
        printed, errors = demo.communicate(timeout=200)

    assert (sent.status_code, demo.returncode) == (202, 0), errors
    assert json.loads(printed.splitlines()[-1])["events_sent"] == 500 + 1


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    place = Place("127.0.0.1:1", tmp_path / "no-run", tmp_path)

    with WorkerProcess(place, rate=60.0) as worker, pytest.raises(FreshetError, match=r"127\.0\.0\.1:1"):
        worker.wait_until("readyz")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif("FRESHET_SLOW" not in os.environ, reason="takes minutes: set FRESHET_SLOW=1")
def test_after_a_shift_a_new_version_takes_over_and_no_event_is_lost(
    tmp_path: Path, untrained_model: Path
) -> None:
    shutil.copytree(untrained_model.parent, text_folder(tmp_path / ".demo"))
    arguments = ("--headless", "--json", "--events", "6500", "--rate", "60", "--shift-after", "2000")
    run = freshet("demo", *arguments, work=tmp_path, seconds=850)

    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    accounted = report["events_applied"] + report["duplicates"] + report["dead_letters"]
    assert report["events_sent"] == accounted == 6_500
    assert report["drift_detected_after_events"] > 0
    assert report["training_seconds"] > 0
    assert report["released_version"] not in (None, report["model_version"])
    assert report["recall_at_worst"] < report["recall_before"]
    assert report["recall_at_worst"] < report["recall_after"]
    assert "has taken over" in run.stderr
    assert list((tmp_path / ".demo" / "reports").glob("*.md"))
