"""The papers' protocol for order-only data: given a history, rank the whole catalogue for the next item.

Full ranking over all items, no sampling of negatives, the history not masked, so that figures stand beside
the published ones (Hou et al., UniSRec, KDD 2022). One target a case: recall is the hit rate, and precision
at k is recall / k. Ties count against the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from encoders.datasets.dataset import Case, LeaveOneOut
from encoders.evaluation import metrics
from encoders.evaluation.methods import Histories, Method
from encoders.evaluation.metrics import Ranks, Scores, Values

CUTOFFS = (10, 50)
INTERVALS = ("recall_at_10", "ndcg_at_10")
"""Metrics that get a bootstrap interval."""
BATCH = 512
"""Cases scored at once: bounds the score matrix to 512 x n_items floats."""


def evaluate(
    method: Method,
    split: LeaveOneOut,
    n_items: int,
    *,
    vectors: Scores | None = None,
    train_only: bool = False,
    seed: int = 0,
) -> dict[str, float]:
    """Fit the method and rank its test targets; metrics by name, such as ``recall_at_10``, each averaged over
    all test cases, with the ends of seeded 95 % bootstrap intervals.

    Methods are fitted on everything a user did before the test target, the validation target too; with
    ``train_only`` on the training part alone. ``vectors`` [n_items, d] (unit length) add the diversity.
    """
    known = split.sequences if train_only else [history for history, _ in split.test]
    method.fit(known, n_items)
    batches = [_rank(method, batch) for batch in _by_length(split.test)]
    ranks = np.concatenate([ranks for ranks, _ in batches])[:, None]  # [cases, 1]
    lists = np.concatenate([best for _, best in batches])  # [cases, 10]
    found = {f"recall_at_{k}": metrics.recall(ranks, k) for k in CUTOFFS}
    found |= {f"ndcg_at_{k}": metrics.ndcg(ranks, k) for k in CUTOFFS}
    found["precision_at_10"] = metrics.precision(ranks, 10)
    found["hit_rate_at_10"] = metrics.hit_rate(ranks, 10)
    found["mrr_at_10"] = metrics.mrr(ranks, 10)
    found["novelty_at_10"] = metrics.novelty(lists, _counts(known, n_items))
    if vectors is not None:
        found["diversity_at_10"] = metrics.diversity(lists, vectors)
    means = {name: float(values.mean()) for name, values in found.items()}
    means["coverage_at_10"] = metrics.coverage(np.isin(np.arange(n_items), lists))
    for name in INTERVALS:
        means[f"{name}_low"], means[f"{name}_high"] = metrics.interval(found[name], seed=seed)
    return means


def _counts(sequences: Histories, n_items: int) -> Values:
    items = np.fromiter((item for sequence in sequences for item in sequence), dtype=np.int64)
    return np.bincount(items, minlength=n_items).astype(np.float64)


def _rank(method: Method, cases: Sequence[Case]) -> tuple[Ranks, Ranks]:
    """Ranks of the targets [b], and the ten best items of each case [b, 10]."""
    scores = method.scores([history for history, _ in cases])  # [b, n_items]
    targets = np.array([target for _, target in cases], dtype=np.int64)
    return metrics.ranks_of(scores, targets), metrics.top_k(scores, 10)


def _by_length(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """Batches of similar history lengths, so that little is spent on padding."""
    ordered = sorted(cases, key=lambda case: len(case[0]))
    return (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH))
