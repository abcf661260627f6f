"""Why an item is recommended: which evidence its score would miss most, and which past event it names.

The part of a kind of evidence in a score is what the score loses when the item's features of that kind are
replaced by the average of the user's candidates (occlusion: Zeiler & Fergus, ECCV 2014). A ranker is
not a sum, so its parts are not either; the largest of them is what is told.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from encoders.features import FEATURES, GROUPS, Described, Floats, Integers
from encoders.two_stage import COVISITED, INTEREST, Rank

SIMILAR: Final = "similar_to"
TOGETHER: Final = "together_with"
PARTS: Final[dict[str, tuple[str, ...]]] = {
    SIMILAR: GROUPS["dense"],
    TOGETHER: (*GROUPS["covisitation"], *GROUPS["factors"]),
    "trending": (*GROUPS["popularity"], "bought", "bought_share"),
    "new": ("age",),
    "taste": ("category", "price", "depth", "depth_ahead"),
    "again": (*GROUPS["repeat"], "had_bought", "had_carted"),
}
"""Reason -> the features that speak for it."""
REASONS: Final = tuple(PARTS)


def parts(shown: Floats, everything: Floats, real: Floats, rank: Rank) -> Floats:
    """The parts of scores: shown [b, m, F] of candidates everything [b, c, F], real [b, c] -> [b, m, parts].

    In the order of ``REASONS``. Without a ranker they are the two terms of the plain score.
    """
    whole = rank(shown)
    if whole is None:
        return plain_parts(shown)
    count = np.maximum(real.sum(axis=1), 1.0)[:, None]
    average = (everything * real[:, :, None]).sum(axis=1) / count  # [b, F]
    b, m, f = shown.shape
    hidden = np.repeat(shown[:, None], len(REASONS), axis=1)  # [b, parts, m, F]
    for part, names in enumerate(PARTS.values()):
        columns = [FEATURES.index(name) for name in names]
        hidden[:, part, :, columns] = average.T[columns][:, :, None]
    without = rank(hidden.reshape(b, -1, f))
    assert without is not None
    lost: Floats = whole[:, :, None] - without.reshape(b, len(REASONS), m).transpose(0, 2, 1)
    return lost


def named_events(described: Described, reasons: Integers) -> Integers:
    """Which event (place, 0 the newest) a reason names: reasons [b, m] (indices of ``REASONS``) -> [b, m].

    Of all events the one that is most similar, or most visited together; -1 for reasons that name none.
    """
    most_similar = described.similar.argmax(axis=1)  # [b, m]
    most_together = described.together.argmax(axis=1)
    together = (reasons == REASONS.index(TOGETHER)) & (described.together.max(axis=1) > 0)
    named: Integers = np.where(together, most_together, -1)
    similar = (reasons == REASONS.index(SIMILAR)) & (described.similar.max(axis=1) > 0)
    return np.where(similar, most_similar, named)


def plain_parts(shown: Floats) -> Floats:
    """The two terms of the plain score: shown [b, m, F] -> [b, m, parts], -inf for the others.

    What nobody turned to together with the user's items is not there for that, however unlike it is.
    """
    found = np.full((*shown.shape[:2], len(REASONS)), -np.inf, np.float32)
    found[:, :, REASONS.index(SIMILAR)] = shown[:, :, INTEREST]
    covisited = shown[:, :, COVISITED]
    found[:, :, REASONS.index(TOGETHER)] = np.where(covisited > 0, covisited, -np.inf)
    return found
