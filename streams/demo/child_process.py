"""One of the demo's processes: a ``freshet`` command in a child, watched over its own HTTP port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from encoders.errors import FreshetError
from streams.kafka.processes import end, uninterrupted

START_SECONDS = 180.0
"""Generous: on a laptop at work on other things, importing and loading alone can take a minute."""
POLL_SECONDS = 0.1
HTTP_SECONDS = 5.0
STOP_SECONDS = 15.0
ENDING_SECONDS = 2.0

COMMAND = (sys.executable, "-c", "from streams.cli import main; main()")


class ChildProcess:
    """``freshet NAME`` in an environment of its own; a context manager. Its log goes to ``log_file``."""

    def __init__(self, name: str, environment: Mapping[str, str], port: int, log_file: Path) -> None:
        self._name, self._environment, self._port = name, environment, port
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the process and return at once."""
        with uninterrupted(), self._log_file.open("wb") as log:
            # A session of its own: Ctrl-C is for the demo, which then stops its processes in order.
            self._process = subprocess.Popen(
                [*COMMAND, self._name],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def wait_until(self, page: str) -> None:
        """Return when the process answers ``page``; ``FreshetError`` where it dies or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(page):
            self.check()
            if time.monotonic() > deadline:
                raise FreshetError(
                    f"the {self._name} is not ready after {START_SECONDS:.0f} s: see {self._log_file}"
                )
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the process; harmless where it has ended already."""
        if self._process is not None:
            end(self._process, STOP_SECONDS)

    def check(self) -> None:
        """Raise ``FreshetError`` with the process's last line where it has died."""
        if self._process is not None and self._process.poll() is not None:
            lines = self._log_file.read_text(errors="replace").strip().splitlines()
            last = lines[-1] if lines else f"exit code {self._process.returncode}"
            raise FreshetError(f"the {self._name} has ended: {last} (all of it in {self._log_file})")

    def metrics(self) -> dict[str, Metric]:
        """Its metrics by name, as they are now; ``FreshetError`` where it does not answer."""
        try:
            page = self._get("metrics")
        except FreshetError:
            self._see_it_end()
            raise
        return {family.name: family for family in text_string_to_metric_families(page)}

    def _see_it_end(self) -> None:
        """A process that dies closes its port first; what it died of is the better answer."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING_SECONDS)
        self.check()

    def _answers(self, page: str) -> bool:
        try:
            self._get(page)
        except FreshetError:
            return False
        return True

    def _get(self, page: str) -> str:
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/{page}", timeout=HTTP_SECONDS) as response:
                text: str = response.read().decode()
                return text
        except (URLError, OSError) as error:
            self.check()
            raise FreshetError(f"the {self._name} does not answer on port {self._port}: {error}") from None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *exc: object) -> None:
        self.stop()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
