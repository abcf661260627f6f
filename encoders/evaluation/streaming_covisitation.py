"""Item co-visitation that counts on while it replays: ``encoders/covisitation.py``, kept whole in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from encoders.covisitation import CovisitationConfig
from encoders.errors import DataError
from encoders.evaluation.streaming import TYPE_WEIGHTS, StreamingMethod, weighted_items
from encoders.evaluation.timeline import Basket, Events, Floats, Integers, Mask

MAX_ITEMS = 20_000
"""All pairs of items are held as one array of 4 bytes each: 1.6 GB."""
_HEADROOM = 2.0**40
"""Growth of new weights at which all weights are scaled back."""

_BLOCK = 2_000_000
"""Pairs looked at at a time."""

Pairs = tuple[Integers, Integers, Floats, Floats]
"""sources, neighbours, weights, seconds of the newer event: [p] each."""


class StreamingCovisitation(StreamingMethod):
    """Decayed sum over the newest events of what their neighbours weigh, weighted_items when it is read."""

    name = "covisitation"

    def __init__(
        self,
        window: int = 10,
        exponent: float = 0.25,
        decay: float = 0.8,
        length: int = 20,
        age_days: float = 90.0,
    ) -> None:
        """``window`` .. ``age_days`` as in ``CovisitationConfig``; ``decay`` of the ``length`` newest events
        of the asking user, each step.
        """
        self._config = CovisitationConfig(
            window=window,
            exponent=exponent,
            age_half_life_seconds=age_days * 86_400.0,
            type_weights=tuple(TYPE_WEIGHTS.tolist()),
        )
        self._decay, self._length = decay, length

    def _start(self, past: Events) -> None:
        n = self._stage.n_items
        if n > MAX_ITEMS:
            raise DataError(f"co-visitation here holds at most {MAX_ITEMS:,} items, this set has {n:,}")
        self._weights: npt.NDArray[np.float32] = np.zeros((n, n), dtype=np.float32)
        self._totals = np.zeros(n)
        # Forward decay (Cormode et al., ICDE 2009): new weights grow instead of old ones shrinking.
        self._zero = float(past.seconds[-1]) if len(past) else 0.0
        order = np.argsort(past.users, kind="stable")
        self._add(pairs_in(_at(past, order), np.ones(len(past), dtype=np.bool_), self._config))

    def _learn(self, baskets: Sequence[Basket]) -> None:
        parts, fresh = [], []
        for basket in baskets:
            before = self._histories.newest(basket.user, self._config.window)
            t = len(basket.items)
            parts += [before, _events(basket)]
            fresh += [np.zeros(len(before), dtype=np.bool_), np.ones(t, dtype=np.bool_)]
        self._add(pairs_in(_joined(parts), np.concatenate(fresh), self._config))

    def _add(self, pairs: Pairs) -> None:
        sources, neighbours, weights, seconds = pairs
        if not len(weights):
            return
        growth = 2.0 ** ((float(seconds.max()) - self._zero) / self._config.age_half_life_seconds)
        if growth > _HEADROOM:
            self._weights /= growth
            self._totals /= growth
            self._zero = float(seconds.max())
        grown = weights * 2.0 ** ((seconds - self._zero) / self._config.age_half_life_seconds)
        np.add.at(self._weights, (sources, neighbours), grown.astype(np.float32))
        np.add.at(self._totals, neighbours, grown)

    def _scores(self, users: Integers, seconds: Floats) -> Floats:
        scale = np.where(self._totals > 0, np.maximum(self._totals, 1e-30) ** -self._config.exponent, 0.0)
        scores = np.zeros((len(users), self._stage.n_items))
        for row, user in enumerate(users.tolist()):
            items, weights = weighted_items(self._histories.newest(user, self._length), self._decay)
            scores[row] = ((weights * scale[items]) @ self._weights[items]) * scale
        return scores


def pairs_in(events: Events, fresh: Mask, config: CovisitationConfig) -> Pairs:
    """All pairs that the ``fresh`` [e] of the events add, as ``pairs_of`` finds them one event at a time.

    Events of a user stand together, oldest first.
    """
    strength = np.sqrt(TYPE_WEIGHTS[events.event_types])
    distances = np.arange(1, config.window + 1)
    blocks = np.array_split(distances, 1 + config.window * len(events) // _BLOCK)
    found = [_pairs(events, fresh, strength, block[:, None], config) for block in blocks]
    sources, neighbours, weights, seconds = (np.concatenate(parts) for parts in zip(*found))
    return sources, neighbours, weights, seconds


def _pairs(
    events: Events, fresh: Mask, strength: Floats, distances: Integers, config: CovisitationConfig
) -> Pairs:
    """Pairs of events that stand ``distances`` [w, 1] apart."""
    new = np.broadcast_to(np.arange(len(events)), (len(distances), len(events)))
    old = np.maximum(new - distances, 0)
    kept = (new >= distances) & fresh & (events.users[old] == events.users)
    kept &= events.items[old] != events.items
    apart = np.broadcast_to(distances, kept.shape)[kept]
    old, new = old[kept], new[kept]
    weights = strength[old] * strength[new] * config.distance_decay ** (apart - 1)
    weights = weights * 2.0 ** ((events.seconds[old] - events.seconds[new]) / config.pair_half_life_seconds)
    first, second, at = events.items[old], events.items[new], events.seconds[new]
    return (
        np.r_[first, second],
        np.r_[second, first],
        np.r_[weights, weights * config.backward],
        np.r_[at, at],
    )


def _events(basket: Basket) -> Events:
    t = len(basket.items)
    return Events(np.full(t, basket.user), basket.items, basket.event_types, np.full(t, basket.seconds))


def _at(events: Events, rows: Integers) -> Events:
    return Events(events.users[rows], events.items[rows], events.event_types[rows], events.seconds[rows])


def _joined(parts: Sequence[Events]) -> Events:
    return Events(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.event_types for part in parts]),
        np.concatenate([part.seconds for part in parts]),
    )
