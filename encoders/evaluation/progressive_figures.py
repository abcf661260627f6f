"""Figures of a replay: every metric for all, known users, new users and new items, with intervals by user."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.evaluation import metrics
from encoders.evaluation.bootstrap import difference_by_user, interval_by_user
from encoders.evaluation.metrics import Ranks, Values
from encoders.evaluation.progressive import PADDING, Replayed
from encoders.evaluation.timeline import Events, Integers, Mask, Stage, Vectors

CUTOFFS = (10, 20)
ACCURACY = {
    "ndcg": metrics.ndcg,
    "recall": metrics.recall,
    "precision": metrics.precision,
    "hit_rate": metrics.hit_rate,
    "mrr": metrics.mrr,
}
WITH_INTERVAL = ("ndcg_at_10", "recall_at_10")
GROUPS = ("all", "known_users", "new_users", "new_items", "new_items_again")
"""``known_users`` had an event before the split. ``new_items`` holds the baskets with an item that arrived
after it, and those items are its only targets. ``new_items_again`` leaves out the basket with which an item
arrives: as the catalogue learns of it just then, to recommend the newest item is to know the future."""
_ROWS = 4_096
"""Lists whose vectors are held in memory at a time."""

Figures = dict[str, float]


def figures(
    replayed: Replayed, past: Events, stage: Stage, vectors: Vectors | None = None, *, seed: int = 0
) -> dict[str, Figures]:
    """Metrics by group, each a mean over the group's baskets, such as ``["all"]["ndcg_at_10"]``.

    ``cases`` and ``users`` count what a group holds; one without cases has nothing else. Coverage is of the
    items that had arrived by the end. ``vectors`` [n_items, d] (unit length) add the diversity.
    """
    popularity = np.bincount(past.items, minlength=stage.n_items).astype(np.float64)
    found: dict[str, Figures] = {}
    for group, (rows, ranks) in _groups(replayed, past, stage).items():
        users, lists = replayed.users[rows], replayed.lists[rows]
        values = _accuracy(ranks) | _beyond(lists, popularity, vectors)
        found[group] = {"cases": float(len(users)), "users": float(len(np.unique(users)))}
        if len(users):
            found[group] |= {name: float(value.mean()) for name, value in values.items()}
            found[group] |= _coverage(replayed, lists, stage)
            for name in WITH_INTERVAL:
                ends = interval_by_user(values[name], users, seed=seed)
                found[group][f"{name}_low"], found[group][f"{name}_high"] = ends
    return found


def difference(
    ours: Replayed,
    theirs: Replayed,
    past: Events,
    stage: Stage,
    *,
    group: str = "all",
    metric: str = "ndcg_at_10",
    seed: int = 0,
) -> tuple[float, float, float]:
    """Mean of our metric less theirs, basket by basket, and the ends of its 95 % interval by user.

    Both must have replayed the same events. ``metric`` is an accuracy and a cutoff.
    """
    name, _, cutoff = metric.rpartition("_at_")
    (rows, own), (_, other) = (_groups(one, past, stage)[group] for one in (ours, theirs))
    values = [ACCURACY[name](ranks, int(cutoff)) for ranks in (own, other)]
    return difference_by_user(values[0], values[1], ours.users[rows], seed=seed)


def _groups(replayed: Replayed, past: Events, stage: Stage) -> dict[str, tuple[Integers, Ranks]]:
    """For each group its rows of the replay [c] and their ranks [c, t]."""
    ranks = replayed.ranks
    known = np.isin(replayed.users, past.users)
    new = (replayed.targets != PADDING) & ~stage.arrived[replayed.targets]
    arriving = stage.arrivals[replayed.targets] == replayed.seconds[:, None]
    chosen = {
        "all": ranks,
        "known_users": np.where(known[:, None], ranks, 0),
        "new_users": np.where(known[:, None], 0, ranks),
        "new_items": np.where(new, ranks, 0),
        "new_items_again": np.where(new & ~arriving, ranks, 0),
    }
    rows = {group: np.flatnonzero((ranks > 0).any(axis=1)) for group, ranks in chosen.items()}
    return {group: (rows[group], chosen[group][rows[group]]) for group in GROUPS}


def _accuracy(ranks: Ranks) -> dict[str, Values]:
    return {f"{name}_at_{k}": metric(ranks, k) for k in CUTOFFS for name, metric in ACCURACY.items()}


def _beyond(lists: Integers, popularity: Values, vectors: Vectors | None) -> dict[str, Values]:
    """Novelty and diversity of the lists [c, k]."""
    found = {}
    for k in CUTOFFS:
        found[f"novelty_at_{k}"] = metrics.novelty(lists[:, :k], popularity)
        if vectors is not None:
            parts = [metrics.diversity(part[:, :k], vectors) for part in _parts(lists)]
            found[f"diversity_at_{k}"] = np.concatenate(parts) if parts else np.empty(0)
    return found


def _parts(lists: Integers) -> Sequence[Integers]:
    return [lists[start : start + _ROWS] for start in range(0, len(lists), _ROWS)]


def _coverage(replayed: Replayed, lists: Integers, stage: Stage) -> Figures:
    arrived = np.flatnonzero(stage.arrivals <= replayed.seconds[-1])
    shown: dict[int, Mask] = {k: np.isin(arrived, lists[:, :k]) for k in CUTOFFS}
    return {f"coverage_at_{k}": metrics.coverage(mask) for k, mask in shown.items()}
