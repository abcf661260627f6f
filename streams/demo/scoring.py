"""How good recommendations are while they are made: test, then learn.

The protocol is progressive validation (A. P. Dawid, Statistical theory: the prequential approach, 1984): an
event is scored against what was recommended *before* it, and only then counts as known.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice

import numpy as np

from encoders.events import Interaction

HALF_LIFE_DAYS = 7.0

DAY_MS = 86_400_000


class DecayedPopularity:
    """The most popular items by exponentially decayed counts.

    Forward decay (Cormode et al., Forward Decay, ICDE 2009): an event at time t weighs 2 ** (t / half-life),
    so counts only ever grow and the order of two items changes only by an event. They are kept as base-2
    logarithms, which cannot overflow. An update costs one binary search.
    """

    def __init__(self, half_life_days: float = HALF_LIFE_DAYS) -> None:
        self._half_life_ms = half_life_days * DAY_MS
        self._log_counts: dict[str, float] = {}
        # Ascending by (-log count, item): the most popular first, ties in the order of their ids.
        self._ranking: list[tuple[float, str]] = []

    def add(self, item_id: str, timestamp_ms: int) -> None:
        """Count one event at ``timestamp_ms`` (milliseconds since 1970-01-01 UTC)."""
        log_count = timestamp_ms / self._half_life_ms
        known = self._log_counts.get(item_id)
        if known is not None:
            del self._ranking[bisect_left(self._ranking, (-known, item_id))]
            log_count = float(np.logaddexp2(known, log_count))
        self._log_counts[item_id] = log_count
        insort(self._ranking, (-log_count, item_id))

    def top(self, count: int, without: Collection[str] = ()) -> list[str]:
        """The ``count`` most popular items that are not in ``without``, best first."""
        return list(islice((item for _, item in self._ranking if item not in without), count))


class ProgressiveRecall:
    """Recall@k of what was published, and of popularity, on exactly the same events.

    An event is scored when it is the user's first with its item and the user has a published recommendation;
    it is a hit when the item is among the first k of the last one. Popularity is scored beside it: its k most
    popular items (7-day half-life), minus those that the user already met.
    """

    def __init__(self, k: int = 10, recent: int = 500) -> None:
        self.k = k
        self.scored = 0
        self.hits = 0
        self.popularity_hits = 0
        self._recent: deque[tuple[bool, bool]] = deque(maxlen=recent)
        self._published: dict[str, Sequence[str]] = {}
        self._met: dict[str, set[str]] = {}
        self._popularity = DecayedPopularity()

    def published(self, user_id: str, item_ids: Sequence[str]) -> None:
        """Take a user's newest recommendation, best first; it replaces the one before."""
        self._published[user_id] = item_ids[: self.k]

    def observe(self, event: Interaction) -> None:
        """Score an event that is about to be sent, then learn from it."""
        met = self._met.setdefault(event.user_id, set())
        if event.item_id not in met and event.user_id in self._published:
            self._score(event, met)
        met.add(event.item_id)
        self._popularity.add(event.item_id, event.timestamp_ms)

    def _score(self, event: Interaction, met: set[str]) -> None:
        hit = event.item_id in self._published[event.user_id]
        popular = event.item_id in self._popularity.top(self.k, without=met)
        self.scored += 1
        self.hits += hit
        self.popularity_hits += popular
        self._recent.append((hit, popular))

    @property
    def recall(self) -> float | None:
        """Recall@k of the published recommendations so far, or ``None`` before the first scored event."""
        return self.hits / self.scored if self.scored else None

    @property
    def popularity_recall(self) -> float | None:
        """Recall@k of popularity on the same events, or ``None`` before the first."""
        return self.popularity_hits / self.scored if self.scored else None

    def recent(self) -> tuple[float, float] | None:
        """Recall@k of the recommendations and of popularity over the last ``recent`` scored events."""
        if not self._recent:
            return None
        hits, popular = zip(*self._recent, strict=True)
        return sum(hits) / len(hits), sum(popular) / len(popular)


def percentile_ms(seconds: Sequence[float], percent: float) -> float | None:
    """A percentile (0 to 100, linear interpolation) of durations in seconds, in milliseconds to 1 decimal.

    ``None`` where there are no durations.
    """
    if not seconds:
        return None
    return round(float(np.percentile(np.asarray(seconds), percent)) * 1000, 1)
