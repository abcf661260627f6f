"""Ranking metrics from the ranks of what the user did next, vectorised, one value a case.

``ranks`` is [cases, targets], 1 = best; 0 pads cases that have fewer targets than others. The metrics return
float64 [cases], so that a caller can average all of them or a part; a case without targets gives 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]


def ranks_of(scores: Scores, targets: Ranks) -> Ranks:
    """The rank of each case's target among all items: scores [b, n], targets [b] -> [b], from 1 to n.

    Ties count against the target (every other item with the same score comes first), so that no method wins
    by scoring everything alike; a target whose score is not a number is last.
    """
    own = np.take_along_axis(scores, targets[:, None], axis=1)  # [b, 1]
    below: Ranks = (scores < own).sum(axis=1, dtype=np.int64)
    return np.int64(scores.shape[1]) - below


def recall(ranks: Ranks, k: int) -> Values:
    """Share of a case's targets among the first k (Manning et al., Information Retrieval, 8.3)."""
    return _found(ranks, k) / np.maximum(_relevant(ranks), 1)


def precision(ranks: Ranks, k: int) -> Values:
    """Share of the first k places that hold a target (Manning et al., 8.4)."""
    return _found(ranks, k) / k


def hit_rate(ranks: Ranks, k: int) -> Values:
    """1 where at least one target is among the first k, else 0; with one target the same as recall."""
    return np.minimum(_found(ranks, k), 1.0)


def mrr(ranks: Ranks, k: int) -> Values:
    """1 / rank of the first target, 0 where it is beyond k (Voorhees, TREC-8 question answering, 1999)."""
    reciprocal = 1.0 / np.maximum(ranks, 1)
    first: Values = np.where(_within(ranks, k), reciprocal, 0.0).max(axis=1, initial=0.0)
    return first


def ndcg(ranks: Ranks, k: int) -> Values:
    """Sum of 1 / log2(1 + rank) within k, over the largest possible (Järvelin & Kekäläinen, TOIS 2002)."""
    gains: Values = np.where(_within(ranks, k), 1.0 / np.log2(1.0 + np.maximum(ranks, 1)), 0.0).sum(axis=1)
    best = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])
    ideal = best[np.minimum(_relevant(ranks), k)]
    return gains / np.where(ideal > 0, ideal, 1.0)


def top_k(scores: Scores, k: int) -> Ranks:
    """The k best items of each case: scores [b, n] -> [b, min(k, n)], in no particular order."""
    if k >= scores.shape[1]:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(-scores, k - 1, axis=1)[:, :k].astype(np.int64, copy=False)


def coverage(recommended: npt.NDArray[np.bool_]) -> float:
    """Share of the catalogue [n] that anybody was recommended (Ge et al., Beyond Accuracy, RecSys 2010)."""
    return float(recommended.mean())


def novelty(recommended: Ranks, popularity: Values) -> Values:
    """Mean self-information of what was recommended, in bits (Zhou et al., PNAS 2010): -log2 of the share
    of events that an item has. recommended [cases, k] (-1: padding), popularity [n] (counts) -> [cases].

    One event is added to every item, so that one without events has a finite value. 0 for an empty list.
    """
    share = (popularity + 1.0) / (popularity + 1.0).sum()
    real = recommended >= 0
    total: Values = np.where(real, -np.log2(share)[recommended], 0.0).sum(axis=1)
    information: Values = total / np.maximum(real.sum(axis=1), 1)
    return information


def diversity(recommended: Ranks, vectors: Scores) -> Values:
    """Intra-list diversity: 1 - mean cosine of all pairs of a list (Ziegler et al., WWW 2005).

    recommended [cases, k] (-1: padding), vectors [n, d] of unit length -> [cases]; 0 for lists of one item.
    """
    real = recommended >= 0
    k = real.sum(axis=1)
    # [cases, d]; |sum|² = k + 2 · the sum over pairs
    total = (vectors[recommended] * real[:, :, None]).sum(axis=1)
    pairs: Values = ((total**2).sum(axis=1, dtype=np.float64) - k) / np.maximum(k * (k - 1), 1)
    found: Values = np.where(k > 1, 1.0 - pairs, 0.0)
    return found


def interval(
    values: Values, *, seed: int = 0, draws: int = 1_000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values`` [cases] (Efron & Tibshirani 1993, chapter 13).

    Whole cases are drawn again with replacement; the same seed gives the same interval.
    """
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _within(ranks: Ranks, k: int) -> npt.NDArray[np.bool_]:
    return (ranks >= 1) & (ranks <= k)


def _found(ranks: Ranks, k: int) -> Values:
    count: Values = _within(ranks, k).sum(axis=1, dtype=np.float64)
    return count


def _relevant(ranks: Ranks) -> Ranks:
    count: Ranks = (ranks >= 1).sum(axis=1, dtype=np.int64)
    return count
