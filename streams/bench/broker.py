"""The broker that a benchmark runs on: the real Kafka where it can run here, else the demo broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from encoders.errors import BrokerError, SettingsError
from streams.kafka.demo_broker import LABEL, DemoBroker
from streams.kafka.jars import find_java, has_kafka, jars_folder, kafka_version
from streams.kafka.local_broker import LocalKafka

Kind = Literal["auto", "kafka", "demo"]

DEMO_EVENTS = 80_000
"""More would outgrow the 5 MiB that the demo broker keeps of a partition, and be lost unread."""


@contextmanager
def open_broker(kind: Kind, data_dir: Path, events: int) -> Iterator[tuple[str, str]]:
    """Start a broker for ``events`` events; gives what it is and its ``HOST:PORT``, and stops it at the end.

    Raises ``BrokerError`` where it cannot start and ``SettingsError`` where the events do not fit.
    """
    if kind == "kafka" or (kind == "auto" and kafka_is_here()):
        with LocalKafka(data_dir) as kafka:
            yield f"Apache Kafka {kafka_version()}", kafka.bootstrap_servers
        return
    if events > DEMO_EVENTS:
        raise SettingsError(
            f"{events} events do not fit into the demo broker, which keeps {DEMO_EVENTS}: lower --events,"
            " or choose --broker kafka"
        )
    with DemoBroker() as demo:
        yield LABEL, demo.bootstrap_servers


def kafka_is_here() -> bool:
    """Whether a JDK and Kafka's jars are on this machine; nothing is fetched to find out."""
    try:
        find_java()
    except BrokerError:
        return False
    return has_kafka(jars_folder())
