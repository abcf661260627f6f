"""What the ranker sees of a candidate: one definition for training and serving, numpy alone.

Names and inputs are in ``feature_inputs``, how each column is computed in ``feature_columns``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from encoders.feature_columns import columns
from encoders.feature_inputs import (
    DETAILED,
    FEATURES,
    GROUPS,
    LONG,
    MAX_HISTORY,
    PADDING,
    SLOW,
    Catalogue,
    Floats,
    Histories,
    Integers,
    histories_of,
    mask_without,
)
from encoders.feature_question import Question

__all__ = [
    "DETAILED",
    "FEATURES",
    "GROUPS",
    "LONG",
    "MAX_HISTORY",
    "PADDING",
    "SLOW",
    "Catalogue",
    "Described",
    "Floats",
    "Histories",
    "Integers",
    "describe",
    "features",
    "histories_of",
    "mask_without",
]


@dataclass(frozen=True, slots=True)
class Described:
    """Candidates as the ranker sees them, and what each newer event of the history has to do with it."""

    features: Floats
    """[b, c, F], finite, in the order of ``FEATURES``; 0 for ``PADDING``."""
    similar: Floats
    """[b, t, c]: similarity of a candidate to an event's item, decayed by the event's place; t at most
    ``DETAILED``."""
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
    question = Question(histories, interests, candidates, catalogue)
    found = np.zeros((len(FEATURES), *candidates.shape), np.float32)  # [F, b, c]: each column in one piece
    for place, column in enumerate(columns(question)):
        found[place] = column
    found *= question.real
    return Described(
        np.ascontiguousarray(found.transpose(1, 2, 0)), question.decayed_similar, question.decayed_together
    )
