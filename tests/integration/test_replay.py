"""``freshet replay`` and ``freshet recommend``, as a person runs them, on real Kafka."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.kafka.local_broker import LocalKafka
from streams.kafka.reader import read
from streams.settings import KafkaSettings
from tests.support.workers import RunningWorker, clean_environment

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

FILMS = {
    1: ("Toy Story (1995)", "Animation Comedy"),
    2: ("Heat (1995)", "Action Crime"),
    3: ("Casino (1995)", "Drama"),
}
LINES = [
    (user, film, 3, 880_000_000 + 60 * n) for n, (user, film) in enumerate([(7, 1), (8, 2), (7, 2), (9, 1)])
]


def write_films(folder: Path) -> Path:
    """MovieLens in RecBole's form: three films, four ratings, one line that is cut off."""
    folder.mkdir()
    items = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    items += [f"{film}\t{title}\t1995\t{genres}" for film, (title, genres) in FILMS.items()]
    ratings = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    ratings += ["\t".join(map(str, line)) for line in LINES]
    (folder / "ml-100k.item").write_text("\n".join(items) + "\n")
    (folder / "ml-100k.inter").write_text("\n".join([*ratings, "9\t3"]) + "\n")
    return folder


class Replayed:
    """A replay that has ended, its worker stopped, and its store still there."""

    def __init__(self, kafka: LocalKafka, model: Path, folder: Path) -> None:
        self.settings = KafkaSettings(
            bootstrap_servers=kafka.bootstrap_servers, topic_prefix="replay.", group_id="replay"
        )
        self.environment = {
            "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA__TOPIC_PREFIX": self.settings.topic_prefix,
            "KAFKA__GROUP_ID": self.settings.group_id,
            "MODEL__PATH": model,
            "QDRANT__PATH": folder / "vectors",
        }
        worker = RunningWorker(folder / "worker.log", **self.environment).wait_ready()
        films = str(write_films(folder / "films"))
        self.report = json.loads(self.freshet("replay", "--dataset", "movielens", films, "--json").stdout)
        assert worker.stop() == 0, worker.tail()

    def freshet(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments]
        environment = clean_environment(**self.environment)
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture(scope="module")
def replayed(kafka: LocalKafka, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return Replayed(kafka, untrained_model, tmp_path_factory.mktemp("replay"))


def test_every_line_is_sent_or_accounted_for(replayed: Replayed) -> None:
    report: dict[str, Any] = replayed.report
    assert report["events"] == len(LINES)
    assert report["events"] + sum(report["skipped"].values()) == report["lines"] == len(LINES) + 1


def test_the_running_worker_answers_every_user(replayed: Replayed) -> None:
    users = {one.key for one in read(replayed.settings, "recommendations")}
    assert users == {b"7", b"8", b"9"}
    assert replayed.report["dead_letters"] == 0


def test_recommend_answers_from_the_store(replayed: Replayed) -> None:
    answer = json.loads(replayed.freshet("recommend", "7", "--json").stdout)
    assert (answer["basis"], answer["events"]) == ("history", 2)
    assert [one["item_id"] for one in answer["items"]] == ["3"]


def test_recommend_tells_a_stranger_what_trends(replayed: Replayed) -> None:
    answer = json.loads(replayed.freshet("recommend", "nobody", "-k", "1", "--json").stdout)
    assert answer["basis"] == "trending"
    assert len(answer["items"]) == 1


def test_recommend_asks_for_a_scenario_and_rules(replayed: Replayed) -> None:
    def found(*rules: str) -> list[str]:
        arguments = [part for rule in rules for part in ("--filter", rule)]
        answer = json.loads(
            replayed.freshet("recommend", "9", "--scenario", "similar", *arguments, "--json").stdout
        )
        assert answer["scenario"] == "similar"
        return sorted(one["item_id"] for one in answer["items"])

    assert found() == ["2", "3"]
    assert found("category=Drama") == ["3"]
    assert found("category!=Drama", "age_days<=30") == ["2"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(("--scenario", "away"), "home, complements"), (("--filter", "colour=red"), "price<=20")],
)
def test_recommend_refuses_what_there_is_not_in_one_line(
    replayed: Replayed, arguments: tuple[str, ...], hint: str
) -> None:
    ended = replayed.freshet("recommend", "9", *arguments)
    assert ended.returncode != 0
    assert hint in ended.stderr
    assert "Traceback" not in ended.stderr


def test_recommend_prints_a_table_for_people(replayed: Replayed) -> None:
    table = replayed.freshet("recommend", "8").stdout
    assert "from 1 event" in table
    assert "Toy Story" in table


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"MODEL__PATH": "no/such/model"}, "freshet model init"),
        ({"KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}, "freshet broker --kafka"),
        ({"QDRANT__URL": "http://127.0.0.1:9", "QDRANT__RETRIES": 0}, "127.0.0.1:9"),
        ({"BATCH__MAX_EVENTS": 0}, "FRESHET_BATCH__MAX_EVENTS"),
    ],
)
def test_a_worker_that_cannot_start_says_why_in_one_line(
    replayed: Replayed, changes: dict[str, object], hint: str
) -> None:
    environment = clean_environment(**(replayed.environment | {"HTTP__PORT": 0} | changes))
    command = [sys.executable, "-c", "from streams.cli import main; main()", "worker"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    complaint = [line for line in ended.stderr.splitlines() if line.startswith("freshet: ")]
    assert ended.returncode not in (0, None)
    assert len(complaint) == 1
    assert hint in complaint[0]
    assert "Traceback" not in ended.stderr
