"""What users did with every item, as arrays that grow with the stream: neighbours, totals, counts.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009): what is counted at time t is
added as ``value * 2 ** ((t - landmark) / half_life)``, so that nothing is touched as time passes and late
events find their place. The landmark follows the latest event, a day at a time; one multiplication of all
arrays does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from encoders.config import DAY_SECONDS
from encoders.covisitation import Neighbours

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Kind = TypeVar("Kind", bound=np.generic)

FIRST_CAPACITY = 1_024
RELANDMARK_SECONDS = DAY_SECONDS


@dataclass(frozen=True, slots=True)
class HalfLives:
    """Ages in seconds at which evidence counts half."""

    pairs: float = 90 * DAY_SECONDS
    popularity: float = 30 * DAY_SECONDS
    recent: float = DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Entries:
    """Additions to the items' lists, e of them: whoever turned to ``rows`` also turned to ``neighbours``."""

    rows: Integers
    neighbours: Integers
    weights: Doubles
    """As ``covisitation.pairs_of`` weighs them."""
    received: Doubles
    """The weight of the same pair the other way round: what counts towards the total of ``rows``."""
    seconds: Doubles
    """When the event was."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Events on items, e of them."""

    rows: Integers
    strengths: Doubles
    """What each counts; 1 is a click."""
    seconds: Doubles
    bought: Doubles
    """The strengths again of purchases, 0 of other events."""
    places: Integers
    """How many events each one's user had before."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one item, as of ``Evidence.landmark``."""

    neighbours: Integers
    """[m], the strongest first."""
    weights: Floats
    """[m]"""
    total: float
    popularity: float
    recent: float
    bought: float = 0.0
    """The part of ``popularity`` that purchases gave."""
    depth: float = 0.0
    """Sum of ln(1 + place) of the events in their users' histories, weighed like ``popularity``."""


NOTHING = Row(np.zeros(0, np.int64), np.zeros(0, np.float32), 0.0, 0.0, 0.0)
"""The row of an item that nobody has turned to yet."""
SUMS = ("totals", "popularity", "recent", "bought", "depth")
"""What is added up for each item, beside its list; in the order of a ``Row``."""


