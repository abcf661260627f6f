"""Drift on real Kafka: a worker whose users turn to other things asks for a training, with evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from encoders.events import EventType, Interaction
from streams.cli.drift import drift
from streams.codec import encode_interaction, encode_item
from streams.demo.catalogue import make_catalogue
from streams.drift.summary import decode_summary
from streams.kafka.local_broker import LocalKafka
from streams.messages import TrainingRequest
from streams.settings import KafkaSettings
from tests.support.shop import Shop, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ITEMS = make_catalogue(80, 3)
FIRST, SECOND = ITEMS[:8], ITEMS[40:48]
NOW_MS = time.time_ns() // 1_000_000
WINDOWS = {
    "DRIFT__WINDOW_EVENTS": 100,
    "DRIFT__SAMPLE": 100,
    "DRIFT__REPORT_SECONDS": 1,
    "DRIFT__REFERENCE_WINDOWS": 2,
    "DRIFT__CONSECUTIVE": 2,
    "DRIFT__WARN_ONLY": json.dumps(["cold_users_adwin", "cold_users_page_hinkley", "scores_psi"]),
}


@pytest.fixture(scope="module")
def shop(
    kafka: LocalKafka, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix="drift.", group_id="drift"
    )
    shop = Shop(settings, untrained_model, tmp_path_factory.mktemp("drift"), **WINDOWS)
    for item in ITEMS:
        shop.producer.send(*encode_item(item))
    shop.settle("items")
    yield shop
    shop.producer.close()
    assert shop.worker.stop() == 0, shop.worker.tail()


def told(shop: Shop) -> int:
    """Events that the worker has told of."""
    return sum(decode_summary(one.value).events for one in shop.read("drift-summaries"))


def send(shop: Shop, items: list[str], windows: int, seed: int) -> None:
    """Windows of 100 clicks by 40 users, each told of before the next."""
    rng = np.random.default_rng(seed)
    for window in range(windows):
        before = told(shop)
        for n in range(100):
            user, item = f"u{rng.integers(40)}", items[int(rng.integers(len(items)))]
            event = Interaction(user, item, EventType.CLICK, NOW_MS + n, event_id=f"{seed}-{window}-{n}")
            shop.producer.send(*encode_interaction(event))
        shop.settle("clicks")
        wait_for(lambda wanted=before + 100: told(shop) >= wanted)


def requests(shop: Shop) -> list[TrainingRequest]:
    return [
        msgspec.json.decode(one.value, type=TrainingRequest)
        for one in shop.read("training-requests")
        if one.value
    ]


def test_a_shift_of_the_stream_brings_one_request(shop: Shop) -> None:
    send(shop, [one.item_id for one in FIRST], windows=4, seed=1)
    shop.settle("drift-summaries")
    assert requests(shop) == []
    send(shop, [one.item_id for one in SECOND], windows=4, seed=2)
    wait_for(lambda: requests(shop))
    shop.settle("drift-summaries")
    (request,) = requests(shop)
    assert request.parent == shop.recommendations("u1")[-1].model_version
    assert {"items_psi", "interest_mmd"} & {one.detector for one in request.reasons}
    assert all(one.statistic > one.threshold for one in request.reasons)
    assert NOW_MS <= request.window_until_ms <= time.time_ns() // 1_000_000


def test_statistics_thresholds_and_decisions_are_metrics(shop: Shop) -> None:
    page = httpx.get(f"http://127.0.0.1:{shop.worker.port}/metrics", timeout=5.0).text
    for wanted in (
        'freshet_drift_statistic{detector="items_psi"}',
        'freshet_drift_threshold{detector="items_psi",level="drift"}',
        'freshet_drift_decisions_total{kind="drift"} 1.0',
        "freshet_progressive_scored_total{model_version=",
        "freshet_progressive_recall{k=",
    ):
        assert wanted in page


def test_drift_show_reads_the_workers_levels_and_the_brokers_requests(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRESHET_KAFKA__BOOTSTRAP_SERVERS", shop.settings.bootstrap_servers)
    monkeypatch.setenv("FRESHET_KAFKA__TOPIC_PREFIX", shop.settings.topic_prefix)
    address = f"http://127.0.0.1:{shop.worker.port}"
    said = CliRunner().invoke(drift, ["show", "--json", "--url", address], catch_exceptions=False)
    found = json.loads(said.stdout)
    assert "items_psi" in {one["detector"] for one in found["detectors"]}
    assert [one["request_id"] for one in found["requests"]] == [one.request_id for one in requests(shop)]
