"""The whole demo as a user starts it: one small run, and what it promises."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from encoders.errors import FreshetError
from streams.demo.preparation import text_folder
from streams.demo.worker_process import WorkerProcess

REPOSITORY = Path(__file__).resolve().parents[3]


def freshet(*arguments: str, work: Path) -> subprocess.CompletedProcess[str]:
    # A setting of the user's that would break the worker if the demo let it through.
    environment = os.environ | {"FRESHET_QDRANT__URL": "http://127.0.0.1:1", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", *arguments],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
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
    assert "simulated shop" in run.stderr
    assert not list((tmp_path / ".demo").glob("store-*"))


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    worker = WorkerProcess("127.0.0.1:1", tmp_path / "no-model", tmp_path / "store", tmp_path / "worker.log")

    with pytest.raises(FreshetError, match=r"127\.0\.0\.1:1"):
        worker.start()
