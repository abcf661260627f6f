"""A Kafka broker that needs pip alone: the mock cluster inside librdkafka, for the demo and quick tests.

It lives in threads of the process that holds its handle, and nothing survives that process: 4 partitions a
topic, made when first asked for; 5 MiB or 100,000 messages kept a partition; no compaction. It listens on
127.0.0.1, on a port that it picks itself.
"""

from __future__ import annotations

import subprocess
import sys
from threading import Event, Thread
from typing import Any, Self

from encoders.errors import BrokerError, BrokerUnavailable
from streams.kafka.processes import end, stop_signals

LABEL = "demo broker, not durable"
START_SECONDS = 20.0


def serve(*, until_stdin_ends: bool = False) -> None:
    """Run a demo broker in this process until SIGINT or SIGTERM; prints what it is, then its ``HOST:PORT``.

    With ``until_stdin_ends`` it also ends with its standard input, which the system closes when the process
    at the other end dies, however it dies. Raises ``BrokerError`` where the mock cannot start.
    """
    with stop_signals() as stopped:
        _handle, address = start_mock()
        print(f"{LABEL}\n{address}", flush=True)
        if until_stdin_ends:
            Thread(target=_set_at_end_of_stdin, args=(stopped,), daemon=True).start()
        stopped.wait()


def start_mock() -> tuple[Any, str]:
    """Start the mock cluster in this process: the handle that keeps it alive, and its ``HOST:PORT``.

    Raises ``BrokerError`` where ``confluent-kafka`` is not installed or its mock does not start.
    """
    try:
        from confluent_kafka import KafkaException, Producer
    except ImportError:
        raise BrokerError("the demo broker needs confluent-kafka: pip install 'freshet[demo]'") from None
    try:
        handle = Producer({"test.mock.num.brokers": 1, "log_level": 3})
        (broker,) = handle.list_topics(timeout=START_SECONDS).brokers.values()
    except KafkaException as error:
        raise BrokerError(f"the demo broker did not start: {error}") from None
    return handle, f"{broker.host}:{broker.port}"


class DemoBroker:
    """A demo broker in a child process; a context manager. The child never outlives this process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._address = ""

    @property
    def bootstrap_servers(self) -> str:
        """``HOST:PORT``; empty before the start."""
        return self._address

    @property
    def pid(self) -> int | None:
        """Process id of the broker; ``None`` before the start."""
        return self._process.pid if self._process else None

    def start(self) -> Self:
        """Start the broker and return when it answers; ``BrokerError`` with its last words where it dies."""
        # A session of its own: Ctrl-C in the terminal is for us, who then stop the broker in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "streams.kafka.demo_broker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._address = self._read_address(self._process)
        return self

    def stop(self) -> None:
        """End the broker and everything in it; harmless where it has ended already."""
        if self._process is None:
            return
        end(self._process, grace_seconds=5.0)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def is_alive(self) -> bool:
        """Whether the broker's process runs."""
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raise ``BrokerUnavailable`` where the broker has died: what it held is gone."""
        if not self.is_alive():
            raise BrokerUnavailable("the demo broker has died, and its messages with it: start again")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _read_address(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        address = process.stdout.readline().strip()
        if first == LABEL and address:
            return address
        self.stop()
        raise BrokerError(first or "the demo broker died at its start")


def _set_at_end_of_stdin(stopped: Event) -> None:
    sys.stdin.read()
    stopped.set()


if __name__ == "__main__":
    try:
        serve(until_stdin_ends=True)
    except BrokerError as error:
        print(error)
        sys.exit(error.exit_code)
