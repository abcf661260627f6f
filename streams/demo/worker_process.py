"""The demo's worker: ``freshet worker`` in a child process, watched over its own HTTP port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from encoders.errors import FreshetError
from streams.kafka.processes import end, uninterrupted

START_SECONDS = 180.0
"""Generous: on a laptop at work on other things, importing and loading alone can take a minute."""
POLL_SECONDS = 0.1
HTTP_SECONDS = 5.0
STOP_SECONDS = 15.0
UNKNOWN_ITEM_WAIT_SECONDS = 2.0
"""Short, so that a demo that ends need not wait half a minute for an item that never comes."""

COMMAND = (sys.executable, "-c", "from streams.cli import main; main()", "worker")


class WorkerProcess:
    """A worker on the given broker, model and folder; a context manager. Its log goes to ``log_file``."""

    def __init__(self, bootstrap_servers: str, model_path: Path, store_path: Path, log_file: Path) -> None:
        self._port = _free_port()
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None
        # The user's own settings must not leak in: they may name a real Kafka or a real Qdrant.
        self._environment = {k: v for k, v in os.environ.items() if not k.upper().startswith("FRESHET_")} | {
            "FRESHET_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
            "FRESHET_MODEL__PATH": str(model_path),
            "FRESHET_QDRANT__PATH": str(store_path),
            "FRESHET_HTTP__PORT": str(self._port),
            "FRESHET_INPUT__UNKNOWN_ITEM_WAIT_SECONDS": str(UNKNOWN_ITEM_WAIT_SECONDS),
        }

    def start(self) -> Self:
        """Start the process and return when it is ready; ``FreshetError`` where it dies or takes too long."""
        with uninterrupted(), self._log_file.open("wb") as log:
            # A session of its own: Ctrl-C is for the demo, which then stops the worker in order.
            self._process = subprocess.Popen(
                COMMAND,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise FreshetError(
                    f"the worker is not ready after {START_SECONDS:.0f} s: see {self._log_file}"
                )
            time.sleep(POLL_SECONDS)
        return self

    def stop(self) -> None:
        """End the worker; harmless where it has ended already."""
        if self._process is not None:
            end(self._process, STOP_SECONDS)

    def check(self) -> None:
        """Raise ``FreshetError`` with the worker's last line where it has died."""
        if self._process is not None and self._process.poll() is not None:
            lines = self._log_file.read_text(errors="replace").strip().splitlines()
            last = lines[-1] if lines else f"exit code {self._process.returncode}"
            raise FreshetError(f"the worker has ended: {last} (all of it in {self._log_file})")

    def outcomes(self) -> Counter[str]:
        """What became of the clicks and purchases so far: outcome -> count."""
        return self._sums("freshet_events_total", "outcome")

    def items_stored(self) -> int:
        """How many messages of the catalogue the worker has carried out."""
        outcomes = self._sums("freshet_items_total", "outcome")
        return outcomes["encoded"] + outcomes["unchanged_text"] + outcomes["dead_lettered"]

    def recommendations(self) -> int:
        """How many recommendations the worker has published."""
        return self._sums("freshet_recommendations_total", "model_version").total()

    def _sums(self, sample_name: str, label: str) -> Counter[str]:
        sums: Counter[str] = Counter()
        for family in text_string_to_metric_families(self._get("metrics")):
            for sample in family.samples:
                if sample.name == sample_name:
                    sums[sample.labels[label]] += int(sample.value)
        return sums

    def _is_ready(self) -> bool:
        try:
            self._get("readyz")
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
            raise FreshetError(f"the worker does not answer on port {self._port}: {error}") from None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *exc: object) -> None:
        self.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
