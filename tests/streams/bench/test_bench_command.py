"""``freshet bench pipeline`` as it is called: a small run from end to end, on the demo broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from streams.cli import main; main()", "bench", "pipeline")
SMALL = ("--items", "200", "--users", "100", "--events", "400", "--rate", "100", "--rate-seconds", "0.5")


@pytest.fixture
def command(untrained_model: Path) -> tuple[str, ...]:
    return (*COMMAND, *SMALL, "--broker", "demo", "--model", str(untrained_model), "--json")


def environment(scratch: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(scratch)}


def children_in(scratch: Path) -> Iterator[int]:
    """Processes whose temporary files would lie in ``scratch``."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                inherited = (folder / "environ").read_bytes()
            except OSError:
                continue
            if str(scratch).encode() in inherited:
                yield int(folder.name)


def test_a_run_ends_with_figures_and_leaves_nothing_behind(command: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["events_per_second"] > 0
    assert 0 < figures["freshness_p50_ms"] <= figures["freshness_p99_ms"]
    assert figures["cpu_us_per_event"]["total"] > 0
    both = {"decode", "state", "encode", "recommend", "upsert", "publish"}
    assert set(figures["cpu_us_per_event"]) >= both | {"pairs"}
    assert set(figures["nearest_only_cpu_us_per_event"]) >= both
    assert figures["rss_mb"] > 0
    ratio = figures["events_per_second"] / figures["empty_agent_events_per_second"]
    assert figures["ratio_to_empty_agent"] == pytest.approx(ratio, abs=1e-4)
    assert (figures["events"], figures["paced_events"]) == (400, 50)
    assert list(tmp_path.glob("freshet-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process_and_no_file(
    command: tuple[str, ...], tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        command, env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_a_worker(process, tmp_path)
        process.send_signal(number)
        assert process.wait(60) != 0
    finally:
        process.kill()
    assert list(tmp_path.glob("freshet-*")) == []
    assert list(children_in(tmp_path)) == []


def wait_for_a_worker(process: subprocess.Popen[bytes], scratch: Path) -> None:
    deadline = time.monotonic() + 60
    while not list(scratch.glob("freshet-bench-*/store.log")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
