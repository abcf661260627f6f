"""From a request on Kafka to a version that workers may load, or to a report that says why not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from encoders.config import ModelConfig
from encoders.events import EventType, Interaction, Item
from encoders.gate.report import decode_report
from exporters.model_factory import make_untrained
from exporters.model_store import load_model
from streams.codec import encode_interaction, encode_item
from streams.kafka.producer import EventProducer
from streams.kafka.reader import read
from streams.kafka.topics import ensure_topics
from streams.releases.topic import read_releases
from streams.settings import KafkaSettings
from streams.trainer.outcomes import Outcome, Outcomes
from tests.support.trainers import request, send
from tests.support.workers import REPOSITORY, clean_environment

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]
MakeSettings = Callable[..., KafkaSettings]

ITEMS = [Item(f"i{row}", f"thing number {row}") for row in range(60)]
EVENTS = 3_000
START_MS = 1_700_000_000_000


def walks() -> list[Interaction]:
    """Users go from each item to the one seven further on; no text says so."""
    rng = np.random.default_rng(0)
    at = rng.integers(0, len(ITEMS), 200)
    events = []
    for number in range(EVENTS):
        user = int(rng.integers(0, len(at)))
        at[user] = (at[user] + 7) % len(ITEMS)
        when = START_MS + number * 60_000
        events.append(Interaction(f"u{user}", f"i{at[user]}", EventType.CLICK, when, f"e{number}"))
    return events


class Trained:
    """A trainer that has worked one request off, as a person runs it."""

    def __init__(self, settings: KafkaSettings, text_from: Path, folder: Path) -> None:
        ensure_topics(settings)
        self.settings, self.models = settings, folder / "models"
        config = ModelConfig(dim=16, hidden=16, item_hidden=16)
        self.champion = make_untrained(ITEMS, self.models, config, text_from=text_from)
        with EventProducer(settings) as producer:
            for item in ITEMS:
                producer.send(*encode_item(item))
            for event in walks():
                producer.send(*encode_interaction(event))
            producer.send("clicks", b"u1", b"no event")
        send(settings, request(1, parent=self.champion.name))
        environment = clean_environment(
            KAFKA__BOOTSTRAP_SERVERS=settings.bootstrap_servers,
            KAFKA__TOPIC_PREFIX=settings.topic_prefix,
            KAFKA__GROUP_ID=settings.group_id,
            MODEL__PATH=self.models,
            MODEL__CACHE=folder / "cache",
            RECOMMENDATIONS__HIDE_SEEN_DAYS=0,
            RECOMMENDATIONS__HIDE_BOUGHT_DAYS=0,
            TRAINER__MODELS=self.models,
            TRAINER__EPOCHS=2,
            TRAINER__RANKER_ROWS=200,
            TRAINER__GATE_CASES=150,
            TRAINER__PORT=0,
        )
        command = [sys.executable, "-c", "from streams.cli import main; main()", "trainer", "--once"]
        self.ended = subprocess.run(
            command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=500
        )

    @property
    def outcome(self) -> Outcome:
        found = Outcomes(self.models).find("r1")
        assert found is not None, self.ended.stderr
        return found


@pytest.fixture(scope="module")
def trained(kafka: object, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,  # type: ignore[attr-defined]
        topic_prefix="training.",
        group_id="training",
    )
    return Trained(settings, untrained_model, tmp_path_factory.mktemp("training"))


def test_a_ranker_that_knows_the_shop_is_released_on_the_whole_window(trained: Trained) -> None:
    assert trained.ended.returncode == 0, trained.ended.stderr
    assert trained.outcome.status == "released", trained.outcome
    assert (trained.outcome.events, trained.outcome.skipped) == (EVENTS, {"malformed_json": 1})


def test_the_report_holds_both_models_on_the_newest_events(trained: Trained) -> None:
    report = decode_report((trained.models / "reports" / f"{trained.outcome.version}.json").read_bytes())
    assert (report.champion, report.passed) == (trained.champion.name, True)
    assert [one.name for one in report.slices] == ["newest"]


def test_workers_are_told_of_the_version_that_passed_and_of_the_one_before(trained: Trained) -> None:
    release = read_releases(trained.settings)["freshet"]
    assert (release.champion.version, release.number) == (trained.outcome.version, trained.outcome.number)
    assert release.lineage == [trained.champion.name]
    assert release.gate is not None


def test_the_version_that_passed_loads_as_the_latest(trained: Trained) -> None:
    assert load_model(trained.models).version == trained.outcome.version


def test_nothing_but_results_is_left_behind(trained: Trained) -> None:
    assert list((trained.models / ".training").iterdir()) == []
    assert list(read(trained.settings, "dead-letters")) == []
