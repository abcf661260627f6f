"""Evidence on real Kafka: a new pair shows within seconds, and Kafka in between changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from encoders.evaluation.timeline import Events, Timeline
from encoders.events import EventType, Interaction
from streams.bench.progressive import RunningPipeline
from streams.codec import encode_interaction, encode_item
from streams.demo.catalogue import make_catalogue
from streams.kafka.local_broker import LocalKafka
from streams.settings import KafkaSettings
from tests.support.shop import Shop, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ITEMS = make_catalogue(80, 3)
NOW_S = float(int(time.time()) - 3_600)
TOPICS = ("clicks", "purchases", "evidence")


def timeline() -> Timeline:
    """400 clicks of 40 users, each of whom likes one quarter of the catalogue."""
    rng = np.random.default_rng(5)
    users = np.concatenate([np.arange(40), rng.integers(0, 40, 360)])
    items = (users % 4) * 20 + rng.integers(0, 20, 400)
    types = np.where(rng.random(400) < 0.2, EventType.PURCHASE, EventType.CLICK).astype(np.int64)
    events = Events(users, items, types, NOW_S + np.arange(400.0))
    return Timeline("planted", events, [f"u{n}" for n in range(40)], ITEMS, repeats=False)


@pytest.fixture(scope="module")
def shop(
    kafka: LocalKafka, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix="evidence.", group_id="evidence"
    )
    shop = Shop(settings, untrained_model, tmp_path_factory.mktemp("evidence"))
    for item in ITEMS:
        shop.producer.send(*encode_item(item))
    shop.settle("items")
    yield shop
    shop.producer.close()
    assert shop.worker.stop() == 0, shop.worker.tail()


def test_a_new_co_purchase_shows_within_seconds(shop: Shop) -> None:
    first, second = ITEMS[1].item_id, ITEMS[-1].item_id
    for n in range(6):
        for m, item_id in enumerate((first, second)):
            event = Interaction(
                f"pair{n}", item_id, EventType.PURCHASE, round(NOW_S * 1_000) + m, event_id=f"pair{n}-{m}"
            )
            shop.producer.send(*encode_interaction(event))
    shop.producer.send(
        *encode_interaction(
            Interaction("curious", first, EventType.CLICK, round(NOW_S * 1_000) + 10, event_id="c")
        )
    )
    shop.producer.flush()
    wanted = {"kind": "together_with", "item_id": first}
    wait_for(
        lambda: any(one["item_id"] == second and one["reason"] == wanted for one in shop.get("curious", k=5)),
        seconds=20,
    )


def test_lists_are_those_of_the_same_pipelines_without_kafka(shop: Shop, untrained_model: Path) -> None:
    planted = timeline()
    pipeline = RunningPipeline(untrained_model, planted)
    stage = planted.stage(NOW_S - 1)
    pipeline.fit(planted.events, stage)
    users = np.arange(40)
    offline = pipeline.recommend(users, np.full(40, NOW_S + 400), 20)
    pipeline.close()
    for n in range(400):
        event = Interaction(
            planted.user_ids[planted.events.users[n]],
            ITEMS[planted.events.items[n]].item_id,
            EventType(int(planted.events.event_types[n])),
            round(1_000 * planted.events.seconds[n]),
            event_id=f"planted-{n}",
        )
        shop.producer.send(*encode_interaction(event))
    shop.settle(*TOPICS)
    overlaps = []
    for user, rows in zip(planted.user_ids, offline, strict=True):
        online = [one["item_id"] for one in shop.get(user, k=10)]
        overlaps.append(len(set(online) & {ITEMS[row].item_id for row in rows[:10]}) / 10)
    # The other test's twelve purchases are evidence, too, and items of equal merit may change places.
    assert np.mean(overlaps) > 0.9
