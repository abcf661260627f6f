"""A ranker for a target from a parent's: tuned where rows are enough, kept where better beyond noise."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from math import nan

import numpy as np
import torch
from torch import Tensor

from encoders.features import FEATURES
from encoders.progress import Progress, no_progress
from encoders.ranker import (
    Ranker,
    RankerConfig,
    RankingRows,
    listwise_loss,
    ndcg_of,
    scores_of,
    train_ranker,
)
from encoders.torch_context import seeded, torch_threads
from encoders.tuning import Anchor
from encoders.two_stage import COVISITED, INTEREST
from encoders.validation import beyond_noise

HAD = FEATURES.index("had")
LEAST_ROWS = 150
"""Below this nothing is tuned: a held-out part could not tell noise from progress."""
FEW_ROWS = 2_000
HELD_OF_FEW = 0.3
"""Share held out of few rows, in place of ``RankerConfig.held_out``: the choice rests on it."""
ERRORS = 2.0
"""Standard errors that count as noise: the best of many epochs is better by one, often, by chance."""
RATE = 0.3
"""Factor on ``RankerConfig.learning_rate`` when a parent's ranker is tuned."""
PULL = 0.1
"""Decoupled weight decay towards the parent's weights."""


@dataclass(frozen=True, slots=True)
class TunedRanker:
    """What orders the candidates of a target."""

    ranker: Ranker | None
    """``None``: the plain score orders better than what was learned."""
    improved: bool
    """Whether it is another than the one that it began from."""
    rows: int
    before: float
    """NDCG@10 on the held-out rows of what it began from: the parent's ranker, or the plain score."""
    after: float


def tune_ranker(
    start: Ranker | None, rows: RankingRows, config: RankerConfig, progress: Progress = no_progress
) -> TunedRanker:
    """Tune ``start`` on a target's rows; without one, train from nothing against the plain score.

    The same seed and threads give the same weights. Standardisation stays the parent's, so that its weights
    keep their meaning. Fewer than ``LEAST_ROWS`` rows leave things as they are.
    """
    count = len(rows.targets)
    if count < LEAST_ROWS:
        return TunedRanker(start, False, count, nan, nan)
    order = np.random.default_rng(config.seed).permutation(count)
    held_share = HELD_OF_FEW if count < FEW_ROWS else config.held_out
    held, train = np.split(order, [round(count * held_share)])
    with seeded(config.seed), torch_threads(config.threads):
        if start is None:
            found: Ranker = train_ranker([_taken(rows, train)], config, progress).ranker
        else:
            found = _tuned(start, _taken(rows, train), _taken(rows, held), config, progress)
        return _better_of(start, found, _taken(rows, held), count)


def _better_of(start: Ranker | None, found: Ranker, held: RankingRows, count: int) -> TunedRanker:
    before, after = _ndcg(start, held).double().numpy(), _ndcg(found, held).double().numpy()
    improved = beyond_noise(after, before, ERRORS)
    return TunedRanker(
        found if improved else start,
        improved,
        count,
        float(before.mean()),
        float((after if improved else before).mean()),
    )


def _tuned(
    start: Ranker, rows: RankingRows, held: RankingRows, config: RankerConfig, progress: Progress
) -> Ranker:
    """The epoch that is best on the held-out rows, from the parent's weights at a lower rate."""
    ranker = copy.deepcopy(start)
    anchor = Anchor(dict(ranker.named_parameters()), PULL)
    optimizer = torch.optim.AdamW(ranker.parameters(), lr=config.learning_rate * RATE, weight_decay=0.0)
    batch = max(16, min(config.batch_size, len(rows.targets) // 8))
    steps = config.epochs * -(-len(rows.targets) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate * RATE, total_steps=steps, pct_start=0.1
    )
    features, real, targets = _tensors(rows)
    best, weights = float(_ndcg(start, held).mean()), copy.deepcopy(start.state_dict())
    for epoch in range(1, config.epochs + 1):
        ranker.train()
        for chosen in torch.split(torch.randperm(len(targets)), batch):
            loss = listwise_loss(ranker(features[chosen].float()), real[chosen], targets[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            anchor.pull(float(schedule.get_last_lr()[0]))
            schedule.step()
        found = float(_ndcg(ranker, held).mean())
        progress("ranker", epoch, config.epochs, f"held-out NDCG@10 {found:.4f}")
        if found > best:
            best, weights = found, copy.deepcopy(ranker.state_dict())
    ranker.load_state_dict(weights)
    return ranker.eval()


def _ndcg(ranker: Ranker | None, rows: RankingRows) -> Tensor:
    """NDCG@10 of each row [r]; without a ranker by the plain score, what the user had last
    (``candidates.fused``)."""
    features, real, targets = _tensors(rows)
    if ranker is None:
        plain = features[:, :, INTEREST] + features[:, :, COVISITED] - 10.0 * (features[:, :, HAD] > 0)
        return ndcg_of(plain.float(), real, targets)
    return ndcg_of(scores_of(ranker, features), real, targets)


def _tensors(rows: RankingRows) -> tuple[Tensor, Tensor, Tensor]:
    return torch.from_numpy(rows.features), torch.from_numpy(rows.real), torch.from_numpy(rows.targets)


def _taken(rows: RankingRows, chosen: np.ndarray) -> RankingRows:
    return RankingRows(rows.features[chosen], rows.real[chosen], rows.targets[chosen])
