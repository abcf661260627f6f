"""Real trainers for tests: processes with a training that takes as long as the test says."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from streams.kafka.producer import EventProducer
from streams.messages import TrainingReason, TrainingRequest
from streams.settings import KafkaSettings, Settings, load_settings
from streams.trainer.lease import open_lease
from streams.trainer.metrics import TrainerMetrics
from streams.trainer.progress import ProgressLog
from streams.trainer.trainer import Trainer
from tests.support.workers import REPOSITORY, clean_environment

CHILD = REPOSITORY / "tests" / "fakes" / "training_child.py"


def command(seconds: float) -> tuple[str, ...]:
    """The command of a child that takes so long."""
    return (sys.executable, str(CHILD), str(seconds))


def request(number: int = 1, **changes: object) -> TrainingRequest:
    """A sound request, but for ``changes``."""
    usual = TrainingRequest(
        request_id=f"r{number}",
        model="freshet",
        parent="none",
        reasons=[TrainingReason(kind="manual")],
        window_from_ms=1,
        window_until_ms=2**42,
        requested_at=0,
    )
    return msgspec.structs.replace(usual, **changes)


def send(settings: KafkaSettings, *requests: TrainingRequest) -> None:
    """Publish requests, as the drift agent does."""
    with EventProducer(settings) as producer:
        for one in requests:
            producer.send("training-requests", one.model.encode(), msgspec.json.encode(one))


class RunningTrainer:
    """One trainer process and its log."""

    def __init__(self, log: Path, settings: Settings, seconds: float) -> None:
        self.log = log
        environment = clean_environment(
            KAFKA__BOOTSTRAP_SERVERS=settings.kafka.bootstrap_servers,
            KAFKA__TOPIC_PREFIX=settings.kafka.topic_prefix,
            KAFKA__GROUP_ID=settings.kafka.group_id,
            KAFKA__SESSION_TIMEOUT_SECONDS=settings.kafka.session_timeout_seconds,
            TRAINER__MODELS=settings.trainer.models,
        )
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.trainers", str(seconds)],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self.process.kill()
        self.process.wait()

    def tail(self) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


def wait_for(path: Path, text: str, times: int = 1, seconds: float = 60.0) -> list[str]:
    """The lines of a file with ``text`` in them, as soon as there are so many."""
    deadline = time.monotonic() + seconds
    while True:
        lines = path.read_text().splitlines() if path.is_file() else []
        found = [line for line in lines if text in line]
        if len(found) >= times:
            return found
        assert time.monotonic() < deadline, f"{times} x {text!r} is not in {path}: {lines}"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main(seconds: float) -> None:
    """A trainer that runs until it is killed."""
    logging.basicConfig(level=logging.INFO)
    from threading import Event

    settings = load_settings()
    with open_lease(settings.kafka) as lease:
        stopped = Event()
        parts = (settings, lease, TrainerMetrics(), stopped)
        Trainer(*parts, report=ProgressLog, command=command(seconds)).run()


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main(float(sys.argv[1]))
