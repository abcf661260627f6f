"""What the ranker sees of a candidate: one definition for training and serving, numpy alone.

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

from encoders.covisitation import Neighbours, scale_of

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MAX_HISTORY: Final = 20
"""Newest events of a user that features are made from."""
PADDING: Final = -1
"""In place of a candidate: its features are 0, and its score means nothing."""
SLOW: Final = 0.8
FAST: Final = 0.5
"""Factors on older evidence at each event."""
SHARPNESS: Final = 10.0
"""Of the soft maximum of similarities: between mean (0) and maximum (infinite)."""
DAY: Final = 86_400.0

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
        "like_covisited",
    ),
    "popularity": ("popularity", "popularity_relative", "trend"),
    "content": ("seen", "seen_lately", "category", "price", "age", "history"),
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


@dataclass(frozen=True, slots=True)
class Histories:
    """The newest events of b users, **newest first**, padded on the right."""

    items: Integers
    """[b, t], indices into the catalogue."""
    weights: Floats
    """[b, t]: what each event counts beside its place, by type and age; 0 is padding."""


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


@dataclass(frozen=True, slots=True)
class Described:
    """Candidates as the ranker sees them, and what each event of the history has to do with it."""

    features: Floats
    """[b, c, F], finite, in the order of ``FEATURES``; 0 for ``PADDING``."""
    similar: Floats
    """[b, t, c]: similarity of a candidate to an event's item, decayed by the event's place."""
    together: Floats
    """[b, t, c]: co-visitation of a candidate with an event's item, normalised, decayed by the place."""


def features(histories: Histories, interests: Floats, candidates: Integers, catalogue: Catalogue) -> Floats:
    """What the ranker sees of candidates, [b, c, F]; arguments as for :func:`describe`."""
    return describe(histories, interests, candidates, catalogue).features


def describe(
    histories: Histories, interests: Floats, candidates: Integers, catalogue: Catalogue
) -> Described:
    """Describe candidates: interests [b, d] (unit length), candidates [b, c] (item indices, no item twice
    in a row of the array, ``PADDING`` allowed).
    """
    real = candidates >= 0  # [b, c]
    safe = np.where(real, candidates, 0)
    parts = _Parts(histories, candidates, safe, catalogue)
    columns = [
        *_dense(parts, interests, real),
        *_covisitation(parts, safe, catalogue, real),
        *_popularity(safe, catalogue),
        *_content(parts, safe, catalogue),
    ]
    found = np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float32)  # [b, c, F]
    found[~real] = 0.0
    slow = parts.slow[:, :, None]
    return Described(found, slow * parts.similar, slow * parts.each)


class _Parts:
    """What several features share: similarities and weights of each candidate to each event, [b, t, c]."""

    def __init__(
        self, histories: Histories, candidates: Integers, safe: Integers, catalogue: Catalogue
    ) -> None:
        self.items, self.weights = histories.items, histories.weights  # [b, t]
        self.vectors = catalogue.vectors[safe]  # [b, c, d]
        self.similar = catalogue.vectors[self.items] @ self.vectors.transpose(0, 2, 1)  # [b, t, c]
        self.present = (self.weights > 0).astype(np.float32)  # [b, t]
        places = np.arange(self.items.shape[1], dtype=np.float32)  # 0 is the newest
        self.slow = self.weights * np.float32(SLOW) ** places
        self.fast = self.weights * np.float32(FAST) ** places
        self.visited = _visited(self.items, self.present, candidates, catalogue.neighbours)  # [b, t, c]
        totals = catalogue.neighbours.totals
        mild, mild_to = scale_of(totals[self.items], 0.25), scale_of(totals[safe], 0.25)
        self.each = self.visited * mild[:, :, None] * mild_to[:, None, :]  # [b, t, c]
        self.seen = (self.items[:, :, None] == safe[:, None, :]) * self.present[:, :, None]  # [b, t, c]


def _dense(parts: _Parts, interests: Floats, real: Mask) -> list[Floats]:
    interest = (parts.vectors @ interests[:, :, None])[:, :, 0]  # [b, c]
    masked = np.where(parts.present[:, :, None] > 0, parts.similar, np.float32(-1.0))  # [b, t, c]
    sharp = np.exp(SHARPNESS * (masked - 1.0)) * parts.present[:, :, None]
    counted = np.maximum(parts.present.sum(axis=1), 1.0)[:, None]
    soft = np.log(np.maximum(sharp.sum(axis=1) / counted, 1e-9)) / SHARPNESS + 1.0
    return [
        interest,
        _standard(interest, real),
        _weighted(parts.slow, parts.similar),
        _weighted(parts.fast, parts.similar),
        parts.similar[:, 0] * parts.present[:, :1],
        (parts.similar[:, 1] * parts.present[:, 1:2]) if parts.similar.shape[1] > 1 else 0 * interest,
        masked.max(axis=1),
        soft,
        _weighted(parts.present, parts.similar),
    ]


