"""What each detector reads: a statistic, its thresholds, and the level. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from streams.drift.population import dispersion, score_counts, stability
from streams.drift.sequential import Change
from streams.drift.summary import DriftSummary, thinned
from streams.drift.text_shift import centroid_shift, mmd_shift
from streams.settings_sections import DriftSettings

COMPARED = 2
"""Texts and scores of the reference are at most this many times a window's: the cost of MMD is quadratic."""


class Level(IntEnum):
    """How much a detector is alarmed; the value of its metric."""

    NONE = 0
    WARNING = 1
    DRIFT = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """One detector now; ``drift`` and ``warning`` are the thresholds of ``statistic``."""

    detector: str
    statistic: float
    warning: float
    drift: float

    @property
    def level(self) -> Level:
        """Of this reading alone: how many windows it must last is the monitor's business."""
        if self.statistic > self.drift:
            return Level.DRIFT
        return Level.WARNING if self.statistic > self.warning else Level.NONE


STREAMS = ("recall", "ndcg", "cold_items", "cold_users")
"""What ADWIN and Page-Hinkley are fed."""


def window_readings(
    reference: Sequence[DriftSummary], window: DriftSummary, settings: DriftSettings, seed: int
) -> list[Reading]:
    """Compare a window with the reference's windows: about 0.1 s of one core, most of it MMD's permutations.

    A threshold is the larger of what chance makes and of what is worth a training: with many events, any
    difference is beyond chance.
    """
    alpha, most = settings.significance, COMPARED * settings.sample
    texts = thinned(np.concatenate([one.texts for one in reference]), most)
    scores = thinned(np.concatenate([one.scores for one in reference]), most)
    centroid = centroid_shift(texts, window.texts, alpha)
    mmd = mmd_shift(texts, window.texts, alpha, seed)
    readings = [
        _reading("interest_centroid", *centroid, settings.centroid),
        _reading("interest_mmd", *mmd, settings.mmd),
    ]
    for name in ("categories", "items"):
        counts = [getattr(one, name) for one in reference]
        found = stability(np.sum(counts, axis=0), getattr(window, name), alpha, dispersion(counts))
        readings.append(_reading(f"{name}_psi", *found, settings.psi))
    of_scores = stability(*score_counts(scores, window.scores), alpha)
    return [*readings, _reading("scores_psi", *of_scores, settings.psi)]


def stream_readings(stream: str, change: Change, settings: DriftSettings) -> list[Reading]:
    """What ADWIN and Page-Hinkley say of one stream."""
    worth = settings.cold_rise if stream.startswith("cold") else settings.accuracy_fall
    threshold = settings.page_hinkley
    return [
        Reading(f"{stream}_adwin", change.moved, worth / 2, worth),
        # The sum reaches its threshold and no more: an alarm is at it.
        Reading(f"{stream}_page_hinkley", change.sum, threshold / 2, math.nextafter(threshold, 0.0)),
    ]


def _reading(detector: str, statistic: float, chance: float, worth: float) -> Reading:
    return Reading(detector, statistic, max(chance, worth / 2), max(chance, worth))
