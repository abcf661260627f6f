"""The benchmark's load: seeded, skewed as it says, and readable by the worker."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.events import EventType, Interaction
from streams.bench.events import PURCHASE_SHARE, USER_EXPONENT, Event, item_id, make_events, user_id, zipf
from streams.codec import Limits, decode_interaction

START_MS = 1_750_000_000_000


def events(count: int, seed: int = 0) -> list[Event]:
    return list(make_events(count, items=30, users=20, seed=seed, start_ms=START_MS))


def decoded(event: Event) -> Interaction:
    kind = EventType.PURCHASE if event.topic == "purchases" else EventType.CLICK
    read = decode_interaction(kind, event.user_id.encode(), event.value, START_MS + 10**6, Limits())
    assert isinstance(read, Interaction), read
    return read


def test_the_same_seed_makes_the_same_events() -> None:
    assert events(50) == events(50)


def test_another_seed_makes_other_events() -> None:
    assert events(50) != events(50, seed=1)


def test_the_worker_reads_every_event_as_it_was_meant() -> None:
    for event in events(200):
        read = decoded(event)
        assert (read.user_id, read.event_id) == (event.user_id, event.event_id)


def test_no_event_id_comes_twice() -> None:
    assert len({event.event_id for event in events(1_000)}) == 1_000


def test_users_and_items_stay_within_their_numbers() -> None:
    read = [decoded(event) for event in events(500)]
    assert {one.user_id for one in read} <= {user_id(n) for n in range(20)}
    assert {one.item_id for one in read} <= {item_id(n) for n in range(30)}


def test_time_never_runs_backwards() -> None:
    times = [decoded(event).timestamp_ms for event in events(500)]
    assert times[0] >= START_MS
    assert times == sorted(times)


def test_about_a_tenth_are_purchases() -> None:
    n = 5_000
    bought = sum(event.topic == "purchases" for event in events(n))
    deviation = np.sqrt(n * PURCHASE_SHARE * (1 - PURCHASE_SHARE))
    assert abs(bought - n * PURCHASE_SHARE) < 4 * deviation


@pytest.mark.parametrize("exponent", [USER_EXPONENT, 1.0])
def test_ranks_come_as_often_as_zipf_says(exponent: float) -> None:
    size, n = 200_000, 8
    counts = np.bincount(zipf(np.random.default_rng(0), n, exponent, size), minlength=n)
    weights = np.array([rank**-exponent for rank in range(1, n + 1)])
    np.testing.assert_allclose(counts / size, weights / weights.sum(), atol=4 * np.sqrt(0.25 / size))
