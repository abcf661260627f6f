"""Locks by name."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from exporters.named_locks import NamedLocks

THREADS = 8


def test_a_name_has_one_lock_and_another_name_another():
    locks = NamedLocks()
    assert locks["a"] is locks["a"]
    assert locks["a"] is not locks["b"]


@pytest.fixture
def impatient():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient")
def test_threads_that_ask_first_at_one_time_get_the_same():
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(1_000):
            locks, start = NamedLocks(), Barrier(THREADS)

            def ask(locks: NamedLocks = locks, start: Barrier = start) -> int:
                start.wait()
                return id(locks["users"])

            assert len({one.result() for one in [pool.submit(ask) for _ in range(THREADS)]}) == 1
