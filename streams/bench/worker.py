"""The processes that are measured: the worker, and the empty agent beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from threading import Timer
from typing import Self

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from encoders.errors import FreshetError
from streams.bench.empty_agent import EmptyFigures
from streams.bench.samples import Sample, cpu_seconds
from streams.demo.child_process import ChildProcess, free_port
from streams.demo.processes import outcomes, recommendations
from streams.kafka.processes import end

EMPTY_SECONDS = 120.0
STOP_SECONDS = 15.0
SUMMED = {
    "freshet_events_total": "outcome",
    "freshet_stage_duration_seconds_sum": "stage",
    "freshet_stage_cpu_seconds_total": "stage",
}
"""Sample of /metrics -> the label by which it is summed."""


class MeasuredWorker(ChildProcess):
    """A worker whose counters, stages and CPU can be sampled; temporary files go to ``scratch``.

    Without ``two_stage`` it recommends the nearest items alone. ``store`` is a folder in ``scratch``, and
    names the worker's consumer group.
    """

    def __init__(
        self, bootstrap_servers: str, model_path: Path, scratch: Path, *, store: str, two_stage: bool = True
    ) -> None:
        port = free_port()
        # The user's own settings must not leak in: they may name a real Kafka or a real Qdrant.
        environment = {k: v for k, v in os.environ.items() if not k.upper().startswith("FRESHET_")} | {
            "FRESHET_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
            "FRESHET_MODEL__PATH": str(model_path),
            "FRESHET_QDRANT__PATH": str(scratch / store),
            "FRESHET_HTTP__PORT": str(port),
            "TMPDIR": str(scratch),
            "FRESHET_KAFKA__GROUP_ID": f"freshet-{store}",
            "FRESHET_MODEL__CACHE": str(scratch / f"{store}-models"),
            "FRESHET_RANKING__TWO_STAGE": str(two_stage),
            "FRESHET_RANKING__RANKED_FROM_EVENTS": "0",
        }
        super().__init__("worker", environment, port, scratch / f"{store}.log")

    def __enter__(self) -> Self:
        """Start it, and return when it is ready."""
        try:
            self.start()
            self.wait_until("readyz")
        except BaseException:
            self.stop()
            raise
        return self

    def outcomes(self) -> Counter[str]:
        """What became of the clicks and purchases so far: outcome -> count."""
        return outcomes(self.metrics())

    def recommendations(self) -> int:
        """How many recommendations the worker has published."""
        return recommendations(self.metrics())

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings and everything else that the process inherits."""
        return self._environment

    @property
    def pid(self) -> int:
        """Process id; known after the start."""
        assert self._process is not None
        return self._process.pid

    def sample(self) -> Sample:
        """Ask the worker what it has done so far. Raises ``FreshetError`` where it does not answer."""
        sums: dict[str, defaultdict[str, float]] = {name: defaultdict(float) for name in SUMMED}
        for family in text_string_to_metric_families(self._get("metrics")):
            for one in family.samples:
                if one.name in SUMMED:
                    sums[one.name][one.labels[SUMMED[one.name]]] += one.value
        events, wall, cpu = sums.values()
        return Sample(time.monotonic(), cpu_seconds(self.pid), int(events["applied"]), wall, cpu)

    def counted(self, name: str) -> float:
        """A counter without labels, by its full name."""
        return self._by_label(name, "")[""]

    def swap_parts(self) -> dict[str, float]:
        """Seconds of each part of the last swap, and how many ``items`` were filled until now."""
        parts = self._by_label("freshet_swap_duration_seconds", "part")
        return {**parts, "items": self.counted("freshet_filled_items_total")}

    def _by_label(self, name: str, label: str) -> defaultdict[str, float]:
        found: defaultdict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(self._get("metrics")):
            for one in family.samples:
                if one.name == name:
                    found[one.labels.get(label, "")] += one.value
        return found


def measure_empty_agent(environment: Mapping[str, str], expected: int, log_file: Path) -> EmptyFigures:
    """Let an empty agent take ``expected`` events, in a consumer group of its own.

    Raises ``FreshetError`` where it dies or has not had them all within ``EMPTY_SECONDS``.
    """
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "streams.bench.empty_agent", str(expected)),
            env={**environment, "FRESHET_KAFKA__GROUP_ID": "freshet-empty-agent"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    patience = Timer(EMPTY_SECONDS, process.kill)
    patience.start()
    try:
        assert process.stdout is not None
        with process.stdout as out:
            return msgspec.json.decode(out.readline(), type=EmptyFigures)
    except msgspec.DecodeError:
        last = log_file.read_text(errors="replace").strip().splitlines()[-1:]
        raise FreshetError(
            f"the empty agent did not take all events: {(last or ['it said nothing'])[0]}"
        ) from None
    finally:
        patience.cancel()
        end(process, STOP_SECONDS)
