"""Brokers for the suite: one real Kafka and one demo broker a session, and settings that keep tests apart."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from encoders.errors import BrokerError
from streams.kafka.demo_broker import DemoBroker
from streams.kafka.jars import find_jars, find_java
from streams.kafka.local_broker import LocalKafka
from streams.settings import KafkaSettings

# A broker that lives for seconds is not worth optimising: 40 % less CPU at its start.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

MakeSettings = Callable[..., KafkaSettings]


@pytest.fixture(scope="session")
def kafka_installed() -> None:
    """Skip, and say why, where a real Kafka cannot run here."""
    try:
        find_java()
        find_jars()
    except BrokerError as error:
        pytest.skip(str(error))
    os.environ.setdefault("JAVA_TOOL_OPTIONS", SHORT_LIVED)


@pytest.fixture(scope="session")
def kafka(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A real Kafka for the whole session; tests that stop or kill one start their own."""
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def demo_broker() -> Iterator[DemoBroker]:
    """A demo broker for the whole session: not durable, 4 partitions a topic."""
    with DemoBroker() as broker:
        yield broker


@pytest.fixture
def kafka_settings(kafka: LocalKafka) -> MakeSettings:
    """Make settings for the real Kafka with a topic prefix and a group of this test's own."""
    return _maker(kafka.bootstrap_servers)


@pytest.fixture
def demo_settings(demo_broker: DemoBroker) -> MakeSettings:
    """The same for the demo broker."""
    return _maker(demo_broker.bootstrap_servers)


def _maker(bootstrap_servers: str) -> MakeSettings:
    def make(**changes: object) -> KafkaSettings:
        own = f"t{uuid.uuid4().hex[:8]}"
        defaults = {"topic_prefix": f"{own}.", "group_id": own}
        return KafkaSettings(bootstrap_servers=bootstrap_servers, **(defaults | changes))  # type: ignore[arg-type]

    return make