def _covisitation(parts: _Parts, safe: Integers, catalogue: Catalogue, real: Mask) -> list[Floats]:
    totals = catalogue.neighbours.totals
    cosine, chance = (scale_of(totals[parts.items], e) for e in (0.5, 1.0))  # [b, t]
    cosine_to = scale_of(totals[safe], 0.5)  # [b, c]
    covisited = _total(parts.slow, parts.each)  # [b, c]
    relative = covisited / np.maximum(covisited.max(axis=1, keepdims=True), 1e-9)
    return [
        np.log1p(covisited),
        relative,
        _place(covisited, real),
        np.log1p(parts.each[:, 0]),
        np.log1p(parts.each.max(axis=1)),
        _weighted(parts.slow, (parts.visited > 0).astype(np.float32)),
        np.log1p(10.0 * _total(parts.slow * cosine, parts.visited) * cosine_to),
        np.log1p(10.0 * _total(parts.slow * chance, parts.visited)),
        np.log1p(_total(parts.slow, parts.visited)),
        _like_others(parts.vectors, relative),
    ]


def _popularity(safe: Integers, catalogue: Catalogue) -> list[Floats]:
    counts = catalogue.popularity
    popularity = np.log1p(counts[safe])
    average = np.log1p(counts.mean())
    trend = 0.0 * popularity if catalogue.recent is None else np.log1p(catalogue.recent[safe]) - popularity
    return [popularity, popularity - average, trend]


def _content(parts: _Parts, safe: Integers, catalogue: Catalogue) -> list[Floats]:
    none = np.zeros(safe.shape, dtype=np.float32)
    length = np.log1p(parts.present.sum(axis=1))[:, None]
    age = none if catalogue.ages is None else np.log1p(np.maximum(catalogue.ages[safe], 0.0))
    return [
        parts.seen.max(axis=1),
        _total(parts.slow, parts.seen),
        _category(parts, safe, catalogue.categories),
        _price(parts, safe, catalogue.prices),
        age,
        none + length,
    ]


def _category(parts: _Parts, safe: Integers, categories: Integers | None) -> Floats:
    """Share of the history in the candidate's category."""
    if categories is None:
        return np.zeros(safe.shape, dtype=np.float32)
    of_item, of_event = categories[safe][:, None, :], categories[parts.items][:, :, None]
    return _weighted(parts.slow, ((of_item == of_event) & (of_item >= 0)).astype(np.float32))


def _price(parts: _Parts, safe: Integers, prices: Floats | None) -> Floats:
    """|log of the candidate's price over the history's usual one|; 0 where either is unknown."""
    if prices is None:
        return np.zeros(safe.shape, dtype=np.float32)
    log_price = np.log(np.maximum(prices, 1e-6))
    known = parts.slow * (prices[parts.items] > 0)  # [b, t]
    usual = (known * log_price[parts.items]).sum(axis=1) / np.maximum(known.sum(axis=1), 1e-9)  # [b]
    gap = np.abs(log_price[safe] - usual[:, None])
    return np.where((prices[safe] > 0) & (known.sum(axis=1) > 0)[:, None], gap, 0.0).astype(np.float32)


def _visited(items: Integers, present: Floats, candidates: Integers, neighbours: Neighbours) -> Floats:
    """Weights as counted, of each candidate among each event's neighbours, [b, t, c].

    Entries of the events' lists are looked up among the candidates, which are fewer: one binary search.
    """
    b, c = candidates.shape
    n = len(neighbours.totals)
    rows, places = np.nonzero(present)
    at, owner = neighbours.entries(items[rows, places])
    wanted = rows[owner] * n + neighbours.items[at]  # [m]
    keys = np.where(candidates >= 0, np.arange(b)[:, None] * n + candidates, b * n).ravel()  # [b · c]
    order = np.argsort(keys, kind="stable")
    where = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), b * c - 1)]
    hit = keys[where] == wanted
    found = np.zeros((b, items.shape[1], c), dtype=np.float32)
    found[rows[owner][hit], places[owner][hit], where[hit] % c] = neighbours.weights[at[hit]]
    return found


def _like_others(vectors: Floats, weights: Floats) -> Floats:
    """Similarity to the weighted mean of the user's other candidates: vectors [b, c, d], weights [b, c]."""
    mean = (weights[:, None, :] @ vectors)[:, 0]  # [b, d]
    similar: Floats = (vectors @ mean[:, :, None])[:, :, 0] - weights
    norm: Floats = np.linalg.norm(mean, axis=1)[:, None]
    similar /= np.maximum(norm, 1e-9)
    return similar


def _standard(values: Floats, real: Mask) -> Floats:
    """Standard deviations above the mean of the user's candidates, [b, c]."""
    count = np.maximum(real.sum(axis=1, keepdims=True), 1)
    mean = np.where(real, values, 0.0).sum(axis=1, keepdims=True) / count
    spread = np.sqrt(np.where(real, (values - mean) ** 2, 0.0).sum(axis=1, keepdims=True) / count)
    standard: Floats = ((values - mean) / np.maximum(spread, 1e-6)).astype(np.float32)
    return standard


def _place(values: Floats, real: Mask) -> Floats:
    """log(1 + how many of the user's candidates are better), [b, c]."""
    ordered = np.sort(np.where(real, values, -np.inf), axis=1)
    better = [values.shape[1] - np.searchsorted(row, own, side="right") for row, own in zip(ordered, values)]
    place: Floats = np.log1p(np.array(better, dtype=np.float32))
    return place


def _total(weights: Floats, values: Floats) -> Floats:
    """Sum over events: weights [b, t], values [b, t, c] -> [b, c]."""
    total: Floats = (weights[:, None, :] @ values)[:, 0]
    return total


def _weighted(weights: Floats, values: Floats) -> Floats:
    """Mean over events: weights [b, t], values [b, t, c] -> [b, c]."""
    mean: Floats = _total(weights, values) / np.maximum(weights.sum(axis=1), 1e-9)[:, None]
    return mean
