"""Child processes, stop signals and ports, for the local brokers."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any

from encoders.errors import BrokerError


@contextmanager
def stop_signals() -> Iterator[Event]:
    """Give an event that SIGINT and SIGTERM set; earlier handlers come back afterwards. Main thread only."""
    stopped = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block ends: a process must not start without anyone knowing it.

    Outside the main thread, where no signal is handled, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, _: held.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if held:
        signal.raise_signal(signal.Signals(held[0]))


def end(process: subprocess.Popen[Any], grace_seconds: float) -> None:
    """SIGTERM, then SIGKILL where that was not enough within ``grace_seconds``; reaps the process."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def take_ports(host: str, wanted: Mapping[str, int]) -> dict[str, int]:
    """A port for each name, a free one where 0 is wanted; all different."""
    # All sockets stay open until all ports are chosen, or one could be chosen twice.
    sockets = {name: socket.socket() for name, port in wanted.items() if port == 0}
    try:
        for each in sockets.values():
            each.bind((host, 0))
        return dict(wanted) | {name: each.getsockname()[1] for name, each in sockets.items()}
    finally:
        for each in sockets.values():
            each.close()


def check_free(host: str, port: int) -> None:
    """Raise ``BrokerError`` where something listens on the port."""
    with socket.socket() as probe:
        # As Kafka does: connections of an earlier run that are still closing are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise BrokerError(
                f"port {port} is in use: stop what listens on {host}:{port} (another Kafka?), or choose"
                " another with --port"
            ) from None
