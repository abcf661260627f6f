"""What towers are worth on held-out targets: full ranking of the catalogue, task by task.

Torch, for training; ``encoders/evaluation`` evaluates whole systems and knows no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from encoders.batching import Batch, Sequences, TrainingSequences, pad
from encoders.domains import Domain
from encoders.events import EventType
from encoders.towers import Towers, UserTower

Values = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CUTOFF = 10
TASKS = {EventType.CLICK: "click", EventType.PURCHASE: "purchase"}


@dataclass(frozen=True, slots=True)
class Ranking:
    """Per validation row: NDCG@10 [n] and whether the target was among the ten best [n]."""

    ndcg: Values
    hit: Values

    @classmethod
    def of(cls, ranks: Integers) -> Ranking:
        """From 0-based ranks of the targets [n]; one relevant item, so NDCG@10 = 1 / log2(rank + 2)."""
        hit = ranks < CUTOFF
        return cls(np.where(hit, 1.0 / np.log2(ranks + 2.0), 0.0), hit.astype(np.float64))


@dataclass(frozen=True, slots=True)
class _Held:
    """The rows of one domain that are ranked."""

    white: Tensor
    histories: Sequences
    targets: Integers
    types: Integers


class Validation:
    """Held-out rows of one or several domains, sampled once, so that every ranking is of the same rows."""

    def __init__(self, domains: Sequence[Domain], max_rows: int, max_length: int, seed: int) -> None:
        """At most ``max_rows`` in all, drawn evenly; histories' newest ``max_length`` events are read."""
        share = max_rows // max(len(domains), 1)
        held = (_sample(domain, share, seed) for domain in domains)
        self._held = [part for part in held if part is not None]
        self._max_length = max_length

    def __bool__(self) -> bool:
        return bool(self._held)

    def rank(self, towers: Towers) -> Ranking:
        """Rank all items of each row's own catalogue."""
        ranks = [
            rank_targets(towers, part.white, part.histories, part.targets, self._max_length)
            for part in self._held
        ]
        return Ranking.of(np.concatenate([np.empty(0, dtype=np.int64), *ranks]))

    def by_task(self, ranking: Ranking) -> dict[str, float]:
        """NDCG@10 and recall@10 of next clicks and of next purchases apart; a task without rows has none."""
        types = np.concatenate([np.empty(0, dtype=np.int64), *(part.types for part in self._held)])
        found: dict[str, float] = {}
        for kind, name in TASKS.items():
            rows = types == kind
            if rows.any():
                found[f"next_{name}_ndcg_at_10"] = float(ranking.ndcg[rows].mean())
                found[f"next_{name}_recall_at_10"] = float(ranking.hit[rows].mean())
        return found


def beyond_noise(now: Values, before: Values, errors: float = 1.0) -> bool:
    """Whether the mean of ``now - before`` [n], paired by row, is more than ``errors`` standard errors."""
    gain = now - before
    noise = float(gain.std(ddof=1)) / math.sqrt(len(gain)) if len(gain) > 1 else 0.0
    return len(gain) > 0 and float(gain.mean()) > errors * noise


def rank_targets(
    towers: Towers, white: Tensor, histories: Sequences, targets: Integers, max_length: int
) -> Integers:
    """Full ranking without masking: 0-based ranks [n] of the targets [n] after each history's last events.

    ``white`` [items, text_dim] are the catalogue's whitened text vectors. Ties count against the target, so
    that a model that says nothing does not look good.
    """
    towers.eval()
    starts = np.maximum(histories.offsets[:-1], histories.offsets[1:] - max_length)
    pieces = np.stack([starts, histories.offsets[1:]], axis=1)  # [n, 2]
    ranks = np.empty(len(histories), dtype=np.int64)
    by_length = np.argsort(pieces[:, 1] - pieces[:, 0], kind="stable")
    with torch.no_grad():
        items = towers.item.refine(white)  # [items, d]
        for start in range(0, len(histories), 512):
            rows = by_length[start : start + 512]
            scores = _last_interests(towers.user, items, pad(histories, pieces[rows])) @ items.T  # [b, items]
            wanted = scores.gather(1, torch.from_numpy(targets[rows]).unsqueeze(1))  # [b, 1]
            ranks[rows] = (scores >= wanted).sum(dim=1).numpy() - 1
    return ranks


def mean(values: Values) -> float:
    """The mean of [n]; nan without any."""
    return float(values.mean()) if len(values) else math.nan


def _last_interests(user: UserTower, items: Tensor, batch: Batch) -> Tensor:
    """Interests after each whole history, [b, d]."""
    history = items[torch.from_numpy(batch.items)]  # [b, t, d]
    every = user.sequence(history, torch.from_numpy(batch.event_types), torch.from_numpy(batch.gaps))
    return every[torch.arange(len(every)), torch.from_numpy(batch.lengths - 1)]


def _sample(domain: Domain, max_rows: int, seed: int) -> _Held | None:
    data: TrainingSequences = domain.data
    if data.valid is None or len(data.valid) == 0:
        return None
    rows = np.arange(len(data.valid))
    if len(rows) > max_rows:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), max_rows, replace=False))
    histories = data.valid if len(rows) == len(data.valid) else data.valid.take(rows)
    types = data.valid_types[rows] if len(data.valid_types) else np.full(len(rows), -1)
    return _Held(domain.white, histories, data.valid_targets[rows], types)
