"""Freshness as a shop sees it: from sending an event to receiving the recommendation it led to. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Sent(NamedTuple):
    """An event that was sent ``at`` (seconds, any clock that both sides share)."""

    user_id: str
    event_id: str
    at: float


class Arrived(NamedTuple):
    """A recommendation that was received ``at``; it names the last event that it takes in."""

    user_id: str
    trigger_id: str
    at: float
    version: str = ""
    """Of the model that made it."""


def freshness(sent: Iterable[Sent], arrived: Iterable[Arrived]) -> dict[str, float]:
    """Event id -> seconds until its recommendation; an event without one is left out.

    An event is answered by the recommendation that names it. Where a batch held several events of a user, one
    recommendation answers all of them and names the last: so an event that none names is answered by the
    first that names a later event of its user.
    """
    answers: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for one in arrived:
        answers[one.user_id].setdefault(one.trigger_id, one.at)
    by_user: defaultdict[str, list[Sent]] = defaultdict(list)
    for event in sent:
        by_user[event.user_id].append(event)
    taken: dict[str, float] = {}
    for user_id, events in by_user.items():
        following = float("inf")
        for event in reversed(events):
            own = answers[user_id].get(event.event_id)
            following = min(following, own) if own is not None else following
            answered_at = following if own is None else own
            if answered_at != float("inf"):
                taken[event.event_id] = answered_at - event.at
    return taken


def percentile_ms(seconds: Iterable[float], percent: float) -> float:
    """The percentile in milliseconds, interpolated; needs at least one value."""
    return round(float(np.percentile(np.fromiter(seconds, np.float64), percent)) * 1000, 1)
