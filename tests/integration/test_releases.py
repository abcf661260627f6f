"""A running worker changes its model on real Kafka and the in-process engine, while events come."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporters.model_manifest import MANIFEST, entry_of
from streams.codec import encode_item
from streams.demo.catalogue import make_catalogue
from streams.kafka.local_broker import LocalKafka
from streams.messages import ModelRelease
from streams.releases.topic import TOPIC
from streams.settings import KafkaSettings
from tests.support.shop import Shop, wait_for
from tests.support.workers import RunningWorker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ITEMS = make_catalogue(200, 7)
NOW_MS = time.time_ns() // 1_000_000
FIRST, SECOND = "20261101-aaaaaaaa", "20261102-bbbbbbbb"


def version_of(model: Path, models: Path, version: str) -> Path:
    """A copy of a model under another version: other collections, the same answers."""
    folder = models / version
    shutil.copytree(model, folder)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"version": version}))
    return folder


class ReleasingShop(Shop):
    """A shop whose models folder has two versions; the first one serves."""

    def __init__(self, settings: KafkaSettings, model: Path, folder: Path) -> None:
        models = folder / "models"
        self.models = models
        version_of(model, models, FIRST)
        version_of(model, models, SECOND)
        (models / "latest").write_text(FIRST)
        super().__init__(settings, models, folder)
        self.worker.wait_ready()
        self.environment["MODEL__CACHE"] = folder / "cache"
        self.sent: dict[str, int] = {}

    def click(self, user: str, item: int) -> None:
        number = self.sent[user] = self.sent.get(user, 0) + 1
        event = {
            "event_id": f"{user}-{number}",
            "user_id": user,
            "item_id": ITEMS[item].item_id,
            "timestamp": NOW_MS + sum(self.sent.values()),
        }
        self.producer.send("clicks", user.encode(), json.dumps(event).encode())

    def serves(self, version: str) -> bool:
        return f'model_version="{version}",role="champion"' in self.worker.metrics()

    def versions(self, user: str) -> list[str]:
        return [one.model_version for one in self.recommendations(user)]

    def refused(self, reason: str) -> bool:
        return f'freshet_release_refusals_total{{reason="{reason}"}}' in self.worker.metrics()

    def announce(self, number: int, **champion: Any) -> None:
        """Publish a release as nobody should: whatever it says."""
        at = {"version": SECOND, "uri": str(self.models / SECOND), "digest": "0" * 64, "items": 0} | champion
        body = {"model": "freshet", "number": number, "champion": at, "released_at": NOW_MS, "lineage": [FIRST]}
        self.producer.send(TOPIC, b"freshet", msgspec.json.encode(msgspec.convert(body, ModelRelease)))
        self.producer.flush()


@pytest.fixture(scope="module")
def shop(
    kafka: LocalKafka, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReleasingShop]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix="releases.", group_id="releases"
    )
    shop = ReleasingShop(settings, untrained_model, tmp_path_factory.mktemp("releases"))
    for item in ITEMS:
        shop.producer.send(*encode_item(item))
    shop.settle("items")
    yield shop
    shop.producer.close()
    shop.worker.stop()


def test_a_released_version_takes_over_while_events_come(shop: ReleasingShop) -> None:
    for number in range(20):
        shop.click(f"user-{number}", number)
    shop.settle("clicks")
    assert shop.freshet("models", "list", "--json")["release"] is None
    released = shop.freshet("models", "promote", SECOND, "--json")
    assert (released["champion"]["version"], released["lineage"]) == (SECOND, [FIRST])
    turn = 0
    while not shop.serves(SECOND):
        turn += 1
        assert turn < 300, shop.worker.tail()
        shop.click(f"user-{turn % 20}", turn % 200)
        shop.producer.flush()
        time.sleep(0.05)
    for number in range(20):
        shop.click(f"user-{number}", (number + 7) % 200)
    shop.settle("clicks")
    assert {shop.versions(f"user-{number}")[-1] for number in range(20)} == {SECOND}
    applied = shop.worker.metrics()
    assert f'freshet_events_total{{outcome="applied",topic="clicks"}} {sum(shop.sent.values())}.0' in applied


def test_users_keep_their_histories(shop: ReleasingShop) -> None:
    for number in range(3):
        assert answered_events(shop, f"user-{number}") == shop.sent[f"user-{number}"]


def answered_events(shop: ReleasingShop, user: str) -> int:
    return int(shop.freshet("recommend", user, "--json")["events"])


def test_a_rollback_takes_effect_within_seconds(shop: ReleasingShop) -> None:
    released = shop.freshet("models", "rollback", "--json")
    assert (released["champion"]["version"], released["number"]) == (FIRST, 2)
    wait_for(lambda: shop.serves(FIRST))
    shop.click("user-1", 50)
    shop.settle("clicks")
    assert shop.versions("user-1")[-1] == FIRST
    assert answered_events(shop, "user-1") == shop.sent["user-1"]