class Evidence:
    """Arrays over item rows 0 to n - 1. Not thread-safe: whoever shares it brings the lock."""

    def __init__(self, width: int = 50, half_lives: HalfLives = HalfLives()) -> None:
        """``width``: strongest neighbours that an item keeps."""
        self.width = width
        self.half_lives = half_lives
        self.n = 0
        self.landmark = 0.0
        """Seconds since 1970-01-01 UTC of the time that all values are as of."""
        self.latest = 0.0
        """Seconds of the latest event that was counted."""
        self._items = np.zeros((0, width), np.int32)
        self._weights = np.zeros((0, width), np.float32)
        self._sums = {name: np.zeros(0, np.float32) for name in SUMS}

    def grow(self, n: int) -> None:
        """Make room for rows below ``n``."""
        if n > len(self._weights):
            self._reserve(max(n, 2 * len(self._weights), FIRST_CAPACITY))
        self.n = max(self.n, n)

    def count(self, events: Counted) -> None:
        """Count events towards their items' popularity, and towards what kind of events it is made of."""
        self._advance(events.seconds)
        ages = events.seconds - self.landmark
        fresh = np.exp2(ages / self.half_lives.popularity)
        added = {
            "popularity": events.strengths * fresh,
            "recent": events.strengths * np.exp2(ages / self.half_lives.recent),
            "bought": events.bought * fresh,
            "depth": events.strengths * fresh * np.log1p(events.places),
        }
        for name, values in added.items():
            np.add.at(self._sums[name], events.rows, values)

    def add(self, entries: Entries) -> None:
        """Merge entries into the lists; each list keeps its ``width`` strongest."""
        if not len(entries.rows):
            return
        self._advance(entries.seconds)
        fresh = np.exp2((entries.seconds - self.landmark) / self.half_lives.pairs)
        np.add.at(self._sums["totals"], entries.rows, entries.received * fresh)
        self._merge(entries.rows, entries.neighbours, entries.weights * fresh)

    def neighbours(self) -> Neighbours:
        """All lists (views, not copies); unused places hold the item itself with a weight of 0."""
        n = self.n
        offsets = np.arange(n + 1, dtype=np.int64) * self.width
        return Neighbours(
            offsets,
            self._items[:n].reshape(-1),  # type: ignore[arg-type]  # half the memory of int64
            self._weights[:n].reshape(-1),
            self._sums["totals"][:n],
        )

    def popularity(self, seconds: float) -> Floats:
        """[n]: events decayed over days, as of a time."""
        return self._as_of("popularity", seconds)

    def recent(self, seconds: float) -> Floats:
        """[n]: events decayed over hours, as of a time."""
        return self._as_of("recent", seconds)

    def bought(self, seconds: float) -> Floats:
        """[n]: the part of ``popularity`` that purchases gave."""
        return self._as_of("bought", seconds)

    def depth(self) -> Floats:
        """[n]: mean of ln(1 + events that a user had before he turned to the item); 0 where nobody did."""
        popularity = self._sums["popularity"][: self.n]
        depth: Floats = np.divide(
            self._sums["depth"][: self.n], popularity, out=np.zeros_like(popularity), where=popularity > 0
        )
        return depth

    def row(self, i: int) -> Row:
        """What is known of one item."""
        m = int(np.count_nonzero(self._weights[i]))
        return Row(
            self._items[i, :m].astype(np.int64),
            self._weights[i, :m].copy(),
            *(float(self._sums[name][i]) for name in SUMS),
        )

    def put(self, i: int, row: Row, landmark: float) -> None:
        """Replace what is known of an item by what was read, as of ``landmark`` (seconds)."""
        self._advance(np.array([landmark]))
        age = landmark - self.landmark
        m = min(len(row.neighbours), self.width)
        best = np.argsort(-row.weights, kind="stable")[:m]
        self._clear(np.array([i]))
        self._items[i, :m] = row.neighbours[best]
        self._weights[i, :m] = row.weights[best] * 2.0 ** (age / self.half_lives.pairs)
        for name, value in zip(SUMS, (row.total, row.popularity, row.recent, row.bought, row.depth)):
            self._sums[name][i] = value * 2.0 ** (age / self._half_life(name))

    def copy_from(self, other: Evidence, rows: Integers) -> None:
        """Know what ``other`` knows, and nothing else: its row i is ``rows[i]`` here, -1 where not here."""
        here = np.flatnonzero(rows >= 0)
        to = rows[here]
        self.landmark, self.latest = other.landmark, other.latest
        self._clear(np.arange(self.n))
        items, weights = rows[other._items[here]], other._weights[here]
        if (items < 0).any():
            weights = np.where(items < 0, np.float32(0), weights)
            order = np.argsort(-weights, axis=1, kind="stable")  # unused places come last
            items, weights = np.take_along_axis(items, order, 1), np.take_along_axis(weights, order, 1)
            items = np.where(items < 0, to[:, None], items)
        self._items[to], self._weights[to] = items, weights
        for name, values in self._sums.items():
            values[: self.n] = 0.0
            values[to] = other._sums[name][here]

    def _merge(self, rows: Integers, neighbours: Integers, weights: Doubles) -> None:
        touched = np.unique(rows)
        old = np.repeat(touched, self.width)
        keys = np.concatenate([old * self.n + self._items[touched].reshape(-1), rows * self.n + neighbours])
        found, where = np.unique(keys, return_inverse=True)
        sums = np.bincount(where, np.concatenate([self._weights[touched].reshape(-1), weights]))
        sources, items = np.divmod(found, self.n)
        order = np.lexsort((-sums, sources))
        counts = np.bincount(np.searchsorted(touched, sources), minlength=len(touched))
        places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = (places < self.width) & (sums[order] > 0)
        order, places = order[kept], places[kept]
        self._clear(touched)
        self._items[sources[order], places] = items[order]
        self._weights[sources[order], places] = sums[order]

    def _clear(self, rows: Integers) -> None:
        self._items[rows] = rows[:, None]
        self._weights[rows] = 0.0

    def _as_of(self, name: str, seconds: float) -> Floats:
        decay = 2.0 ** ((self.landmark - seconds) / self._half_life(name))
        scaled: Floats = self._sums[name][: self.n] * np.float32(decay)
        return scaled

    def _half_life(self, name: str) -> float:
        lives = self.half_lives
        return {"totals": lives.pairs, "recent": lives.recent}.get(name, lives.popularity)

    def _advance(self, seconds: Doubles) -> None:
        """Follow the latest event; before it is far ahead of the landmark, values are scaled to it."""
        self.latest = max(self.latest, float(seconds.max(initial=0.0)))
        if self.latest - self.landmark <= RELANDMARK_SECONDS:
            return
        age, self.landmark = self.landmark - self.latest, self.latest
        self._weights *= np.float32(2.0 ** (age / self.half_lives.pairs))
        for name, values in self._sums.items():
            values *= np.float32(2.0 ** (age / self._half_life(name)))

    def _reserve(self, capacity: int) -> None:
        old = len(self._weights)
        self._items, self._weights = _grown(self._items, capacity), _grown(self._weights, capacity)
        self._sums = {name: _grown(values, capacity) for name, values in self._sums.items()}
        self._items[old:] = np.arange(old, capacity, dtype=np.int32)[:, None]


def _grown(values: npt.NDArray[Kind], capacity: int) -> npt.NDArray[Kind]:
    """With zeros behind, up to ``capacity`` rows."""
    grown = np.zeros((capacity, *values.shape[1:]), values.dtype)
    grown[: len(values)] = values
    return grown
