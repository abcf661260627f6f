"""A real Apache Kafka on this machine: one process that is broker and KRaft controller, on loopback only.

For development, the test suite and benchmarks. Its data live in a folder and outlive it::

    DATA_DIR/data               Kafka's logs
    DATA_DIR/server.properties  written at every start
    DATA_DIR/broker.log         Kafka's own log; broker.out holds what the JVM says
"""

from __future__ import annotations

import base64
import fcntl
import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from encoders.errors import BrokerError, BrokerUnavailable
from streams.kafka.connection import open_admin
from streams.kafka.jars import find_jars, find_java
from streams.kafka.processes import check_free, end, take_ports
from streams.settings import KafkaSettings

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
HEAP = "512m"
LOG_CONFIG = Path(__file__).with_name("log4j2.properties")

# One node: nothing can be replicated, and a group need not wait for members that are still starting.
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "CLIENT",
    "controller.listener.names": "CONTROLLER",
    "num.partitions": "4",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "100",
    "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
    # How long a killed broker's successor waits for the name; the default is 9 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # A topic that nobody declared is a misspelt name.
    "auto.create.topics.enable": "false",
}


@dataclass(frozen=True)
class Listener:
    """A further port of the broker with its own security: ``name`` in capitals, ``port`` 0 takes a free one.

    ``properties`` are put below ``listener.name.<name>.``, so that they are this listener's alone.
    """

    name: str
    protocol: str
    port: int = 0
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)


class LocalKafka:
    """Apache Kafka with its data in ``data_dir``; a context manager. Port 0 takes a free one and keeps it."""

    def __init__(self, data_dir: Path, port: int = 0, listeners: tuple[Listener, ...] = ()) -> None:
        self.data_dir = data_dir.absolute()
        self._listeners = (Listener("CLIENT", "PLAINTEXT", port), *listeners)
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """``HOST:PORT`` of the listener without security; known after the first start."""
        return self.address("CLIENT")

    @property
    def pid(self) -> int | None:
        """Process id of the JVM; ``None`` before the start."""
        return self._process.pid if self._process else None

    def address(self, listener: str) -> str:
        """``HOST:PORT`` of a listener by name; known after the first start."""
        return f"{HOST}:{self._ports[listener]}"

    def start(self, timeout: float = START_SECONDS) -> Self:
        """Start Kafka and return when it answers, within ``timeout`` seconds.

        Raises ``BrokerError``: no JDK, no jars, a port in use, or Kafka's own last words where it died.
        """
        java, jars = find_java(), find_jars()
        command = [
            java,
            f"-Xmx{HEAP}",
            f"-Dfreshet.log={self._log}",
            f"-Dlog4j2.configurationFile={LOG_CONFIG}",
        ]
        command += ["-cp", f"{jars}/*"]
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BrokerError(f"Kafka cannot use the folder {self.data_dir}: {error.strerror}") from None
        with self._own_folder() as lock:
            self._choose_ports()
            self._write_properties()
            self._format(command)
            self._process = self._spawn([*command, "kafka.Kafka", str(self._properties)], lock)
        try:
            self._wait_until_it_answers(self._process, time.monotonic() + timeout)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop in order, so that the next start need not recover; harmless where it has ended already."""
        if self._process is not None:
            end(self._process, STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL, as a crash would; for tests of what survives it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> Self:
        """Stop in order and start on the same data and ports."""
        self.stop()
        return self.start()

    def is_alive(self) -> bool:
        """Whether Kafka's process runs."""
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raise ``BrokerUnavailable`` with Kafka's last words where it has died."""
        if not self.is_alive():
            raise BrokerUnavailable(f"the local Kafka has died: {self._last_words()}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def _properties(self) -> Path:
        return self.data_dir / "server.properties"

    @property
    def _log(self) -> Path:
        return self.data_dir / "broker.log"

    @property
    def _out(self) -> Path:
        return self.data_dir / "broker.out"

    def _write_properties(self) -> None:
        controller = f"{HOST}:{self._ports['CONTROLLER']}"
        protocols = {listener.name: listener.protocol for listener in self._listeners}
        clients = [f"{name}://{self.address(name)}" for name in protocols]
        lines = PROPERTIES | {
            "log.dirs": str(self.data_dir / "data"),
            "controller.quorum.voters": f"1@{controller}",
            "listeners": ",".join([*clients, f"CONTROLLER://{controller}"]),
            "advertised.listeners": ",".join(clients),
            "listener.security.protocol.map": _pairs(protocols | {"CONTROLLER": "PLAINTEXT"}),
        }
        for listener in self._listeners:
            for key, value in listener.properties.items():
                lines[f"listener.name.{listener.name.lower()}.{key}"] = value
        # May hold passwords of a listener: for this user alone.
        self._properties.touch(mode=0o600)
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))

    def _format(self, command: list[str]) -> None:
        """Give the data folder its cluster id, once."""
        if (self.data_dir / "data" / "meta.properties").exists():
            return
        tool = [*command, "kafka.tools.StorageTool", "format", "--config", str(self._properties)]
        done = subprocess.run(
            [*tool, f"--cluster-id={_new_cluster_id()}"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise BrokerError(f"Kafka cannot use the folder {self.data_dir}: {said[-1] if said else ''}")

    @contextmanager
    def _own_folder(self) -> Iterator[int]:
        """Lock the folder; the JVM inherits the lock, which so lasts exactly as long as the JVM.

        Kafka's own lock comes too late: a second one has written into the first one's metadata by then.
        """
        lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield lock
        except BlockingIOError:
            raise BrokerError(
                f"another Kafka uses {self.data_dir}: stop it, or choose another folder with --data-dir"
            ) from None
        finally:
            os.close(lock)

    def _choose_ports(self) -> None:
        if not self._ports:
            wanted = {listener.name: listener.port for listener in self._listeners}
            self._ports = take_ports(HOST, wanted | {"CONTROLLER": 0})
        for port in self._ports.values():
            check_free(HOST, port)

    def _spawn(self, command: list[str], lock: int) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal is for us, who then stop Kafka in order.
        with self._out.open("wb") as out:
            return subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, pass_fds=[lock]
            )

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        settings = KafkaSettings(bootstrap_servers=self.bootstrap_servers)
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BrokerError(f"Kafka died at its start: {self._last_words()}")
            try:
                with open_admin(settings, timeout=2.0) as admin:
                    admin.describe_cluster()
                return
            except BrokerUnavailable:
                time.sleep(0.1)
        raise BrokerError(f"Kafka did not answer in time: {self._last_words()}")

    def _last_words(self) -> str:
        """The last line that tells of an error, in Kafka's log or on the JVM's output; else the last line."""
        lines = [line for path in (self._out, self._log) for line in _tail(path)]
        telling = [line for line in lines if "ERROR" in line or "FATAL" in line or "Exception" in line]
        return f"{(telling or lines or ['it said nothing'])[-1]} (more in {self._log})"


def _new_cluster_id() -> str:
    """16 random bytes in URL-safe base64, as Kafka writes its ids; its own tool would cost a JVM's start."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _pairs(mapping: Mapping[str, str]) -> str:
    return ",".join(f"{key}:{value}" for key, value in mapping.items())


def _tail(path: Path, size: int = 65_536) -> list[str]:
    if not path.exists():
        return []
    text = path.read_bytes()[-size:].decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]
