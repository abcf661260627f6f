"""Loading beside a worker: how long it rests, and what it counts as work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace

import pytest

from encoders.errors import ReleaseRefused
from exporters.vector_store import ItemRecord
from streams.releases.filling import fill_items
from streams.releases.loading import Pace

WAIT_SECONDS = 0.02


class Waits(Event):
    """How long it was waited for, without the waiting."""

    def __init__(self, abandoned: bool = False) -> None:
        super().__init__()
        self.abandoned, self.seconds = abandoned, list[float | None]()

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return self.abandoned


class Waiting:
    """A store whose pages cost no processor: each has to wait for somebody else."""

    def copy_items(self, *_: object) -> Iterator[list[ItemRecord]]:
        for _ in range(3):
            time.sleep(WAIT_SECONDS)
            yield []


def test_who_works_a_quarter_of_the_time_rests_three_times_as_long() -> None:
    waits = Waits()
    Pace(0.25, waits).look(2.0)
    assert waits.seconds == [6.0]


def test_who_may_work_all_the_time_does_not_rest() -> None:
    waits = Waits()
    Pace(1.0, waits).look(2.0)
    assert waits.seconds == [0.0]


def test_what_is_abandoned_is_given_up_at_the_next_look() -> None:
    with pytest.raises(ReleaseRefused, match="newer release"):
        Pace(0.25, Waits(abandoned=True)).look()


def test_a_page_that_had_to_wait_counts_as_work() -> None:
    told: list[float] = []
    generation = SimpleNamespace(
        names=None, model=SimpleNamespace(item_vectors=None), replica=SimpleNamespace(add=len)
    )
    fill_items(Waiting(), None, generation, told.append)  # type: ignore[arg-type]
    assert len(told) == 3
    assert min(told) >= 0.9 * WAIT_SECONDS
