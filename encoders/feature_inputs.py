"""The names of the features and what they are made from: catalogue and histories.

Everything is a similarity, a co-visitation weight, a count or a difference, none of it tied to a catalogue,
so that a ranker learned in one shop ranks in another. A candidate's value is given as it is and, where scale
differs between shops, also relative to the user's other candidates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from encoders.covisitation import Neighbours

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

DETAILED: Final = 20
"""Newest events that are compared with every candidate, one by one."""
LONG: Final = 50
"""Newest events whose neighbours count towards the long sums."""
FOLDED: Final = 100
"""Newest events that tell a user's place among the items' factors."""
MAX_HISTORY: Final = 1_000
"""Newest events that features are made from: the older ones say what the user has had."""
PADDING: Final = -1
"""In place of a candidate: its features are 0, and its score means nothing."""
SLOW: Final = 0.8
FAST: Final = 0.5
SLOWEST: Final = 0.95
FOLD_DECAY: Final = 0.98
"""Factors on older evidence at each event."""
SHARPNESS: Final = 10.0
"""Of the soft maximum of similarities: between mean (0) and maximum (infinite)."""

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "dense": (
        "interest",
        "interest_relative",
        "slow_mean",
        "fast_mean",
        "last",
        "second",
        "nearest",
        "soft_nearest",
        "mean",
    ),
    "covisitation": (
        "covisited",
        "covisited_relative",
        "covisited_place",
        "covisited_last",
        "covisited_most",
        "covisited_share",
        "covisited_cosine",
        "covisited_chance",
        "covisited_weight",
        "covisited_long",
        "covisited_long_weight",
        "like_covisited",
    ),
    "factors": ("factored", "factored_relative", "factored_place"),
    "popularity": ("popularity", "popularity_relative", "trend", "recent", "quiet"),
    "content": ("category", "price", "age"),
    "repeat": ("seen", "seen_lately", "had", "had_lately", "had_days", "had_first_days", "had_due"),
    "behaviour": ("bought", "bought_share", "had_bought", "had_carted", "bought_last", "buyer"),
    "course": ("depth", "depth_ahead", "session", "session_seconds"),
    "user": ("history", "pause", "repeats"),
}
"""Feature names by group, for ablation."""
FEATURES: Final = tuple(name for names in GROUPS.values() for name in names)
"""The last axis, in order."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is known about n items. Optional arrays are ``None`` where a shop does not have them."""

    vectors: Floats
    """[n, d], unit length."""
    neighbours: Neighbours
    popularity: Floats
    """[n]: events, decayed over days."""
    recent: Floats | None = None
    """[n]: events, decayed over hours, on the scale of ``popularity``."""
    ages: Floats | None = None
    """[n]: days since the item was first in the catalogue."""
    prices: Floats | None = None
    """[n], above 0; 0 where unknown."""
    categories: Integers | None = None
    """[n]: a number for each category; -1 where unknown."""
    arrived: int | None = None
    """Items that are there by now, of the n of which a replay knows; ``None``: all."""
    bought: Floats | None = None
    """[n]: the part of ``popularity`` that purchases gave."""
    depth: Floats | None = None
    """[n]: mean of ln(1 + events that a user had before) over the item's events."""
    factors: Floats | None = None
    """[n, f]: ``factors.ItemFactors`` of the past; zeros where an item has none."""


@dataclass(frozen=True, slots=True)
class Histories:
    """The newest events of b users, **newest first**, padded on the right."""

    items: Integers
    """[b, t], indices into the catalogue; of more than ``MAX_HISTORY`` the older are not read."""
    weights: Floats
    """[b, t]: what each event counts beside its place, by type and age; 0 is padding."""
    days: Floats | None = None
    """[b, t]: days from each event to the moment of the question; ``None`` in data without times."""
    types: Integers | None = None
    """[b, t], ``EventType``; ``None`` where they are not known."""
    lengths: Integers | None = None
    """[b]: events in all, those included that are no longer here; ``None``: what is here is all."""

    def newest(self, t: int) -> Histories:
        """Only the newest ``t`` events."""
        days = None if self.days is None else self.days[:, :t]
        types = None if self.types is None else self.types[:, :t]
        return Histories(self.items[:, :t], self.weights[:, :t], days, types, self.lengths)


def mask_without(groups: Iterable[str]) -> Floats:
    """[F]: 0 for the features of these ``GROUPS``, 1 for the others; for ablation."""
    dropped = {name for group in groups for name in GROUPS[group]}
    return np.array([name not in dropped for name in FEATURES], dtype=np.float32)


def histories_of(newest_last: list[list[int]]) -> Histories:
    """Histories without times and types (oldest first) -> at most ``MAX_HISTORY`` events each."""
    cut = [history[: -MAX_HISTORY - 1 : -1] for history in newest_last]
    width = max(map(len, cut), default=0)
    items = np.zeros((len(cut), max(width, 1)), dtype=np.int64)
    weights = np.zeros(items.shape, dtype=np.float32)
    for row, history in enumerate(cut):
        items[row, : len(history)] = history
        weights[row, : len(history)] = 1.0
    return Histories(items, weights)
