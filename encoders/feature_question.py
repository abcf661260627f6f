"""Candidates of b users as the columns read them: gathered once, [b, t, c] of t events by c candidates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from encoders.covisitation import scale_of
from encoders.feature_inputs import (
    DETAILED,
    FAST,
    LONG,
    MAX_HISTORY,
    PADDING,
    SLOW,
    SLOWEST,
    Catalogue,
    Floats,
    Histories,
    Integers,
    Mask,
)

MILD = 0.25
"""Power of the totals in most columns; ½ is the cosine."""


class Question:
    """Candidates of b users with what several columns share."""

    def __init__(
        self, histories: Histories, interests: Floats, candidates: Integers, catalogue: Catalogue
    ) -> None:
        self.catalogue, self.interests = catalogue, interests
        self.whole = histories.newest(MAX_HISTORY)
        newest = histories.newest(DETAILED)
        self.items, self.weights = newest.items, newest.weights  # [b, t]
        self.real: Mask = candidates != PADDING  # [b, c]
        self.safe: Integers = np.where(self.real, candidates, 0)
        self.vectors = catalogue.vectors[self.safe]  # [b, c, d]
        self.present: Floats = (self.weights > 0).astype(np.float32)  # [b, t]
        places = np.arange(self.items.shape[1], dtype=np.float32)  # 0 is the newest
        self.slow: Floats = self.weights * np.float32(SLOW) ** places
        self.fast: Floats = self.weights * np.float32(FAST) ** places
        self.similar: Floats = catalogue.vectors[self.items] @ self.vectors.transpose(0, 2, 1)  # [b, t, c]
        self.slots = Slots(candidates, len(catalogue.vectors))
        self.own = self._own()
        lengths = (self.whole.weights > 0).sum(axis=1) if histories.lengths is None else histories.lengths
        self.lengths: Floats = lengths.astype(np.float32)  # [b]
        self._visits()

    @property
    def decayed_similar(self) -> Floats:
        """[b, t, c]"""
        return self.slow[:, :, None] * self.similar

    @property
    def decayed_together(self) -> Floats:
        """[b, t, c]"""
        return self.slow[:, :, None] * self.each

    def _own(self) -> Own:
        whole = self.whole
        rows, places = np.nonzero(whole.weights)
        entries = np.arange(len(rows))
        _, entries, slots = self.slots.of(rows, entries, whole.items[rows, places], entries)
        rows, places = rows[entries], places[entries]
        return Own(rows, places, rows * self.safe.shape[1] + slots)

    def _visits(self) -> None:
        """Weights as counted and normalised of each candidate among each event's neighbours, [b, t, c], and
        both long sums, [b, c]."""
        neighbours, long = self.catalogue.neighbours, self.whole.newest(LONG)
        b, t, c = self.similar.shape
        rows, places = np.nonzero(long.weights)
        at, owner = neighbours.entries(long.items[rows, places])
        owner, at, slots = self.slots.of(rows, owner, neighbours.items[at], at)
        weights, rows, places = neighbours.weights[at], rows[owner], places[owner]
        totals = neighbours.totals
        scale, self.scale_to = scale_of(totals[long.items], MILD), scale_of(totals[self.safe], MILD)
        decayed = weights * long.weights[rows, places] * np.float32(SLOWEST) ** places
        cosine = decayed * scale[rows, places] ** 2
        flat = rows * c + slots
        self.long_weight: Floats = np.bincount(flat, decayed, b * c).reshape(b, c).astype(np.float32)
        long_cosine: Floats = np.bincount(flat, cosine, b * c).reshape(b, c).astype(np.float32)
        self.long_cosine = long_cosine * self.scale_to**2
        near = places < t
        self.visited = np.zeros((b, t, c), np.float32)
        self.visited.reshape(-1)[(rows[near] * t + places[near]) * c + slots[near]] = weights[near]
        self.scale = scale[:, :t]
        self.each = self.visited * self.scale[:, :, None]
        self.each *= self.scale_to[:, None, :]


class Own(NamedTuple):
    """The users' events with their candidates, newest first for each user, [h]."""

    rows: Integers
    """Whose."""
    places: Integers
    """0 is the newest event."""
    flat: Integers
    """Which candidate of the [b, c], flattened."""


class Slots:
    """Where an item stands among a user's candidates."""

    def __init__(self, candidates: Integers, n: int) -> None:
        self._b, self._c = candidates.shape
        self._n = n
        rows, slots = np.nonzero(candidates != PADDING)
        self._slot_of = np.empty(self._b * n, np.int32)  # never cleared: a look-up is checked instead
        self._slot_of[rows * n + candidates[rows, slots]] = slots
        self._candidates = candidates

    def of(
        self, rows: Integers, owner: Integers, items: Integers, carried: Integers
    ) -> tuple[Integers, Integers, Integers]:
        """Of entries [e] that belong to users ``rows[owner]``, those whose item is a candidate: their owner,
        what else they carry, and the slot, [found] each.
        """
        users = rows[owner]
        slots = self._slot_of[users * self._n + items]
        np.clip(slots, 0, self._c - 1, out=slots)
        found = np.flatnonzero(self._candidates[users, slots] == items)
        return owner[found], carried[found], slots[found].astype(np.int64)
