"""The real Kafka on this machine: starts, stops, survives, and says why when it cannot."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from encoders.errors import BrokerError, BrokerUnavailable
from streams.kafka import jars
from streams.kafka.connection import kafka_python_options, open_admin
from streams.kafka.local_broker import LocalKafka
from streams.settings import KafkaSettings

TOPIC = TopicPartition("kept", 0)


@pytest.fixture(scope="module")
def own_kafka(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path_factory.mktemp("own-kafka")) as broker:
        with open_admin(KafkaSettings(bootstrap_servers=broker.bootstrap_servers)) as admin:
            admin.create_topics({TOPIC.topic: {"num_partitions": 1, "replication_factor": 1}})
        yield broker


def options(broker: LocalKafka) -> dict[str, object]:
    return kafka_python_options(KafkaSettings(bootstrap_servers=broker.bootstrap_servers))


def send(broker: LocalKafka, value: bytes) -> None:
    producer = KafkaProducer(**options(broker))
    producer.send(TOPIC.topic, value).get(10)
    producer.close()


def last_value(broker: LocalKafka) -> bytes:
    consumer = KafkaConsumer(**options(broker))
    consumer.assign([TOPIC])
    consumer.seek(TOPIC, consumer.end_offsets([TOPIC])[TOPIC] - 1)
    records = consumer.poll(10_000)
    consumer.close()
    return bytes(records[TOPIC][-1].value)


@pytest.mark.kafka
def test_messages_survive_a_restart_at_the_same_address(own_kafka: LocalKafka) -> None:
    send(own_kafka, b"before the restart")
    address = own_kafka.bootstrap_servers
    assert own_kafka.restart().bootstrap_servers == address
    assert last_value(own_kafka) == b"before the restart"


@pytest.mark.kafka
def test_a_kill_is_noticed_and_messages_survive_it(own_kafka: LocalKafka) -> None:
    send(own_kafka, b"before the kill")
    own_kafka.kill()
    with pytest.raises(BrokerUnavailable, match="the local Kafka has died"):
        own_kafka.check()
    own_kafka.start()
    assert last_value(own_kafka) == b"before the kill"


@pytest.mark.kafka
def test_a_folder_in_use_by_another_kafka_is_named(own_kafka: LocalKafka) -> None:
    with pytest.raises(BrokerError, match=f"another Kafka uses {own_kafka.data_dir}"):
        LocalKafka(own_kafka.data_dir).start()


@pytest.mark.kafka
def test_a_port_in_use_is_named(kafka_installed: None, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} is in use"):
            LocalKafka(tmp_path, port).start()


@pytest.mark.kafka
def test_a_folder_that_cannot_be_made_is_named(kafka_installed: None, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BrokerError, match=f"cannot use the folder {tmp_path / 'file' / 'data'}"):
        LocalKafka(tmp_path / "file" / "data").start()


@pytest.mark.kafka
def test_it_listens_on_loopback_only(own_kafka: LocalKafka) -> None:
    properties = (own_kafka.data_dir / "server.properties").read_text().splitlines()
    listeners = next(line for line in properties if line.startswith("listeners="))
    assert listeners.count("://") == listeners.count("://127.0.0.1:") == 2


def test_no_java_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BrokerError, match="needs JDK 17 or newer"):
        jars.find_java()


def test_an_old_java_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_412\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BrokerError, match="found version 8 at"):
        jars.find_java()


def test_no_maven_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FRESHET_KAFKA_JARS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="needs Maven once"):
        jars.find_jars()


def test_maven_s_failure_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] Could not resolve it'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("FRESHET_KAFKA_JARS", str(tmp_path / "jars"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(BrokerError, match="Could not resolve it"):
        jars.find_jars()


def test_a_named_folder_of_jars_needs_no_maven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kafka_2.13-4.3.1.jar").touch()
    monkeypatch.setenv("FRESHET_KAFKA_JARS", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert jars.find_jars() == tmp_path
