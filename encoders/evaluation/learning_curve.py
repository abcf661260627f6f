"""How much data a model needs: samples of a published split, and when a training came near its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoders.datasets.dataset import LeaveOneOut


def sampled(split: LeaveOneOut, interactions: int | None, seed: int) -> LeaveOneOut:
    """Whole users, drawn at random until they have as many interactions; all test cases stay.

    A user's training items and validation target count. ``None`` takes all users.
    """
    if interactions is None:
        return split
    chosen, have = [], 0
    for user in np.random.default_rng(seed).permutation(len(split.valid)).tolist():
        if have >= interactions:
            break
        chosen.append(user)
        have += len(split.sequences[user]) + 1
    return LeaveOneOut(
        [split.sequences[user] for user in chosen], [split.valid[user] for user in chosen], split.test
    )


@dataclass(frozen=True, slots=True)
class Progression:
    """One stage of a training."""

    start: float
    """The metric before the first step."""
    curve: Sequence[float]
    """After each epoch."""
    steps_per_epoch: int


def steps_to(value: float, stages: Sequence[Progression]) -> int | None:
    """Steps, through one stage after the other, until the metric reaches ``value``; ``None``: never."""
    done = 0
    for stage in stages:
        for epoch, reached in enumerate([stage.start, *stage.curve]):
            if reached >= value:
                return done + epoch * stage.steps_per_epoch
        done += len(stage.curve) * stage.steps_per_epoch
    return None
