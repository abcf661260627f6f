"""What is asked of a schema registry, over real sockets, and what each of its answers means."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from encoders.errors import BrokerError, BrokerUnavailable, SettingsError
from streams.avro_schema import avro_schema
from streams.codec import Rejected
from streams.fold_types import Received
from streams.messages import Recommendation
from streams.recommendation_format import open_format, read_recommendation
from streams.schema_registry import MAX_ANSWER_BYTES, SchemaRegistry, avro_reader
from streams.settings import CodecSettings, KafkaSettings, Settings
from tests.fakes.kafka_messages import click
from tests.fakes.wired_worker import POLICY, WiredWorker
from tests.streams.test_avro import CLICK, wire
from tests.support.schema_registry import FakeRegistry

SCHEMA = avro_schema(Recommendation)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def client(fake: FakeRegistry, **settings: object) -> SchemaRegistry:
    return SchemaRegistry(CodecSettings.model_validate({"registry_url": fake.url, **settings}))


ANSWERS = {
    "not well": ((503, b"{}"), BrokerUnavailable, "is not well: HTTP 503"),
    "too many": ((429, b"{}"), BrokerUnavailable, "is not well: HTTP 429"),
    "not allowed": ((403, b"{}"), BrokerError, "refuses this user"),
    "another server": ((404, b"<html>no such page"), BrokerError, "answers like no schema registry"),
    "another server in JSON": ((404, b'{"detail": "Not Found"}'), BrokerError, "HTTP 404"),
    "incompatible": ((409, b'{"error_code": 409, "message": "field x"}'), BrokerError, "HTTP 409, field x"),
    "elsewhere": ((302, b"{}"), BrokerError, "HTTP 302"),
    "endless": ((200, b" " * (MAX_ANSWER_BYTES + 1)), BrokerUnavailable, "more than 1048576 bytes"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_other_answers_say_whether_to_come_again(fake: FakeRegistry, name: str) -> None:
    fake.fault, kind, sentence = ANSWERS[name]
    with pytest.raises(BrokerError, match=sentence) as error:
        client(fake).fetch(1)
    assert type(error.value) is kind


def test_nobody_there_is_an_outage() -> None:
    with FakeRegistry() as fake:
        registry = client(fake)
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        registry.fetch(1)


def test_the_password_is_sent_and_never_shown() -> None:
    with FakeRegistry(password="s3cret") as fake:
        assert client(fake, registry_username="freshet", registry_password="s3cret").fetch(
            fake.add(CLICK)
        ) == json.dumps(CLICK)
        with pytest.raises(BrokerError) as error:
            client(fake, registry_username="freshet", registry_password="wr0ng").fetch(1)
    assert "wr0ng" not in str(error.value)


def test_an_authority_that_is_no_file_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="FRESHET_CODEC__REGISTRY_CA_FILE"):
        SchemaRegistry(
            CodecSettings.model_validate({"registry_url": "https://r", "registry_ca_file": "/no/such.pem"})
        )


def test_a_user_without_a_password_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="FRESHET_CODEC__REGISTRY_PASSWORD is not set"):
        SchemaRegistry(CodecSettings.model_validate({"registry_url": "https://r", "registry_username": "u"}))


def settings(fake: FakeRegistry, **codec: object) -> Settings:
    kafka = KafkaSettings(topic_prefix="shop.")
    return Settings(
        kafka=kafka, codec=CodecSettings.model_validate({"registry_url": fake.url, "format": "avro", **codec})
    )


def test_our_schema_is_registered_under_the_topics_name(fake: FakeRegistry) -> None:
    open_format(settings(fake))
    assert list(fake.subjects) == ["shop.recommendations-value"]


def test_our_schema_is_not_registered_where_that_is_turned_off(fake: FakeRegistry) -> None:
    fake.add(SCHEMA, "shop.recommendations-value")
    open_format(settings(fake, register_schema=False))
    assert fake.asked == ["POST /subjects/shop.recommendations-value"]


class TestPipeline:
    """A worker that reads Avro and JSON."""

    @pytest.fixture
    async def worker(self, fake: FakeRegistry) -> AsyncIterator[WiredWorker]:
        made = settings(fake)
        policy = replace(POLICY, avro=avro_reader(made.codec), written=open_format(made))
        worker = WiredWorker(policy=policy)
        await worker.stock("a", "b", "c")
        yield worker
        worker.close()

    def in_avro(self, fake: FakeRegistry, message: Received, schema_id: int | None = None) -> Received:
        fields = json.loads(message.value or b"")
        return replace(message, value=wire(CLICK, fields, schema_id or fake.add(CLICK)))

    async def test_avro_does_what_json_does(self, fake: FakeRegistry, worker: WiredWorker) -> None:
        plain = WiredWorker()
        await plain.stock("a", "b", "c")
        events = [click("u", "a", 0), click("v", "b", 1), click("u", "c", 2, event_type="cart")]
        await plain.interest.process(events)
        await worker.interest.process([self.in_avro(fake, one) for one in events])
        assert worker.everything("u", "v") == plain.everything("u", "v")
        avro = worker.interest._policy.avro
        made = [read_recommendation(one.value or b"", avro) for one in worker.publisher.on("recommendations")]
        wanted = [
            read_recommendation(one.value or b"", None) for one in plain.publisher.on("recommendations")
        ]
        plain.close()
        assert made == wanted

    async def test_an_outage_of_the_registry_repeats_the_batch(
        self, fake: FakeRegistry, worker: WiredWorker
    ) -> None:
        message = self.in_avro(fake, click("u", "a", 0))
        fake.fault = (503, b"")
        with pytest.raises(BrokerUnavailable):
            await worker.interest.process([message])
        assert worker.publisher.on("dead-letters") == []
        fake.fault = None
        await worker.interest.process([message])
        assert worker.history("u").applied == 1

    async def test_an_unknown_schema_is_a_dead_letter(self, fake: FakeRegistry, worker: WiredWorker) -> None:
        message = self.in_avro(fake, click("u", "a", 0), 99)
        await worker.interest.process([message])
        (letter,) = worker.publisher.on("dead-letters")
        assert (letter.value, dict(letter.headers)["reason"]) == (message.value, b"unknown_schema")

    async def test_the_event_loop_turns_while_a_schema_is_fetched(
        self, fake: FakeRegistry, worker: WiredWorker
    ) -> None:
        import asyncio

        avro = worker.interest._policy.avro
        assert avro is not None
        fetch = avro._fetch
        turned: list[float] = []

        def slow(schema_id: int) -> str | Rejected:
            began = time.monotonic()
            while not turned and time.monotonic() - began < 10:
                time.sleep(0.01)
            return fetch(schema_id)

        avro._fetch = slow
        asyncio.get_running_loop().call_later(0.02, turned.append, 1.0)
        await worker.interest.process([self.in_avro(fake, click("u", "a", 0))])
        assert turned
        assert worker.history("u").applied == 1


@pytest.mark.parametrize(
    ("codec", "sentence"),
    [
        ({"format": "avro"}, "format avro needs registry_url"),
        ({"registry_url": "http://r", "registry_password": "p"}, "needs registry_username"),
        (
            {"registry_url": "http://r:8081", "registry_username": "u", "registry_password": "p"},
            "travel in the clear",
        ),
        ({"registry_url": "https://u:p@r"}, "should match pattern"),
    ],
)
def test_contradictory_settings_are_refused(codec: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        CodecSettings.model_validate(codec)


@pytest.mark.parametrize("url", ["http://localhost:8081", "http://127.0.0.1/", "http://[::1]:1", "https://r"])
def test_a_password_may_go_to_this_machine_or_over_tls(url: str) -> None:
    CodecSettings.model_validate({"registry_url": url, "registry_username": "u", "registry_password": "p"})
