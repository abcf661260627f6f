"""One trainer works on a model, each request has one outcome, and what is bad stops nobody. Real Kafka."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import msgspec
import pytest

from exporters.model_manifest import read_manifest
from streams.kafka.group import GroupPosition
from streams.kafka.reader import read
from streams.kafka.topics import ensure_topics
from streams.messages import ModelAt, ModelRelease
from streams.releases.topic import publish
from streams.settings import KafkaSettings, Settings, TrainerSettings
from streams.trainer.lease import open_lease
from streams.trainer.metrics import TrainerMetrics
from streams.trainer.outcomes import Outcome, Outcomes
from streams.trainer.progress import ProgressLog
from streams.trainer.trainer import Trainer
from tests.support.full_disk import fill_up, small_disk
from tests.support.trainers import RunningTrainer, alive, command, request, send, wait_for

MakeSettings = Callable[..., KafkaSettings]
pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka_settings: MakeSettings, tmp_path: Path, untrained_model: Path) -> Settings:
    """Topics of its own, and a models folder with one version."""
    kafka = kafka_settings(session_timeout_seconds=6.0)
    ensure_topics(kafka)
    models = tmp_path / "models"
    models.mkdir()
    (models / untrained_model.name).symlink_to(untrained_model)
    return Settings(kafka=kafka, trainer=TrainerSettings(models=models))


@pytest.fixture
def parent(untrained_model: Path) -> str:
    return read_manifest(untrained_model).version


@contextmanager
def training(settings: Settings, seconds: float = 0.0) -> Iterator[TrainerMetrics]:
    """A trainer in a thread, whose trainings take so long."""
    stopped, metrics = Event(), TrainerMetrics()

    def run() -> None:
        with open_lease(settings.kafka) as lease:
            trainer = Trainer(settings, lease, metrics, stopped, report=ProgressLog, command=command(seconds))
            trainer.run()

    thread = Thread(target=run)
    thread.start()
    try:
        yield metrics
    finally:
        stopped.set()
        thread.join()


def outcome_of(settings: Settings, request_id: str, seconds: float = 60.0) -> Outcome:
    """The outcome of a request, as soon as it is there and its offset committed."""
    deadline = time.monotonic() + seconds
    trainers = settings.kafka.model_copy(update={"group_id": f"{settings.kafka.group_id}-trainer"})
    with GroupPosition(trainers) as group:
        while not (found := Outcomes(settings.trainer.models).find(request_id)) or group.lag(
            "training-requests"
        ):
            assert time.monotonic() < deadline, f"no outcome of {request_id}"
            time.sleep(0.1)
    return found


def dead_letters(settings: Settings) -> list[str]:
    return [dict(one.headers)["reason"].decode() for one in read(settings.kafka, "dead-letters")]


def log_of(settings: Settings) -> Path:
    return settings.trainer.models / ".training" / "log"


def test_requests_are_worked_off_and_bad_ones_go_to_dead_letters(settings: Settings, parent: str) -> None:
    publish(settings.kafka, "other", lambda _: release_of("other", "v2"))
    with training(settings) as metrics:
        send(
            settings.kafka,
            request(1, parent=parent),
            request(1, parent=parent),
            request(2, parent="20200101-00000000"),
            request(3, parent="../" + parent),
            request(4, parent=parent, window_until_ms=1),
            request(5, model="other", parent="v1"),
            request(6, parent=parent),
        )
        assert outcome_of(settings, "r6").status == "rejected"
        assert outcome_of(settings, "r5").status == "refused"
    assert Outcomes(settings.trainer.models).find("r1").events == 7  # type: ignore[union-attr]
    assert [line.split()[0] for line in log_of(settings).read_text().splitlines()] == ["started", "done"] * 2
    assert sorted(dead_letters(settings)) == [
        "empty_window",
        "stale_parent",
        "unknown_model",
        "unknown_model",
    ]
    counted = {
        status: metrics.registry.get_sample_value("freshet_trainer_jobs_total", {"outcome": status})
        for status in ("rejected", "refused", "failed", "released")
    }
    assert counted == {"rejected": 2.0, "refused": 3.0, "failed": 0.0, "released": 0.0}


def release_of(model: str, version: str) -> ModelRelease:
    at = ModelAt(version=version, uri="file:///nowhere", digest="0" * 64)
    return ModelRelease(model=model, number=1, champion=at, released_at=0)


def test_of_two_trainers_one_works_on_a_model(settings: Settings, parent: str, tmp_path: Path) -> None:
    send(settings.kafka, *(request(number, parent=parent) for number in range(4)))
    trainers = [RunningTrainer(tmp_path / "one.log", settings, 1.0)]
    try:
        wait_for(log_of(settings), "started")
        trainers.append(RunningTrainer(tmp_path / "other.log", settings, 1.0))
        wait_for(log_of(settings), "done", 4)
        pids = [line.split()[1] for line in log_of(settings).read_text().splitlines()]
        whats = [line.split()[0] for line in log_of(settings).read_text().splitlines()]
    finally:
        for trainer in trainers:
            trainer.kill()
    assert whats.count("done") == 4
    # Never two at a time: a training ends, or was ended, before the next one starts.
    assert all(pids[at] == pids[at - 1] for at, what in enumerate(whats) if what == "done")


def test_a_killed_trainer_takes_its_child_along_and_the_next_one_gives_the_one_outcome(
    settings: Settings, parent: str, tmp_path: Path
) -> None:
    send(settings.kafka, request(1, parent=parent))
    first = RunningTrainer(tmp_path / "first.log", settings, 60.0)
    (line,) = wait_for(log_of(settings), "started")
    child = int(line.split()[1])
    first.kill()
    deadline = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.05)
    assert Outcomes(settings.trainer.models).find("r1") is None
    with training(settings):
        assert outcome_of(settings, "r1").status == "rejected"
    assert len(wait_for(log_of(settings), "started", 2)) == 2
    assert len(wait_for(log_of(settings), "done")) == 1


def test_a_trainer_killed_between_outcome_and_commit_does_nothing_twice(
    settings: Settings, parent: str
) -> None:
    wanted = request(1, parent=parent)
    Outcomes(settings.trainer.models).conclude(
        wanted, verdict_of("rejected"), 1.0, settings.trainer.models, lambda *_: 0, keep_rejected=False
    )
    send(settings.kafka, wanted)
    with training(settings):
        outcome_of(settings, "r1")
    assert not log_of(settings).exists()


def verdict_of(status: str) -> object:
    from streams.trainer.verdict import Verdict

    return Verdict(status=status, sentence="as told")  # type: ignore[arg-type]


def test_a_lost_lease_ends_the_child(settings: Settings, parent: str, tmp_path: Path) -> None:
    """A trainer that was frozen for too long finds that another one has its work."""
    send(settings.kafka, request(1, parent=parent))
    frozen = RunningTrainer(tmp_path / "frozen.log", settings, 60.0)
    try:
        (line,) = wait_for(log_of(settings), "started")
        frozen.process.send_signal(signal.SIGSTOP)
        with training(settings):
            assert outcome_of(settings, "r1").status == "rejected"
            frozen.process.send_signal(signal.SIGCONT)
            wait_for(frozen.log, "belongs to another trainer")
            assert not alive(int(line.split()[1]))
    finally:
        frozen.kill()


def test_a_request_that_is_no_json_stops_nobody(settings: Settings, parent: str) -> None:
    from streams.kafka.producer import EventProducer

    with EventProducer(settings.kafka) as producer:
        producer.send("training-requests", b"freshet", b"{")
        producer.send("training-requests", b"freshet", msgspec.json.encode({"request_id": "x"}))
        producer.send("training-requests", b"other", msgspec.json.encode(request(1, parent=parent)))
        producer.send("training-requests", b"freshet", None)
    send(settings.kafka, request(2, parent=parent))
    with training(settings):
        assert outcome_of(settings, "r2").status == "rejected"
    assert sorted(dead_letters(settings)) == ["key_mismatch", "malformed_json", "null_value", "schema"]


def test_a_request_waits_until_the_models_folder_has_room_for_its_outcome(
    settings: Settings, parent: str, untrained_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(settings.trainer.models / "disk", megabytes=1) as models:
        (models / untrained_model.name).symlink_to(untrained_model)
        full = settings.model_copy(update={"trainer": TrainerSettings(models=models)})
        ballast = fill_up(models)
        with training(full):
            send(full.kafka, request(1, parent=parent))
            deadline = time.monotonic() + 60
            while "make room there, the request is kept" not in caplog.text:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            ballast.unlink()
            assert outcome_of(full, "r1").status == "rejected"
