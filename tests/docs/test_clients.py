"""The shops of docs/clients, each on a real Kafka and a real worker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka.partitioner.default import murmur2

from streams.cli.model import read_catalogue
from streams.codec import encode_item
from streams.kafka.jars import find_jars, find_java
from streams.kafka.local_broker import LocalKafka
from streams.settings import KafkaSettings
from tests.docs.node_modules_cache import node_modules
from tests.support.shop import Shop
from tests.support.workers import REPOSITORY, free_port

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

CLIENTS = REPOSITORY / "docs" / "clients"
PARTITIONS = 3
"""No power of two: a hash that keeps its sign bit would be seen, too."""


def kafka_python(folder: Path) -> list[str]:
    return [sys.executable, str(CLIENTS / "shop_kafka_python.py")]


def confluent(folder: Path) -> list[str]:
    return [sys.executable, str(CLIENTS / "shop_confluent.py")]


def java(folder: Path) -> list[str]:
    if shutil.which("javac") is None:
        pytest.skip("javac is not on PATH: a JDK is needed, not a JRE alone")
    return [find_java(), "-cp", f"{find_jars()}/*", str(CLIENTS / "Shop.java")]


def node(folder: Path) -> list[str]:
    (folder / "node_modules").symlink_to(node_modules(CLIENTS / "package.json"))
    return ["node", str(shutil.copy(CLIENTS / "shop.mjs", folder))]


COMMANDS = (kafka_python, confluent, java, node)


@pytest.fixture(scope="module")
def shop(
    kafka: LocalKafka, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix="clients.",
        group_id="clients",
        partitions=PARTITIONS,
    )
    shop = Shop(settings, untrained_model, tmp_path_factory.mktemp("clients"))
    for item in read_catalogue(REPOSITORY / "deploy" / "items.example.jsonl"):
        shop.producer.send(*encode_item(item))
    shop.settle("items")
    yield shop
    shop.producer.close()
    assert shop.worker.stop() == 0, shop.worker.tail()


def start(command: list[str], user: str, servers: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "FRESHET_KAFKA__BOOTSTRAP_SERVERS": servers,
        "FRESHET_KAFKA__TOPIC_PREFIX": "clients.",
    }
    return subprocess.Popen(
        [*command, user], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@dataclass(frozen=True)
class Visit:
    """One run of a client, by a user of its own."""

    user: str
    code: int
    printed: str
    errors: str


@pytest.fixture(scope="module", params=COMMANDS, ids=lambda client: client.__name__)
def visit(shop: Shop, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Visit:
    client = request.param
    user = next(name for name in (f"noël-{client.__name__}-{n}" for n in range(100)) if is_telling(name))
    process = start(client(tmp_path_factory.mktemp("client")), user, shop.settings.bootstrap_servers)
    printed, errors = process.communicate(timeout=120)
    return Visit(user, process.returncode, printed, errors)


def test_a_shop_prints_the_list_that_answers_its_events(shop: Shop, visit: Visit) -> None:
    assert visit.code == 0, visit.errors
    published = [
        "".join(
            f"{one.item_id} {one.reason.kind} {one.reason.item_id or ''}".strip() + "\n" for one in made.items
        )
        for made in shop.recommendations(visit.user)
    ]
    assert visit.printed in published


def test_a_user_is_on_the_partition_where_java_puts_him(shop: Shop, visit: Visit) -> None:
    """Of a user that librdkafka's own hash, or one that keeps its sign bit, would put elsewhere."""
    sent = [one for one in shop.read("clicks") + shop.read("purchases") if one.key == visit.user.encode()]
    assert [one.partition for one in sent] == 3 * [partition_of(visit.user)]


def test_nothing_that_a_shop_sends_is_refused(shop: Shop, visit: Visit) -> None:
    assert not [one for one in shop.read("dead-letters") if one.key == visit.user.encode()]


def partition_of(user: str) -> int:
    """Where Java's producer puts a key: https://kafka.apache.org/documentation/#producerconfigs."""
    return int(murmur2(user.encode()) & 0x7FFFFFFF) % PARTITIONS


def is_telling(user: str) -> bool:
    key = user.encode()
    others = (zlib.crc32(key) % PARTITIONS, (murmur2(key) & 0xFFFFFFFF) % PARTITIONS)
    return partition_of(user) not in others


def test_without_a_broker_a_shop_fails_with_a_sentence(tmp_path: Path) -> None:
    """All at once: each waits for ten seconds."""
    servers = f"127.0.0.1:{free_port()}"
    processes = [start(client(tmp_path), "ann", servers) for client in COMMANDS]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == len(COMMANDS) * [1], errors
    assert all(f"Kafka at {servers}: " in said for said in errors), errors
