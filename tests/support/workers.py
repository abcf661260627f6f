"""Real workers for tests: ``freshet worker`` in child processes on a broker and a store of the test's own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

COMMAND = (sys.executable, "-c", "from streams.cli import main; main()", "worker")
REPOSITORY = Path(__file__).resolve().parents[2]


def clean_environment(**settings: object) -> dict[str, str]:
    """The environment without anybody's FRESHET settings, plus ``SECTION__NAME=value`` ones of the test's."""
    own = {f"FRESHET_{name}": str(value) for name, value in settings.items()}
    rest = {name: value for name, value in os.environ.items() if not name.startswith("FRESHET_")}
    return rest | {"PYTHONPATH": str(REPOSITORY)} | own


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class RunningWorker:
    """One worker process, its log and its HTTP port."""

    def __init__(self, log: Path, **settings: object) -> None:
        self.port = free_port()
        self.log = log
        environment = clean_environment(HTTP__PORT=self.port, **settings)
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                COMMAND, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )

    def wait_ready(self, seconds: float = 60.0) -> RunningWorker:
        """Return when /readyz answers 200; fails with the log's end otherwise."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.is_ready():
                return self
            time.sleep(0.1)
        raise AssertionError(f"the worker is not ready:\n{self.tail()}")

    def is_ready(self) -> bool:
        """Whether /readyz answers 200 now."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5.0).status_code == 200
        except httpx.HTTPError:
            return False

    def metrics(self) -> str:
        """The page that Prometheus would scrape."""
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5.0).text

    def stop(self, signal_number: int = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.process.wait(seconds)

    def tail(self, lines: int = 40) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
