"""A worker on real Kafka with tracing on: whoever sent an event finds its trace in what follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from encoders.events import EventType, Interaction
from streams.codec import encode_interaction, encode_item
from streams.demo.catalogue import make_catalogue
from streams.kafka.local_broker import LocalKafka
from streams.settings import KafkaSettings
from tests.support.shop import Shop
from tests.support.traces import TRACE_ID, OtlpReceiver, trace_id_of, traceparent

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ITEM = make_catalogue(200, 7)[0]
ASKED = TRACE_ID + 1
STAGES = {"decode", "state", "encode", "recommend", "retrieve", "rank", "upsert", "publish"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as made:
        yield made


@pytest.fixture(scope="module")
def shop(
    kafka: LocalKafka, untrained_model: Path, receiver: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    """What a worker left behind: of a click with a trace, one that cannot be read, and a request."""
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix="traces.", group_id="traces"
    )
    shop = Shop(
        settings,
        untrained_model,
        tmp_path_factory.mktemp("traces"),
        TRACING__ENABLED="true",
        TRACING__OTLP_ENDPOINT=receiver.endpoint,
        LOG__FORMAT="json",
    )
    shop.producer.send(*encode_item(ITEM))
    click = Interaction("ann", ITEM.item_id, EventType.CLICK, 1_700_000_000_000, event_id="ann-1")
    shop.producer.send(*encode_interaction(click), [("traceparent", traceparent())])
    shop.producer.send("clicks", b"ben", b"{")
    shop.settle("items", "clicks")
    shop.worker.wait_ready()
    url = f"http://127.0.0.1:{shop.worker.port}/recommendations/ann"
    httpx.get(url, headers={"traceparent": traceparent(ASKED).decode()}).raise_for_status()
    shop.producer.close()
    assert shop.worker.stop() == 0, shop.worker.tail()
    return shop


def test_a_recommendation_carries_the_trace_of_its_event(shop: Shop) -> None:
    (found,) = [one for one in shop.read("recommendations") if one.key == b"ann"]
    assert trace_id_of(found.headers) == TRACE_ID


def test_the_worker_tells_of_the_event_in_its_trace(shop: Shop, receiver: OtlpReceiver) -> None:
    assert receiver.names(TRACE_ID) == {"process clicks"}
    assert receiver.services == {"freshet-worker"}


def test_every_stage_is_in_the_trace_of_the_batch_that_links_to_the_event(
    shop: Shop, receiver: OtlpReceiver
) -> None:
    ids = {
        int.from_bytes(span.trace_id)
        for span in receiver.spans
        if any(int.from_bytes(one.trace_id) == TRACE_ID for one in span.links)
    }
    (batch,) = ids
    assert receiver.names(batch) >= STAGES


def test_a_request_is_in_its_callers_trace(shop: Shop, receiver: OtlpReceiver) -> None:
    assert receiver.names(ASKED) >= {"GET /recommendations/{user_id}", "retrieve", "rank"}


def test_every_line_of_the_log_is_an_object(shop: Shop) -> None:
    lines = [json.loads(line) for line in shop.worker.log.read_text().splitlines()]
    (letter,) = [line for line in lines if line.get("reason")]
    assert (letter["topic"], letter["reason"], letter["agent"]) == ("clicks", "malformed_json", "interest")
    assert {
        "timestamp",
        "level",
        "logger",
        "event",
        "partition",
        "offset",
        "batch",
        "trace_id",
    } <= letter.keys()
