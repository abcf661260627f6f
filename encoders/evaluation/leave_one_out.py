"""The papers' protocol for order-only data: given a history, rank the whole catalogue for the next item.

Full ranking over all items, no sampling of negatives, the history not masked, so that figures stand beside
the published ones (Hou et al., UniSRec, KDD 2022). One target a case: recall is the hit rate, and precision
at k is recall / k. Ties count against the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from encoders.datasets.dataset import Case, LeaveOneOut
from encoders.evaluation import metrics
from encoders.evaluation.methods import Method
from encoders.evaluation.metrics import Ranks

CUTOFFS = (10, 50)
BATCH = 512
"""Cases scored at once: bounds the score matrix to 512 x n_items floats."""


def evaluate(method: Method, split: LeaveOneOut, n_items: int) -> dict[str, float]:
    """Fit the method on the split's training part and rank its test targets; metrics by name, such as
    ``recall_at_10``, each averaged over all test cases.
    """
    method.fit(split.sequences, n_items)
    recommended = np.zeros(n_items, dtype=np.bool_)
    batches = [_rank(method, batch, recommended) for batch in _by_length(split.test)]
    ranks = np.concatenate(batches)[:, None]  # [cases, 1]
    found = {f"recall_at_{k}": metrics.recall(ranks, k) for k in CUTOFFS}
    found |= {f"ndcg_at_{k}": metrics.ndcg(ranks, k) for k in CUTOFFS}
    found["precision_at_10"] = metrics.precision(ranks, 10)
    means = {name: float(values.mean()) for name, values in found.items()}
    return means | {"coverage_at_10": metrics.coverage(recommended)}


def _rank(method: Method, cases: Sequence[Case], recommended: npt.NDArray[np.bool_]) -> Ranks:
    """Ranks of the targets [b]; marks the ten best of each case in ``recommended`` [n_items]."""
    scores = method.scores([history for history, _ in cases])  # [b, n_items]
    recommended[metrics.top_k(scores, 10)] = True
    return metrics.ranks_of(scores, np.array([target for _, target in cases], dtype=np.int64))


def _by_length(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """Batches of similar history lengths, so that little is spent on padding."""
    ordered = sorted(cases, key=lambda case: len(case[0]))
    return (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH))
