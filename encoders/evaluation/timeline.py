"""A data set with times as arrays on one global clock: events, baskets, splits by time, arrivals of items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from encoders.datasets import Dataset
from encoders.errors import DataError
from encoders.events import Item

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]

CHUNK = 64
"""Baskets that are recommended for before any of them is observed."""
NO_REPEATS = frozenset({"movielens", "amazon-reviews"})
"""Data sets in which a user has an item at most once: what somebody rated is never a target again."""


@dataclass(frozen=True, slots=True)
class Events:
    """e interactions, oldest first."""

    users: Integers
    """[e], indices of users."""
    items: Integers
    """[e], indices into the catalogue."""
    event_types: Integers
    """[e], ``EventType``."""
    seconds: Floats
    """[e], since 1970-01-01 UTC, never falling."""

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, part: slice) -> Events:
        return Events(self.users[part], self.items[part], self.event_types[part], self.seconds[part])

    def split(self, quantile: float) -> tuple[Events, Events]:
        """What lies before the time of the event at ``quantile``, and what lies at that time or after it.

        Events of one time stay together. Raises ``DataError`` where a part would be empty.
        """
        at = int(np.searchsorted(self.seconds, self.seconds[int(quantile * len(self))])) if len(self) else 0
        if at == 0:
            raise DataError(f"too few points in time to split at {quantile:.0%} of {len(self)} events")
        return self[:at], self[at:]


class Basket(NamedTuple):
    """One user's events of one time (one invoice): predicted together, none of them predicts another."""

    user: int
    items: Integers
    """[t], in the order of the file; an item may stand there twice."""
    event_types: Integers
    """[t]"""
    seconds: float


@dataclass(frozen=True, slots=True)
class Stage:
    """What every method may know beside the past: sizes, the catalogue and when its items arrive."""

    n_items: int
    n_users: int
    split_seconds: float
    """The replay's first moment: everything that is fitted is fitted on what lies before."""
    arrivals: Floats
    """[n_items]: since when each item is in the catalogue, infinite where it never comes."""
    repeats: bool
    """Whether what a user had before may be recommended and be a target."""
    text_vectors: Vectors | None = None
    """[n_items, text_dim] of the items' texts, as the text tower gives them; ``None``: no texts."""

    @property
    def arrived(self) -> Mask:
        """[n_items]: in the catalogue before the split."""
        arrived: Mask = self.arrivals < self.split_seconds
        return arrived


@dataclass(frozen=True)
class Timeline:
    """A whole data set on the clock."""

    name: str
    events: Events
    user_ids: list[str]
    """By index, in the order of their first event."""
    items: list[Item]
    """By index: ``Dataset.items``."""
    repeats: bool

    def stage(self, split_seconds: float, text_vectors: Vectors | None = None) -> Stage:
        """The stage of a replay from ``split_seconds`` on.

        An item arrives with its first event: a shop knows its catalogue, so that the event can be predicted.
        """
        arrivals = np.full(len(self.items), np.inf)
        np.minimum.at(arrivals, self.events.items, self.events.seconds)
        sizes = len(self.items), len(self.user_ids)
        return Stage(*sizes, split_seconds, arrivals, self.repeats, text_vectors)


def timeline_of(dataset: Dataset) -> Timeline:
    """Read all interactions of a data set into arrays; ``DataError`` where it has an order but no times."""
    if dataset.ordered:
        raise DataError(
            f"{dataset.name} has an order but no times: evaluate it with `--protocol leave-one-out`"
        )
    row_of = {item.item_id: row for row, item in enumerate(dataset.items)}
    users: dict[str, int] = {}
    rows = [
        (users.setdefault(e.user_id, len(users)), row_of[e.item_id], int(e.event_type), e.timestamp_ms)
        for e in dataset.interactions()
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    events = Events(table[:, 0], table[:, 1], table[:, 2], table[:, 3] / 1e3)
    return Timeline(dataset.name, events, list(users), dataset.items, dataset.name not in NO_REPEATS)


def baskets_of(events: Events) -> list[Basket]:
    """Group events by time and user: baskets by time, equal times by their first line."""
    if not len(events):
        return []
    order = np.lexsort((events.users, events.seconds))  # stable: lines keep the order of the file
    users, seconds = events.users[order], events.seconds[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(users) != 0) | (np.diff(seconds) != 0)])
    ends = np.r_[starts[1:], len(order)]
    by_first_line = np.argsort(order[starts])
    return [
        Basket(
            int(users[start]),
            events.items[order[start:end]],
            events.event_types[order[start:end]],
            float(seconds[start]),
        )
        for start, end in zip(starts[by_first_line].tolist(), ends[by_first_line].tolist())
    ]


def chunks_of(baskets: Sequence[Basket], size: int = CHUNK) -> Iterator[Sequence[Basket]]:
    """Consecutive baskets of distinct users, at most ``size``: nobody's basket waits for his own last one."""
    start = 0
    users: set[int] = set()
    for at, basket in enumerate(baskets):
        if basket.user in users or at - start == size:
            yield baskets[start:at]
            start, users = at, set()
        users.add(basket.user)
    if baskets:
        yield baskets[start:]
