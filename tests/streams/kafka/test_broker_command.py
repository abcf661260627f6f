"""``freshet broker`` as a process: prints its address, ends in order, and says what is wrong in one line."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from encoders.errors import SettingsError
from streams.kafka.topics import TOPICS, ensure_topics
from streams.settings import KafkaSettings

FRESHET = [sys.executable, "-c", "from streams.cli import main; main()", "broker"]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    process = subprocess.Popen([*FRESHET, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip(), process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_broker_says_what_it_is_and_ends_in_order(number: signal.Signals) -> None:
    with running("--demo") as (process, label, address):
        assert label == "demo broker, not durable"
        assert len(ensure_topics(KafkaSettings(bootstrap_servers=address))) == len(TOPICS)
        process.send_signal(number)
        assert process.wait(10) == 0


@pytest.mark.kafka
def test_kafka_answers_when_its_address_is_printed_and_ends_in_order(
    kafka_installed: None, tmp_path: Path
) -> None:
    with running("--kafka", "--port", "0", "--data-dir", str(tmp_path)) as (process, label, address):
        assert label.startswith("Apache Kafka 4.")
        assert len(ensure_topics(KafkaSettings(bootstrap_servers=address))) == len(TOPICS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    assert "shut down completed" in (tmp_path / "broker.log").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "choose one"),
        (("--demo", "--port", "9092"), "the demo broker picks its own port"),
        (("--demo", "--data-dir", "x"), "the demo broker keeps nothing"),
    ],
)
def test_options_that_cannot_be_kept_are_refused(arguments: tuple[str, ...], message: str) -> None:
    done = subprocess.run([*FRESHET, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == SettingsError.exit_code
    assert done.stderr.startswith("freshet: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
