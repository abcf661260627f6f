"""The trainer's metrics, on a port of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from encoders.errors import SettingsError
from encoders.gate.report import GateReport
from encoders.progress import Progress
from streams.settings import TrainerSettings
from streams.trainer.outcomes import STATUSES, Outcome

BUCKETS = (1, 5, 15, 30, 60, 120, 180, 300, 600, 1_800, 3_600)


class TrainerMetrics:
    """In a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        # Of the trainer itself; a training is a child process.
        ProcessCollector("freshet", registry=registry)
        self.jobs = Counter(
            "freshet_trainer_jobs", "Training requests by how they ended.", ["outcome"], registry=registry
        )
        for status in STATUSES:
            self.jobs.labels(status)
        self.seconds = Histogram(
            "freshet_trainer_job_seconds",
            "From a request's start to its outcome.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.working = Gauge("freshet_trainer_working", "1 while a training runs.", registry=registry)
        self.progress = Gauge(
            "freshet_trainer_stage_done",
            "Share of the present stage that is done, from 0 to 1.",
            ["stage"],
            registry=registry,
        )
        self.events = Counter(
            "freshet_trainer_events_replayed",
            "Events that were trained on or asked about.",
            registry=registry,
        )
        self.skipped = Counter(
            "freshet_trainer_messages_skipped", "Messages left out.", ["reason"], registry=registry
        )
        self.gate = Gauge(
            "freshet_trainer_gate_value", "What the last gate found.", ["check"], registry=registry
        )
        self.threshold = Gauge(
            "freshet_trainer_gate_threshold", "What it asked for.", ["check"], registry=registry
        )
        self.gate_checks = Counter(
            "freshet_trainer_gate_checks", "Checks of the gate.", ["check", "passed"], registry=registry
        )
        self.last_release = Gauge(
            "freshet_trainer_last_release_timestamp_seconds", "Of the last release.", registry=registry
        )

    def concluded(self, outcome: Outcome, report: GateReport | None) -> None:
        """Count an outcome."""
        self.jobs.labels(outcome.status).inc()
        self.seconds.observe(outcome.seconds)
        self.events.inc(outcome.events + outcome.older)
        for reason, number in outcome.skipped.items():
            self.skipped.labels(reason).inc(number)
        if outcome.status == "released":
            self.last_release.set(outcome.finished_at / 1e3)
        for check in report.checks if report is not None else ():
            self.gate.labels(check.name).set(float("nan") if check.value is None else check.value)
            self.threshold.labels(check.name).set(check.threshold)
            self.gate_checks.labels(check.name, str(check.passed).lower()).inc()

    def told(self, progress: Progress) -> Progress:
        """What is passed on to ``progress``, as a metric as well."""

        def tell(stage: str, done: int, total: int, note: str) -> None:
            self.progress.clear()
            self.progress.labels(stage).set(done / max(total, 1))
            progress(stage, done, total, note)

        return tell

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While a training runs."""
        self.working.set(1)
        try:
            yield
        finally:
            self.working.set(0)
            self.progress.clear()


@contextmanager
def served(metrics: TrainerMetrics, settings: TrainerSettings) -> Iterator[int]:
    """Answer on the trainer's port, which is given; raises ``SettingsError`` where it cannot be had."""
    try:
        server, thread = start_http_server(settings.port, settings.host, metrics.registry)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}):"
            " set FRESHET_TRAINER__PORT to a free port, or 0 for any"
        ) from None
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
