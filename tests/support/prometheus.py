"""A real Prometheus for tests, on loopback, with rules of the test's choice."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import yaml

from tests.support.workers import free_port

INTERVAL = "1s"
"""Of scrapes, and of rules."""


class RunningPrometheus:
    """Scrapes ``targets`` (job -> port of this machine) each second."""

    def __init__(self, binary: str, targets: Mapping[str, int], rules: Sequence[Path], folder: Path) -> None:
        config = {
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for job, port in targets.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        address = f"127.0.0.1:{free_port()}"
        self.log = folder / "prometheus.log"
        command = [
            binary,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address={address}",
        ]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        self._client = httpx.Client(base_url=f"http://{address}", timeout=10.0)

    def wait_ready(self, seconds: float = 30.0) -> RunningPrometheus:
        """Return when it answers; fails with its log otherwise."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self._client.get("/-/ready").status_code == 200:
                    return self
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"Prometheus does not answer:\n{self.log.read_text()}")

    def values(self, expr: str) -> list[float]:
        """What an expression is now, of each series; NaN is none."""
        answer = self._client.get("/api/v1/query", params={"query": expr}).json()
        assert answer["status"] == "success", f"{expr}: {answer}"
        found = [float(one["value"][1]) for one in answer["data"]["result"]]
        return [value for value in found if not math.isnan(value)]

    def stop(self) -> None:
        """End it."""
        self._client.close()
        self.process.terminate()
        self.process.wait(20)
