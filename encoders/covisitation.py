"""Co-visitation: which items the same users turn to, as decayed weights between items.

One definition for the stream, which sees an event at a time (``pairs_of``, ``merged``), and for offline work,
which counts whole histories (``count``). For an event with item i after a history event with item j, δ events
and g seconds apart::

    weight(j → i) = √(w(type_j) · w(type_i)) · decay^(δ-1) · 2^(-|g| / pair_half_life)
    weight(i → j) = backward · weight(j → i)

and a weight halves in every ``age_half_life`` after it was counted. Reading normalises by what the two items
receive in all, to a power between none (0: popular items win) and the cosine (½: rare ones do; Sarwar et al.,
"Item-based collaborative filtering", 2001): ``w / (total_j · total_i)^exponent``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Annotated, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from encoders.batching import Sequences
from encoders.config import DAY_SECONDS, Fraction, Positive, PositiveFloat

Item = TypeVar("Item")
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Weight = Annotated[float, Meta(ge=0.0)]


class CovisitationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How pairs are weighed. Window, decay and exponent were chosen on the validation targets of Amazon
    Scientific (windows 5 to 20, decays .8 to 1, exponents .15 to .35: NDCG@10 .091 to .095); ``backward``
    of 0.5, 0.8 and 1 gave .0906, .0947 and .0949 there. The rest is not tuned.
    """

    window: Positive = 10
    """Newest history events that a new event is paired with."""
    distance_decay: Fraction = 0.9
    backward: Fraction = 0.8
    """Share of a pair's weight that counts against its direction."""
    type_weights: tuple[Weight, ...] = (1.0, 3.0, 2.0, 0.0, 1.0)
    """By ``EventType``; a type beyond the end weighs nothing."""
    pair_half_life_seconds: PositiveFloat = 7 * DAY_SECONDS
    age_half_life_seconds: PositiveFloat = 90 * DAY_SECONDS
    neighbours: Positive = 100
    """Strongest neighbours that an item keeps."""
    exponent: Fraction = 0.25
    """Of the totals that divide a weight when it is read."""

    def strength(self, event_type: int) -> float:
        """What an event of a type weighs."""
        return _type_weight(event_type, self)


class Visit(NamedTuple, Generic[Item]):
    """One event of a user: the item (an id or an index), its ``EventType``, and when, in seconds."""

    item: Item
    event_type: int
    seconds: float


Pair = tuple[Item, Item, float]
"""(source, neighbour, weight): who turned to the source also turned to the neighbour."""


def pairs_of(
    history: Sequence[Visit[Item]], new: Visit[Item], config: CovisitationConfig
) -> list[Pair[Item]]:
    """The pairs that one event adds, both directions of each; ``history`` is what came before, oldest first.

    A late event (its time before that of the history event) turns the direction around.
    """
    pairs: list[Pair[Item]] = []
    for distance, old in enumerate(reversed(history[-config.window :])):
        gap = new.seconds - old.seconds
        weight = _type_weight(old.event_type, config) * _type_weight(new.event_type, config)
        weight = weight**0.5 * config.distance_decay**distance
        weight *= 2.0 ** (-abs(gap) / config.pair_half_life_seconds)
        if old.item == new.item or weight == 0.0:
            continue
        first, second = (old, new) if gap >= 0 else (new, old)
        pairs.append((first.item, second.item, weight))
        pairs.append((second.item, first.item, weight * config.backward))
    return pairs


def merged(
    weights: Mapping[Item, float],
    added: Iterable[tuple[Item, float]],
    elapsed_seconds: float,
    config: CovisitationConfig,
) -> dict[Item, float]:
    """An item's neighbours after ``elapsed_seconds`` and new pairs: the strongest ``config.neighbours``.

    Equal weights keep the older neighbour.
    """
    keep = 2.0 ** (-elapsed_seconds / config.age_half_life_seconds)
    sums = {item: weight * keep for item, weight in weights.items()}
    for item, weight in added:
        sums[item] = sums.get(item, 0.0) + weight
    if len(sums) <= config.neighbours:
        return sums
    return dict(nlargest(config.neighbours, sums.items(), key=lambda entry: entry[1]))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Every item's strongest neighbours, one list after the other."""

    offsets: Integers
    """[n + 1]: the neighbours of item j are ``offsets[j]:offsets[j + 1]``."""
    items: Integers
    """[e]"""
    weights: Floats
    """[e], as counted, the strongest of each item first."""
    totals: Floats
    """[n]: the weight of all pairs that lead to the item, those beyond the lists too."""

    def normalised(self, exponent: float) -> Neighbours:
        """The same lists with ``w / (total_j · total_i)^exponent``."""
        scale = scale_of(self.totals, exponent)  # [n]
        sources = np.repeat(np.arange(len(self.totals)), np.diff(self.offsets))  # [e]
        weights = self.weights * scale[sources] * scale[self.items]
        return Neighbours(self.offsets, self.items, weights.astype(np.float32), self.totals)

    def scores(self, items: Integers, weights: Floats) -> Floats:
        """Add up the lists of weighted items: items, weights [b, t] -> [b, n]; a weight of 0 is padding."""
        n = len(self.totals)
        rows, places = np.nonzero(weights)
        at, owner = _gather(self.offsets, items[rows, places])
        keys = rows[owner] * n + self.items[at]
        values = self.weights[at] * weights[rows, places][owner]
        return np.bincount(keys, values, minlength=len(items) * n).reshape(-1, n).astype(np.float32)

    def entries(self, items: Integers) -> tuple[Integers, Integers]:
        """Positions [m] of all entries of the lists of ``items`` [k], and which of the k each belongs to."""
        return _gather(self.offsets, items)


