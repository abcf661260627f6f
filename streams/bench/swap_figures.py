"""What ``freshet bench swap`` prints, made of what was timed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import msgspec

from streams.bench.freshness import percentile_ms


@dataclass(frozen=True, slots=True)
class Moments:
    """When, by the producer's clock in seconds: the first event at a steady rate, release and effect."""

    steady: float
    released: float
    served: float
    """The first list of the new version."""
    rolled_back: float
    back: float
    """The first list of the old version again."""


class SwapFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one run; times from the event's sending to its recommendation's arrival."""

    events: int
    events_lost: int
    events_applied_twice: int
    rate: float
    """Events a second that the producer reached; fewer are asked of it where the worker cannot take more."""
    rate_wanted: float
    capacity: float
    """Events a second that the worker took of a backlog, beside broker and client on the same machine."""
    share_of_capacity: float
    """``rate`` in it: above some 0.9 even small disturbances last, whatever their cause."""
    freshness_before_ms: dict[str, float]
    """``p50``, ``p99``; ``during``: from the release to the first list of the new version; then ``after``."""
    freshness_during_ms: dict[str, float]
    freshness_after_ms: dict[str, float]
    seconds_with_p99_doubled: int
    """Seconds from the release on in which the events sent then had more than twice the p99 of before."""
    swap_seconds: float
    """From publishing the release to the first list of the new version."""
    rollback_seconds: float
    """The same for the release that goes back."""
    parts_seconds: dict[str, float]
    """Of the swap: ``open`` (fetch, verify, load), ``fill``, ``change`` (with all locks waited for)."""
    items_filled: int
    users_reencoded: int
    memory_mb: dict[str, float]
    """Most memory that the worker has had resident ``before`` the swap and until its end (``with_both``)."""
    items: int
    users: int
    broker: str
    seed: int

    def json(self) -> str:
        """One line of JSON."""
        return msgspec.json.encode(self).decode()


class Freshness(NamedTuple):
    """Those fields of the figures that follow from what was timed."""

    freshness_before_ms: dict[str, float]
    freshness_during_ms: dict[str, float]
    freshness_after_ms: dict[str, float]
    seconds_with_p99_doubled: int


def freshness_of(timed: list[tuple[float, float]], moments: Moments) -> Freshness:
    """From (sent at, seconds taken) of each event; the first quarter of the time before is for warming."""
    warm = moments.steady + (moments.released - moments.steady) / 4
    before = between(timed, warm, moments.released)
    limit = 2 * percentile_ms(before, 99)
    return Freshness(
        percentiles(before),
        percentiles(between(timed, moments.released, moments.served)),
        percentiles(between(timed, moments.served, moments.rolled_back)),
        seconds_above(timed, moments.released, moments.rolled_back, limit),
    )


def between(timed: list[tuple[float, float]], start: float, end: float) -> list[float]:
    """Seconds that the events sent from ``start`` until ``end`` took."""
    return [took for at, took in timed if start <= at < end]


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """``p50`` and ``p99`` in milliseconds; empty without a value."""
    values = list(seconds)
    return {f"p{percent}": percentile_ms(values, percent) for percent in (50, 99)} if values else {}


def seconds_above(timed: list[tuple[float, float]], start: float, end: float, limit_ms: float) -> int:
    """Whole seconds between ``start`` and ``end`` whose events had a p99 above ``limit_ms``."""
    edges = [start + second for second in range(int(end - start) + 1)]
    windows = ([took for at, took in timed if low <= at < high] for low, high in pairwise(edges))
    return sum(percentile_ms(window, 99) > limit_ms for window in windows if window)
