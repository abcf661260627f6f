"""What a batch of events adds to evidence, from arrays: the same as the worker's messages add one by one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from encoders.covisitation import CovisitationConfig
from encoders.evaluation.streaming import UserHistories
from encoders.evaluation.timeline import Events
from encoders.events import EventType
from encoders.evidence import Counted, Doubles, Entries
from encoders.features import Integers


def counted(events: Events, histories: UserHistories, config: CovisitationConfig) -> Counted:
    """What events [e] count for their items; ``histories`` do not have them yet."""
    strengths = _strengths(config)[events.event_types]
    before = {user: histories.length(user) for user in set(events.users.tolist())}
    places = np.array([before[user] for user in events.users.tolist()]) + turns(events.users)
    purchases = events.event_types == EventType.PURCHASE
    return Counted(events.items, strengths, events.seconds, strengths * purchases, places)


def entries_of(events: Events, histories: UserHistories, config: CovisitationConfig) -> Entries:
    """All pairs of new events [e] with what came before them, as ``covisitation.pairs_of`` weighs them.

    ``histories`` do not have the events yet.
    """
    tails = [histories.newest(user, config.window) for user in np.unique(events.users).tolist()]
    users = np.concatenate([*(tail.users for tail in tails), events.users])
    order = np.argsort(users, kind="stable")  # tails first: each user's events in time order
    items = np.concatenate([*(tail.items for tail in tails), events.items])[order]
    types = np.concatenate([*(tail.event_types for tail in tails), events.event_types])[order]
    seconds = np.concatenate([*(tail.seconds for tail in tails), events.seconds])[order]
    users, fresh = users[order], order >= len(users) - len(events)
    strength = np.sqrt(_strengths(config)[types])
    found: list[tuple[npt.NDArray[np.float64], ...]] = []
    for distance in range(1, min(config.window, len(users) - 1) + 1):
        old, new = np.arange(len(users) - distance), np.arange(distance, len(users))
        kept = (users[old] == users[new]) & (items[old] != items[new]) & fresh[new]
        old, new = old[kept], new[kept]
        gaps = seconds[new] - seconds[old]
        weight = strength[old] * strength[new] * config.distance_decay ** (distance - 1)
        weight = weight * 2.0 ** (-gaps / config.pair_half_life_seconds)
        back, at = weight * config.backward, seconds[new]
        found += [(items[old], items[new], weight, back, at), (items[new], items[old], back, weight, at)]
    if not found:
        return Entries(*(np.zeros(0, np.int64),) * 2, *(np.zeros(0),) * 3)
    rows, neighbours, weights, received, at = (np.concatenate(parts) for parts in zip(*found))
    real = weights > 0
    return Entries(
        rows[real].astype(np.int64),
        neighbours[real].astype(np.int64),
        weights[real],
        received[real],
        at[real],
    )


def turns(users: Integers) -> Integers:
    """Which of its user's events each one is, from 0: [e]."""
    order = np.argsort(users, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(users[order]) != 0])
    found = np.empty(len(users), np.int64)
    found[order] = np.arange(len(users)) - np.repeat(starts, np.diff(np.r_[starts, len(users)]))
    return found


def _strengths(config: CovisitationConfig) -> Doubles:
    return np.array([config.strength(kind) for kind in EventType])
