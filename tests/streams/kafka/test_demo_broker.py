"""The demo broker: labelled, on loopback, and never outlives whoever started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from kafka import KafkaProducer

from encoders.errors import BrokerUnavailable
from streams.kafka.connection import kafka_python_options
from streams.kafka.demo_broker import DemoBroker
from streams.settings import KafkaSettings


def answers(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


def wait_until_silent(address: str) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not answers(address):
            return True
        time.sleep(0.05)
    return False


def test_it_takes_messages_on_loopback(demo_broker: DemoBroker) -> None:
    settings = KafkaSettings(bootstrap_servers=demo_broker.bootstrap_servers)
    producer = KafkaProducer(**kafka_python_options(settings))
    assert producer.send("any-topic", b"value", partition=0).get(10).offset == 0
    assert demo_broker.bootstrap_servers.startswith("127.0.0.1:")
    producer.close()


def test_it_is_gone_after_stop() -> None:
    with DemoBroker() as broker:
        assert broker.is_alive()
    assert not answers(broker.bootstrap_servers)


def test_its_death_is_noticed() -> None:
    with DemoBroker() as broker:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
        assert wait_until_silent(broker.bootstrap_servers)
        with pytest.raises(BrokerUnavailable, match="the demo broker has died"):
            broker.check()


def test_it_ends_with_a_parent_that_was_killed() -> None:
    script = (
        "import time; from streams.kafka.demo_broker import DemoBroker\n"
        "print(DemoBroker().start().bootstrap_servers, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        address = parent.stdout.readline().strip()
        parent.kill()
    assert wait_until_silent(address)
