"""``freshet worker``: what is wrong is one line on stderr and an exit code, before anything starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from encoders.errors import SettingsError


def freshet(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("FRESHET_")}
    return subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=clean | environment,
    )


def test_a_wrong_setting_ends_it_with_one_line() -> None:
    ended = freshet("worker", FRESHET_HTTP__PORT="many")
    assert (ended.returncode, ended.stdout) == (SettingsError.exit_code, "")
    assert ended.stderr.startswith("freshet: ")
    assert len(ended.stderr.splitlines()) == 1
    assert "FRESHET_HTTP__PORT" in ended.stderr


def test_a_port_in_use_ends_it_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = freshet("worker", FRESHET_HTTP__PORT=str(taken.getsockname()[1]))
    assert ended.returncode == SettingsError.exit_code
    assert len(ended.stderr.splitlines()) == 1
    assert "FRESHET_HTTP__PORT" in ended.stderr


def test_help_says_how_to_start_one() -> None:
    assert "FRESHET_KAFKA__BOOTSTRAP_SERVERS" in freshet("worker", "--help").stdout


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_the_worker_computes_without_threads_that_spin() -> None:
    code = "import streams.cli.worker, os, numpy as n; n.ones((500, 500)) @ n.ones((500, 500)); "
    code += "print(len(os.listdir('/proc/self/task')))"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert found.stdout.split() == [b"1"]
