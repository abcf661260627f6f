"""What docs/quickstart.md and the shops of docs/clients do, on one Kafka and one worker, both real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka.partitioner.default import murmur2

from streams.kafka.jars import find_jars, find_java
from streams.kafka.local_broker import LocalKafka
from streams.settings import KafkaSettings
from tests.docs.node_modules_cache import node_modules
from tests.docs.pages import Block, blocks
from tests.support.shop import Shop
from tests.support.workers import REPOSITORY, clean_environment, free_port

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

CLIENTS = REPOSITORY / "docs" / "clients"
QUICKSTART = REPOSITORY / "docs" / "quickstart.md"
CATALOGUE = [json.loads(line) for line in (REPOSITORY / "deploy" / "items.example.jsonl").open()]
PREFIX = "docs."
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
        topic_prefix=PREFIX,
        group_id="docs",
        partitions=PARTITIONS,
    )
    shop = Shop(settings, untrained_model, tmp_path_factory.mktemp("docs"))
    yield shop
    shop.producer.close()
    assert shop.worker.stop() == 0, shop.worker.tail()


@pytest.fixture(scope="module")
def said(shop: Shop) -> list[tuple[Block, str]]:
    """Each block that the quickstart marks with ``run``, and what it printed; the sent is waited for.

    Broker, model and worker are those of the suite, in place of the block that starts them.
    """
    return [(block, printed(block, shop)) for block in blocks(QUICKSTART) if block.words[:2] == ("sh", "run")]


def printed(block: Block, shop: Shop) -> str:
    if not all(shutil.which(tool) for tool in block.words[2:]):
        return ""
    text = re.sub(r"(kcat .*?-t )", rf"\1{PREFIX}", block.text)
    text = text.replace("127.0.0.1:9092", shop.settings.bootstrap_servers)
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{shop.worker.port}")
    environment = clean_environment(**shop.environment, HTTP__PORT=shop.worker.port)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = ["bash", "-e", "-o", "pipefail", "-c", text]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{text}\n{done.stderr}"
    shop.settle("items", "clicks", "purchases")
    return done.stdout


def test_the_quickstart_shows_a_list_that_changes(said: list[tuple[Block, str]]) -> None:
    before = next(out for block, out in said if "recommendations/ann?k=5" in block.text)
    after = next(out for block, out in said if "freshet recommend ann" in block.text)
    assert (json.loads(before)["basis"], json.loads(before)["items"]) == ("trending", [])
    assert re.findall(r"tea-cups|black-tea", after.split("tent")[0])


def test_the_quickstart_answers_over_http(said: list[tuple[Block, str]]) -> None:
    lines = next(out for block, out in said if "data-urlencode" in block.text)
    narrowed, session = json.loads("[" + lines.replace("}{", "},{") + "]")
    prices = {one["item_id"]: one["price"] for one in CATALOGUE}
    assert max(prices[one["item_id"]] for one in narrowed["items"]) <= 30
    assert len(session["items"]) == 3


def test_the_quickstart_reads_with_kcat_what_kcat_has_sent(said: list[tuple[Block, str]]) -> None:
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not on PATH: install the package kcat (Debian, Ubuntu)")
    read = next(out for block, out in said if "kcat -C" in block.text)
    lists = [json.loads(line.partition(" ")[2]) for line in read.splitlines() if line.startswith("ben ")]
    assert lists[-1]["trigger"]["event_id"] in {"ben-1", "ben-2", "ben-3"}


def start(command: list[str], user: str, servers: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "FRESHET_KAFKA__BOOTSTRAP_SERVERS": servers,
        "FRESHET_KAFKA__TOPIC_PREFIX": PREFIX,
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
def visit(
    shop: Shop, said: object, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Visit:
    # After the quickstart, which sends the catalogue.
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
