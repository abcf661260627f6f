"""Every expression of the dashboards, asked of a real Prometheus that scrapes a worker at work and a trainer.

The trainer's page is the one that it serves, told of trainings by the test: a real one takes minutes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from encoders.events import EventType, Interaction
from encoders.gate.report import Check, GateReport
from streams.codec import encode_interaction, encode_item
from streams.demo.catalogue import make_catalogue
from streams.kafka.demo_broker import DemoBroker
from streams.settings import KafkaSettings, TrainerSettings
from streams.settings_sections import Detector
from streams.trainer.metrics import TrainerMetrics, served
from streams.trainer.outcomes import Outcome
from tests.deploy.dashboards import RULES, Query, queries
from tests.deploy.tools import tool
from tests.support.prometheus import RunningPrometheus
from tests.support.shop import Shop

SECONDS = 60.0
"""Until the last panel must have something; some 10 s on a machine that is not busy."""
ITEMS = make_catalogue(60, 3)
QUICK = {
    "DRIFT__WINDOW_EVENTS": 50,
    "DRIFT__REPORT_SECONDS": 0.5,
    "DRIFT__REFERENCE_WINDOWS": 2,
    "DRIFT__MAX_INTERVAL_SECONDS": 0,
    "DRIFT__WARN_ONLY": json.dumps(get_args(Detector)),
}
EMPTY = {
    "changes(freshet:release_number:max": "nothing is released",
    "freshet_swap_duration_seconds": "nothing is released",
    "freshet_release_refusals_total": "nothing is refused",
    "freshet_shadow_overlap": "no challenger is in the shadow",
    "freshet_drift_last_request_timestamp_seconds": "all detectors only warn",
    "freshet_batch_retries_total": "Qdrant and Kafka answer",
    "offset 1h": "an hour has not passed",
    "ALERTS": "no alert fires",
}
"""What has no series when all is well and new, and why."""
PASSED = Check(name="better", value=0.02, threshold=0.0, passed=True, sentence="s")
REPORT = GateReport(champion="v1", challenger="v2", passed=True, checks=[PASSED])


class Scene:
    """A shop with visitors, a trainer's page, and the Prometheus that scrapes them."""

    def __init__(self, shop: Shop, trainer: TrainerMetrics, prometheus: RunningPrometheus) -> None:
        self._shop, self._trainer, self._prometheus = shop, trainer, prometheus
        self._rng = np.random.default_rng(0)
        self._sent = 0
        for item in ITEMS:
            shop.producer.send(*encode_item(item))

    def live(self) -> None:
        """A moment: 20 clicks, one message that is none, a training that ends."""
        for user, item in self._rng.integers((15, len(ITEMS)), size=(20, 2)):
            self._sent += 1
            event = Interaction(
                f"u{user}",
                ITEMS[item].item_id,
                EventType.CLICK,
                time.time_ns() // 1_000_000,
                f"e{self._sent}",
            )
            self._shop.producer.send(*encode_interaction(event))
        self._shop.producer.send("clicks", b"u1", b"no event")
        self._shop.producer.flush()
        outcome = Outcome(
            request_id="r1",
            model="m",
            parent="v1",
            status="released",
            sentence="s",
            seconds=60.0,
            events=100,
            skipped={"schema": 1},
            finished_at=time.time_ns() // 1_000_000,
        )
        self._trainer.concluded(outcome, REPORT)

    def silent(self, asked: list[Query]) -> list[Query]:
        """Those that have no value now."""
        return [query for query in asked if not self._prometheus.values(query.filled("15s"))]


@pytest.fixture(scope="module")
def scene(
    demo_broker: DemoBroker, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    binary, folder = tool("prometheus"), tmp_path_factory.mktemp("dashboards")
    settings = KafkaSettings(
        bootstrap_servers=demo_broker.bootstrap_servers, topic_prefix="dashboards.", group_id="dashboards"
    )
    shop, trainer = Shop(settings, untrained_model, folder, **QUICK), TrainerMetrics()
    with served(trainer, TrainerSettings(port=0)) as port, trainer.at_work():
        trainer.told(lambda *_: None)("train", 1, 2, "")
        targets = {"freshet-worker": shop.worker.port, "freshet-trainer": port}
        prometheus = RunningPrometheus(binary, targets, RULES, folder)
        try:
            shop.worker.wait_ready(120)
            prometheus.wait_ready()
            yield Scene(shop, trainer, prometheus)
        finally:
            prometheus.stop()
            shop.producer.close()
            shop.worker.stop()


def excepted(query: Query) -> bool:
    return any(part in query.expr for part in EMPTY)


def test_every_panel_shows_something(scene: Scene) -> None:
    waiting, deadline = [query for query in queries() if not excepted(query)], time.monotonic() + SECONDS
    while waiting:
        assert time.monotonic() < deadline, waiting
        scene.live()
        time.sleep(0.5)
        waiting = scene.silent(waiting)


def test_what_may_be_empty_is_empty_where_all_is_well(scene: Scene) -> None:
    asked = [query for query in queries() if excepted(query)]
    assert scene.silent(asked) == asked
    assert all(any(part in query.expr for query in asked) for part in EMPTY)
