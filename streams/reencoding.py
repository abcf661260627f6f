"""A user's history under another model: the vectors that its user tower makes of the same events. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from encoders.events import EventType
from encoders.runtime import ServingModel
from streams.state import FULL_STRENGTH, Applied, UserState, Vector

AT_ONCE = 64
"""Users encoded at a time: bounds the memory of long histories."""


def encode_histories(
    model: ServingModel, vectors: Mapping[str, Vector], users: Sequence[UserState]
) -> tuple[Vector, Vector]:
    """States [n, s] and interests [n, d] after the events in the users' histories.

    Events of items that ``vectors`` (item id -> [d]) lacks are left out; what a history has forgotten, too.
    """
    states = np.zeros((len(users), model.state_dim), np.float32)
    interests = np.zeros((len(users), model.dim), np.float32)
    for start in range(0, len(users), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        known = [[one for one in user.history.events if one.item_id in vectors] for user in users[rows]]
        states[rows], interests[rows] = encode_events(model, vectors, known)
    return states, interests


def encode_events(
    model: ServingModel, vectors: Mapping[str, Vector], histories: Sequence[Sequence[Applied]]
) -> tuple[Vector, Vector]:
    """States [n, s] and interests [n, d] after each of n histories, at least one event among them."""
    width = max(map(len, histories))
    items = np.zeros((len(histories), width, model.dim), np.float32)
    types = np.zeros((len(histories), width), np.int64)
    gaps = np.zeros((len(histories), width), np.float32)
    for row, events in enumerate(histories):
        if not events:
            continue
        strengths = np.array([one.strength for one in events], np.float32) / FULL_STRENGTH
        items[row, : len(events)] = np.stack([vectors[one.item_id] for one in events]) * strengths[:, None]
        types[row, : len(events)] = [one.event_type == EventType.PURCHASE for one in events]
        gaps[row, : len(events)] = list(_gaps(events))
    return model.prefill(items, types, gaps, np.array([len(one) for one in histories], np.int64))


def _gaps(events: Sequence[Applied]) -> Iterator[float]:
    """Seconds since the newest event so far, negative for a late one, 0 for the first."""
    newest = events[0].timestamp_ms
    for one in events:
        yield (one.timestamp_ms - newest) / 1000
        newest = max(newest, one.timestamp_ms)
