"""How much data a model needs: samples of a published split."""

from __future__ import annotations

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
