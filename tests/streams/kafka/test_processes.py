"""Signals held back while something must not be torn apart."""

from __future__ import annotations

import signal
import threading

import pytest

from streams.kafka.processes import uninterrupted


@pytest.fixture(autouse=True)
def _interrupts_raise():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_waits_until_the_block_has_ended() -> None:
    reached = []

    def interrupted_within() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            reached.append("end of the block")

    with pytest.raises(KeyboardInterrupt):
        interrupted_within()
    assert reached == ["end of the block"]


def test_the_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_pass_through() -> None:
    passed = []

    def body() -> None:
        with uninterrupted():
            passed.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert passed == [True]
