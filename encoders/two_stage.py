"""Two stages for a batch of users: candidates of several sources, joined, described and scored. Numpy alone.

What the running system does for every event, and what offline evaluation does in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from encoders.covisitation import Neighbours, scale_of
from encoders.features import (
    FEATURES,
    PADDING,
    SLOW,
    Catalogue,
    Described,
    Floats,
    Histories,
    Integers,
    describe,
)

Mask = npt.NDArray[np.bool_]
Rank = Callable[[Floats], Floats | None]
"""Features [b, c, F] -> scores [b, c], higher is better; ``None`` from a model without a ranker."""

EXPONENT: Final = 0.25
"""Of the totals that divide a co-visitation weight (``covisitation.CovisitationConfig.exponent``)."""
INTEREST: Final = FEATURES.index("interest")
COVISITED: Final = FEATURES.index("covisited_relative")


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates of b users, best first."""

    items: Integers
    """[b, c], ``PADDING`` last."""
    scores: Floats
    """[b, c], -inf for ``PADDING``."""
    order: Integers
    """[b, c]: where each of ``items`` is among the candidates that were asked about."""
    described: Described
    """Of the candidates in the order that they were asked about."""
    plain: Mask
    """[b]: ordered by the plain score, not by a ranker."""


def covisited(histories: Histories, neighbours: Neighbours, wanted: Integers) -> Integers:
    """The items that the users' events speak for most, the best first, [b, k], padded with ``PADDING``.

    ``wanted`` [b]: how many for each user, k at most: nobody's depend on who else is asked about. A decayed
    sum over the neighbour lists of the history; touches only what is in those lists.
    """
    b, k = len(histories.items), int(wanted.max(initial=0))
    rows, places = np.nonzero(histories.weights)
    sources = histories.items[rows, places]
    at, owner = neighbours.entries(sources)
    weights = neighbours.weights[at]
    at, owner, weights = at[weights > 0], owner[weights > 0], weights[weights > 0]
    if not len(at) or k < 1:
        return np.full((b, k), PADDING)
    items = neighbours.items[at].astype(np.int64)
    decay = np.float32(SLOW) ** places.astype(np.float32) * histories.weights[rows, places]
    decay = decay * scale_of(neighbours.totals[sources], EXPONENT)
    values = weights * decay[owner] * scale_of(neighbours.totals[items], EXPONENT)
    keys, sums = _summed(rows[owner], items, values, len(neighbours.totals))
    found = _strongest(keys, sums, len(neighbours.totals), b, k)
    found[np.arange(k) >= wanted[:, None]] = PADDING
    return found


def joined(*sources: Integers) -> Integers:
    """Candidates of all sources [b, *], each once a user: -> [b, c], ascending, ``PADDING`` in between."""
    together = np.sort(np.concatenate(sources, axis=1), axis=1)
    together[:, 1:][together[:, 1:] == together[:, :-1]] = PADDING
    return together


def ranked(
    histories: Histories, interests: Floats, candidates: Integers, catalogue: Catalogue, rank: Rank
) -> Ranked:
    """Describe and score candidates [b, c] of users with interests [b, d]; see ``features.describe``."""
    described = describe(histories, interests, candidates, catalogue)
    scores, plain = scored(described.features, rank)
    scores = np.where(candidates >= 0, scores, np.float32(-np.inf))
    order = np.argsort(-scores, axis=1, kind="stable")  # [b, c]
    return Ranked(
        np.take_along_axis(candidates, order, axis=1),
        np.take_along_axis(scores, order, axis=1),
        order,
        described,
        plain,
    )


def scored(features: Floats, rank: Rank) -> tuple[Floats, Mask]:
    """Scores [b, c] of candidates by their features [b, c, F], and who of the users got the plain score [b].

    Without a ranker the score is similarity plus co-visitation relative to the user's best; so it is for
    users none of whose candidates has co-visitation: a ranker weighs evidence, and a new shop has none yet.
    """
    scores: Floats = features[:, :, INTEREST] + features[:, :, COVISITED]
    learned = rank(features)
    plain: Mask = (features[:, :, COVISITED] == 0).all(axis=1) | (learned is None)  # [b]
    return (scores if learned is None else np.where(plain[:, None], scores, learned)), plain


def taken(described: Described, order: Integers) -> Described:
    """Only the candidates at ``order`` [b, m], in that order."""
    return Described(
        np.take_along_axis(described.features, order[:, :, None], axis=1),
        np.take_along_axis(described.similar, order[:, None, :], axis=2),
        np.take_along_axis(described.together, order[:, None, :], axis=2),
    )


def _summed(rows: Integers, items: Integers, values: Floats, n: int) -> tuple[Integers, Floats]:
    """Sums of ``values`` by (row, item): keys row · n + item ascending in row, and their sums."""
    keys = rows * n + items
    first = np.empty(int(keys.max()) + 1, np.int32)  # never cleared: only what is written is read
    places = np.arange(len(keys), dtype=np.int32)
    first[keys[::-1]] = places[::-1]  # the last write wins, which is the first place of each key
    leads = first[keys] == places
    numbers = np.cumsum(leads) - 1
    sums = np.bincount(numbers[first[keys]], values, minlength=int(leads.sum()))
    return keys[leads], sums.astype(np.float32)


def _strongest(keys: Integers, sums: Floats, n: int, b: int, k: int) -> Integers:
    rows, items = np.divmod(keys, n)
    counts = np.bincount(rows, minlength=b)
    width = max(int(counts.max(initial=0)), k)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    scores = np.zeros((b, width), np.float32)
    found = np.full((b, width), PADDING)
    scores[rows, places], found[rows, places] = sums, items
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
    chosen: Integers = np.take_along_axis(found, np.take_along_axis(best, order, axis=1), axis=1)
    return chosen
