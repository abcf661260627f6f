"""The main job on real Kafka: events in, recommendations out, everything bad set aside with its bytes.

Events come in every form; the recommendations leave in Avro here, and in JSON in the other modules.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest
from confluent_kafka import Producer

from encoders.events import EventType, Interaction
from streams.avro import AvroWriter
from streams.avro_schema import avro_schemas
from streams.codec import encode_interaction, encode_item
from streams.demo.catalogue import make_catalogue
from streams.kafka.local_broker import LocalKafka
from streams.messages import ClickMessage
from streams.settings import KafkaSettings
from tests.support.schema_registry import FakeRegistry
from tests.support.shop import WAIT_SECONDS, Shop, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ITEMS = make_catalogue(200, 7)
NOW_MS = time.time_ns() // 1_000_000


def click(user: str, item: str, number: int, **changes: object) -> dict[str, object]:
    return {
        "event_id": f"{user}-{number}",
        "user_id": user,
        "item_id": item,
        "timestamp": NOW_MS + number,
    } | changes


def as_bytes(message: object) -> bytes:
    return json.dumps(message).encode()


@pytest.fixture(scope="module")
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(
    kafka: LocalKafka, registry: FakeRegistry, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix="main-path.", group_id="main-path"
    )
    codec = {"CODEC__REGISTRY_URL": registry.url, "CODEC__FORMAT": "avro", "CODEC__CLOUDEVENTS": True}
    shop = Shop(settings, untrained_model, tmp_path_factory.mktemp("main-path"), **codec)
    for item in ITEMS[:-1]:
        shop.producer.send(*encode_item(item))
    shop.settle("items")
    yield shop
    shop.producer.close()
    assert shop.worker.stop() == 0, shop.worker.tail()


def test_a_click_brings_recommendations_of_the_same_kind(shop: Shop) -> None:
    clicked = ITEMS[0]
    shop.producer.send("clicks", b"ann", as_bytes(click("ann", clicked.item_id, 1)))
    shop.settle("clicks")
    newest = shop.recommendations("ann")[-1]
    categories = {item.item_id: item.categories for item in ITEMS}
    alike = [one for one in newest.items[:5] if categories[one.item_id][0] == clicked.categories[0]]
    assert len(alike) >= 3


def test_a_recommendation_names_its_trigger_and_leaves_out_what_was_seen(shop: Shop) -> None:
    shop.producer.send("clicks", b"ben", as_bytes(click("ben", ITEMS[3].item_id, 1)))
    shop.producer.send(
        "purchases", b"ben", as_bytes(click("ben", ITEMS[4].item_id, 2, quantity=1, price=9.5))
    )
    shop.settle("clicks", "purchases")
    newest = shop.recommendations("ben")[-1]
    assert len(newest.items) == 20
    assert newest.trigger.event_id in {"ben-1", "ben-2"}
    assert newest.event_time in {NOW_MS + 1, NOW_MS + 2}
    assert not {one.item_id for one in newest.items} & {ITEMS[3].item_id, ITEMS[4].item_id}


def test_a_delisted_item_is_not_recommended_any_more(shop: Shop) -> None:
    shop.producer.send("clicks", b"cat", as_bytes(click("cat", ITEMS[8].item_id, 1)))
    shop.settle("clicks")
    best = shop.recommendations("cat")[-1].items[0].item_id
    shop.producer.send("items", best.encode(), None)
    shop.settle("items")
    shop.producer.send("clicks", b"cat", as_bytes(click("cat", ITEMS[8].item_id, 2)))
    shop.settle("clicks")
    assert best not in {one.item_id for one in shop.recommendations("cat")[-1].items}


def test_a_repeated_event_is_counted_once(shop: Shop) -> None:
    event = as_bytes(click("dan", ITEMS[5].item_id, 1))
    shop.producer.send("clicks", b"dan", event)
    shop.producer.send("clicks", b"dan", event)
    shop.settle("clicks")
    assert 'outcome="duplicate",topic="clicks"' in shop.worker.metrics()


GOOD = click("eve", ITEMS[1].item_id, 1)
BAD = {
    "malformed JSON": (b"eve", b"{", "malformed_json"),
    "wrong UTF-8": (b"eve", b'{"user_id": "\xff"}', "not_utf8"),
    "null": (b"eve", None, "null_value"),
    "a list": (b"eve", b"[]", "schema"),
    "a missing field": (b"eve", b'{"user_id": "eve"}', "schema"),
    "a field of the wrong type": (b"eve", as_bytes(GOOD | {"item_id": 7}), "schema"),
    "NaN": (b"eve", as_bytes(GOOD | {"price": float("nan")}), "malformed_json"),
    "a negative price": (b"eve", as_bytes(GOOD | {"price": -1}), "schema"),
    "a timestamp in the far future": (b"eve", as_bytes(GOOD | {"timestamp": 10**14}), "timestamp_future"),
    "a megabyte": (b"eve", b"x" * 1_000_000, "too_large"),
    "an empty key": (b"", as_bytes(GOOD | {"event_id": "empty key"}), "empty_key"),
    "another user's key": (b"adam", as_bytes(GOOD), "key_mismatch"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_dead_lettered_with_its_bytes_and_a_reason(shop: Shop, name: str) -> None:
    key, value, reason = BAD[name]
    shop.producer.send("purchases", key, value)
    shop.settle("purchases")
    headers = shop.dead_letter(key, value)
    assert headers is not None
    assert (headers["topic"], headers["reason"]) == ("purchases", reason)
    assert headers["error"]


def test_the_stream_goes_on_after_bad_input(shop: Shop) -> None:
    shop.producer.send("clicks", b"fay", b"garbage")
    shop.producer.send("clicks", b"fay", as_bytes(click("fay", ITEMS[2].item_id, 1)))
    shop.settle("clicks")
    assert shop.recommendations("fay")


def test_a_click_counts_when_its_item_arrives(shop: Shop) -> None:
    late = ITEMS[-1]
    shop.producer.send("clicks", b"gus", as_bytes(click("gus", late.item_id, 1)))
    shop.settle("clicks")
    shop.producer.send(*encode_item(late))
    shop.producer.flush()
    wait_for(lambda: shop.recommendations("gus"))
    assert shop.recommendations("gus")[-1].trigger.item_id == late.item_id


def test_a_click_on_an_item_that_never_comes_is_dead_lettered_as_unknown(shop: Shop) -> None:
    value = as_bytes(click("hal", "no-such-item", 1))
    shop.producer.send("clicks", b"hal", value)
    shop.settle("clicks")
    headers = wait_for(lambda: shop.dead_letter(b"hal", value), WAIT_SECONDS + 20)
    assert isinstance(headers, dict)
    assert headers["reason"] == "unknown_item"


def test_recommend_asks_the_worker_that_holds_the_vectors(shop: Shop) -> None:
    shop.producer.send("clicks", b"joe", as_bytes(click("joe", ITEMS[9].item_id, 1)))
    shop.settle("clicks", "evidence")  # which may change the list that was published
    answer = shop.freshet("recommend", "joe", "--json")
    assert [one["item_id"] for one in answer["items"]] == [one["item_id"] for one in shop.get("joe")]


def test_serving_imports_no_torch(shop: Shop) -> None:
    maps = Path(f"/proc/{shop.worker.process.pid}/maps")
    if not maps.exists():
        pytest.skip("no /proc on this system")
    assert "libtorch" not in maps.read_text()


def test_events_of_the_past_are_welcome(shop: Shop) -> None:
    event = Interaction("ida", ITEMS[6].item_id, EventType.CLICK, 879_024_327_000, event_id="ida-1")
    shop.producer.send(*encode_interaction(event))
    shop.settle("clicks")
    assert shop.recommendations("ida")[-1].event_time == 879_024_327_000


def test_avro_cloudevents_and_json_count_alike(shop: Shop, registry: FakeRegistry) -> None:
    schema = avro_schemas()["clicks"]
    schema_id = registry.add(schema, f"{shop.settings.topic_prefix}clicks-value")
    wrapped = {"user_id": "joe", "item_id": ITEMS[11].item_id}
    attributes = {"specversion": "1.0", "id": "joe-2", "source": "/shop", "type": "shop.click"}
    attributes |= {"time": datetime.fromtimestamp(NOW_MS / 1000, UTC).isoformat()}
    in_avro = msgspec.convert(click("joe", ITEMS[12].item_id, 3), ClickMessage)
    binary = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    structured = attributes | {"id": "joe-4", "data": wrapped}
    shop.producer.send("clicks", b"joe", as_bytes(click("joe", ITEMS[10].item_id, 1)))
    shop.producer.send("clicks", b"joe", as_bytes(wrapped), binary)
    shop.producer.send("clicks", b"joe", AvroWriter(schema, schema_id).write(in_avro))
    shop.producer.send(
        "clicks", b"joe", as_bytes(structured), [("content-type", b"application/cloudevents+json")]
    )
    shop.settle("clicks")
    triggers = [one.trigger.event_id for one in shop.recommendations("joe")]
    profile = httpx.get(f"http://127.0.0.1:{shop.worker.port}/users/joe", timeout=10.0).json()
    assert triggers[-1] == "joe-4"
    assert profile["events"] == 4


def test_a_recommendation_is_a_cloudevent_where_asked_for(shop: Shop) -> None:
    shop.producer.send("clicks", b"kim", as_bytes(click("kim", ITEMS[10].item_id, 1)))
    shop.settle("clicks")
    headers = [dict(one.headers) for one in shop.read("recommendations") if one.key == b"kim"]
    assert headers[-1]["ce_id"] == b"kim/home/clicks/kim-1"
    assert headers[-1]["content-type"] == b"application/avro"


def test_a_dead_letter_has_the_headers_that_were_received(shop: Shop) -> None:
    value, headers = b"\0\0\0\x27\x0fx", [("ce_specversion", b"1.0"), ("empty", None)]
    topic = shop.settings.topic_prefix + "clicks"
    other = Producer({"bootstrap.servers": shop.settings.bootstrap_servers})  # Sends headers without a value.
    other.produce(topic, value, b"lee", headers=headers)
    assert other.flush(30) == 0
    shop.producer.send("clicks", b"lee", value)
    shop.settle("clicks")
    letters = [one for one in shop.read("dead-letters") if one.key == b"lee"]
    received = {dict(one.headers)["reason"]: one.headers for one in letters}
    assert received.keys() == {b"cloudevent", b"unknown_schema"}
    assert received[b"cloudevent"][:2] == tuple(headers)
    assert {one.value for one in letters} == {value}
