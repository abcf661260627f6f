"""A shop on real Kafka for tests: a worker, and what a producer, a consumer and a visitor would do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from streams.codec import Rejected
from streams.kafka.group import GroupPosition
from streams.kafka.producer import EventProducer
from streams.kafka.reader import Record, read
from streams.kafka.topics import ensure_topics
from streams.messages import Recommendation
from streams.recommendation_format import read_recommendation
from streams.schema_registry import avro_reader
from streams.settings import CodecSettings, KafkaSettings
from tests.support.workers import RunningWorker, clean_environment

WAIT_SECONDS = 3
"""How long the worker lets an event wait for its item."""


class Shop:
    """A running worker on topics and a store of its own, and what a producer and a consumer would do.

    ``worker``: further settings of its, ``SECTION__NAME=value``.
    """

    def __init__(self, settings: KafkaSettings, model: Path, folder: Path, **worker: object) -> None:
        self.settings = settings
        ensure_topics(settings)
        self.producer = EventProducer(settings)
        self.environment = {
            "KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "KAFKA__TOPIC_PREFIX": settings.topic_prefix,
            "KAFKA__GROUP_ID": settings.group_id,
            "MODEL__PATH": model,
            "MODEL__CACHE": folder / "cache",
            "QDRANT__PATH": folder / "vectors",
            "INPUT__UNKNOWN_ITEM_WAIT_SECONDS": WAIT_SECONDS,
            **worker,
        }
        self.worker = RunningWorker(folder / "worker.log", **self.environment)

    def freshet(self, *arguments: str) -> Any:
        """Run a command with the worker's settings and return the JSON that it prints."""
        command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments]
        environment = clean_environment(**self.environment, HTTP__PORT=self.worker.port)
        return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)

    def settle(self, *topics: str) -> None:
        """Wait until the worker has committed everything that was sent."""
        self.producer.flush()
        deadline = time.monotonic() + 60
        with GroupPosition(self.settings) as group:
            while any(group.lag(topic) for topic in topics):
                assert time.monotonic() < deadline, self.worker.tail()
                time.sleep(0.2)

    def get(self, user: str, **parameters: object) -> list[dict[str, Any]]:
        """The items that ``GET /recommendations/{user}`` answers with."""
        items: list[dict[str, Any]] = self.answer(user, **parameters)["items"]
        return items

    def answer(self, user: str, **parameters: object) -> dict[str, Any]:
        """All of what it answers with."""
        url = f"http://127.0.0.1:{self.worker.port}/recommendations/{user}"
        answer = httpx.get(url, params={name: str(value) for name, value in parameters.items()}, timeout=10.0)
        body: dict[str, Any] = answer.raise_for_status().json()
        return body

    def read(self, topic: str) -> list[Record]:
        """Everything on a topic."""
        return list(read(self.settings, topic))

    def recommendations(self, user: str) -> list[Recommendation]:
        """What was published for a user, in order."""
        url = self.environment.get("CODEC__REGISTRY_URL")
        avro = avro_reader(CodecSettings(registry_url=url)) if isinstance(url, str) else None
        mine = [one.value for one in self.read("recommendations") if one.key == user.encode()]
        read = [read_recommendation(value, avro) for value in mine if value]
        assert not [one for one in read if isinstance(one, Rejected)]
        return [one for one in read if isinstance(one, Recommendation)]

    def dead_letter(self, key: bytes | None, value: bytes | None) -> dict[str, str] | None:
        """The headers of the dead letter with just these bytes."""
        for one in self.read("dead-letters"):
            if (one.key, one.value) == (key, value):
                return {name: text.decode() for name, text in one.headers}
        return None


def wait_for(found: Callable[[], object], seconds: float = 30.0) -> object:
    """Look until something is found; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.3)
    return result