def count(
    sequences: Sequences, n_items: int, config: CovisitationConfig, ages: Floats | None = None
) -> Neighbours:
    """Count whole histories: what repeated ``pairs_of`` and ``merged`` come to, cut to the strongest once.

    ``ages`` [e]: seconds since each event, which its pairs have decayed for; ``None``: not at all.
    """
    keys, weights = _weighed_pairs(sequences, n_items, config, ages)
    found, where = np.unique(keys, return_inverse=True)
    sums = np.bincount(where, weights, minlength=len(found))
    sources, items = np.divmod(found, n_items)
    totals = np.bincount(items, sums, minlength=n_items).astype(np.float32)
    order = np.lexsort((-sums, sources))
    counts = np.bincount(sources, minlength=n_items)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = order[place < config.neighbours]
    offsets = np.concatenate([[0], np.cumsum(np.minimum(counts, config.neighbours))]).astype(np.int64)
    return Neighbours(offsets, items[kept], sums[kept].astype(np.float32), totals)


def _weighed_pairs(
    sequences: Sequences, n_items: int, config: CovisitationConfig, ages: Floats | None
) -> tuple[Integers, npt.NDArray[np.float64]]:
    """Every pair as source · n + neighbour [p] and its weight [p], not yet added up."""
    user = np.repeat(np.arange(len(sequences)), np.diff(sequences.offsets))  # [e]
    gaps = sequences.gaps.astype(np.float64)
    seconds = np.cumsum(gaps)  # of each user from its own zero: only differences within a user are read
    by_type = np.array(
        [_type_weight(t, config) for t in range(int(sequences.event_types.max(initial=0)) + 1)]
    )
    strength = np.sqrt(by_type[sequences.event_types])  # [e]
    aged = 1.0 if ages is None else 2.0 ** (-ages.astype(np.float64) / config.age_half_life_seconds)
    strength_new = strength * aged
    keys, weights = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for distance in range(1, config.window + 1):
        old, new = np.arange(len(user) - distance), np.arange(distance, len(user))
        same = (user[old] == user[new]) & (sequences.items[old] != sequences.items[new])
        old, new = old[same], new[same]
        gap = seconds[new] - seconds[old]
        weight = strength[old] * strength_new[new] * config.distance_decay ** (distance - 1)
        weight = weight * 2.0 ** (-np.abs(gap) / config.pair_half_life_seconds)
        first = np.where(gap >= 0, sequences.items[old], sequences.items[new])
        second = np.where(gap >= 0, sequences.items[new], sequences.items[old])
        keys += [first * n_items + second, second * n_items + first]
        weights += [weight, weight * config.backward]
    key, value = np.concatenate(keys), np.concatenate(weights)
    return key[value > 0], value[value > 0]


def scale_of(totals: Floats, exponent: float) -> Floats:
    """``total^-exponent`` for totals of any shape; 0 where there is no total: nothing leads there."""
    known = totals > 0
    return np.where(known, np.where(known, totals, 1.0) ** -exponent, 0.0).astype(np.float32)


def _type_weight(event_type: int, config: CovisitationConfig) -> float:
    return config.type_weights[event_type] if event_type < len(config.type_weights) else 0.0


def _gather(offsets: Integers, rows: Integers) -> tuple[Integers, Integers]:
    lengths = offsets[rows + 1] - offsets[rows]
    owner = np.repeat(np.arange(len(rows)), lengths)
    starts = np.repeat(offsets[rows] - (np.cumsum(lengths) - lengths), lengths)
    return np.arange(len(owner)) + starts, owner
