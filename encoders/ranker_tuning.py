"""A ranker for a target from a parent's: tuned where rows are enough, kept where better beyond noise."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from encoders.features import FEATURES
from encoders.progress import Progress, no_progress
from encoders.ranker import (
    Ranker,
    RankerConfig,
    RankerOutcome,
    RankingRows,
    listwise_loss,
    ndcg_of,
    sample_of,
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
LEAST_TRAINED = 30
"""Below this not even an unguarded ranker is trained."""
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
    steps: int = 0
    """Batches of an epoch of the training, kept or not."""
    curve: tuple[float, ...] = ()
    """NDCG@10 on the held-out rows after each epoch."""


def tune_ranker(
    start: Ranker | None, rows: RankingRows, config: RankerConfig, progress: Progress = no_progress
) -> TunedRanker:
    """Tune ``start`` on a target's rows; without one, train from nothing against the plain score.

    The same seed and threads give the same weights. Standardisation stays the parent's, so that its weights
    keep their meaning. Features that never varied for the parent are learned here; where there are any, a
    ranker that begins anew is tried as well. Fewer than ``LEAST_ROWS`` rows leave things as they are.
    """
    count = len(rows.targets)
    if count < LEAST_ROWS:
        return TunedRanker(start, False, count, nan, nan)
    train, held = held_out(rows, config)
    with seeded(config.seed), torch_threads(config.threads):
        if start is None:
            found = train_ranker([train], config, progress)
        else:
            found = _tuned(start, train, held, config, progress)
            if start.asleep(_sample(train)).any():
                anew = train_ranker([train], config, progress, held=held)
                found = max(found, anew, key=lambda one: one.ndcg_at_10)
        return _better_of(start, found, held, count)


def believed_ranker(rows: RankingRows, config: RankerConfig, progress: Progress = no_progress) -> TunedRanker:
    """Train from nothing, as ``tune_ranker`` would, and keep what comes out: no guard.

    The best epoch on the held-out rows; with fewer than ``LEAST_TRAINED`` rows there is no ranker.
    """
    count = len(rows.targets)
    if count < LEAST_TRAINED:
        return TunedRanker(None, False, count, nan, nan)
    train, held = held_out(rows, config)
    sized = msgspec.structs.replace(config, batch_size=_batch_size(config, len(train.targets)))
    found = train_ranker([train], sized, progress, held=held)
    before = float(ndcg_of_rows(None, held).mean())
    return TunedRanker(found.ranker, True, count, before, found.ndcg_at_10, found.steps, found.curve)


def held_out(rows: RankingRows, config: RankerConfig) -> tuple[RankingRows, RankingRows]:
    """Rows to train on, and rows to choose by: of nearly the same users for any system's rows of them."""
    count = len(rows.targets)
    if rows.questions is None:
        order = np.random.default_rng(config.seed).permutation(count)
    else:
        order = np.argsort(_draws(int(rows.questions.max()) + 1, config)[rows.questions])
    held_share = HELD_OF_FEW if count < FEW_ROWS else config.held_out
    held, train = np.split(order, [round(count * held_share)])
    return rows.take(train), rows.take(held)


def _draws(count: int, config: RankerConfig) -> npt.NDArray[np.float64]:
    """A number for each question: the same for a question however many there are."""
    return np.random.default_rng(config.seed).random(count)


def ndcg_of_systems(
    systems: Sequence[tuple[Ranker | None, RankingRows]], config: RankerConfig
) -> list[npt.NDArray[np.float64]]:
    """NDCG@10 [q] of each system's order (``None``: the plain score) on the q questions that all held out.

    Rows must know their ``questions``; one whose target a system did not retrieve counts as 0 for it.
    """
    held = [held_out(rows, config)[1] for _, rows in systems]
    draws = _draws(1 + max(int(_known(rows.questions).max(initial=0)) for _, rows in systems), config)
    limit = min(draws[_known(rows.questions)].max(initial=0.0) for rows in held)
    asked = draws <= limit
    found = []
    for (ranker, _), rows in zip(systems, held, strict=True):
        both = rows.take(np.flatnonzero(asked[_known(rows.questions)]))
        ndcg = np.zeros(len(draws))
        if len(both.targets):
            ndcg[_known(both.questions)] = ndcg_of_rows(ranker, both).double().numpy()
        found.append(ndcg[asked])
    return found


def _known(questions: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64]:
    if questions is None:
        raise ValueError("these rows do not know their questions")
    return questions


def _batch_size(config: RankerConfig, rows: int) -> int:
    """Few rows, smaller batches: an epoch needs steps."""
    return max(16, min(config.batch_size, rows // 8))


def _better_of(start: Ranker | None, found: RankerOutcome, held: RankingRows, count: int) -> TunedRanker:
    before = ndcg_of_rows(start, held).double().numpy()
    after = ndcg_of_rows(found.ranker, held).double().numpy()
    improved = beyond_noise(after, before, ERRORS)
    return TunedRanker(
        found.ranker if improved else start,
        improved,
        count,
        float(before.mean()),
        float((after if improved else before).mean()),
        found.steps,
        found.curve,
    )


def _tuned(
    start: Ranker, rows: RankingRows, held: RankingRows, config: RankerConfig, progress: Progress
) -> RankerOutcome:
    """The epoch that is best on the held-out rows, from the parent's weights at a lower rate."""
    ranker = copy.deepcopy(start)
    ranker.awaken(_sample(rows))
    anchor = Anchor(dict(ranker.named_parameters()), PULL)
    optimizer = torch.optim.AdamW(ranker.parameters(), lr=config.learning_rate * RATE, weight_decay=0.0)
    batch = _batch_size(config, len(rows.targets))
    steps = -(-len(rows.targets) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate * RATE, total_steps=config.epochs * steps, pct_start=0.1
    )
    features, real, targets = _tensors(rows)
    curve: list[float] = []
    best, best_epoch = float(ndcg_of_rows(start, held).mean()), 0
    weights = copy.deepcopy(start.state_dict())
    for epoch in range(1, config.epochs + 1):
        ranker.train()
        for chosen in torch.split(torch.randperm(len(targets)), batch):
            loss = listwise_loss(ranker(features[chosen].float()), real[chosen], targets[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            anchor.pull(float(schedule.get_last_lr()[0]))
            schedule.step()
        found = float(ndcg_of_rows(ranker, held).mean())
        curve.append(found)
        progress("ranker", epoch, config.epochs, f"held-out NDCG@10 {found:.4f}")
        if found > best:
            best, best_epoch, weights = found, epoch, copy.deepcopy(ranker.state_dict())
    ranker.load_state_dict(weights)
    return RankerOutcome(ranker.eval(), best, best_epoch, len(targets), steps, tuple(curve))


def ndcg_of_rows(ranker: Ranker | None, rows: RankingRows) -> Tensor:
    """NDCG@10 of each row [r]; without a ranker by the plain score, what the user had last
    (``candidates.fused``)."""
    features, real, targets = _tensors(rows)
    if ranker is None:
        plain = features[:, :, INTEREST] + features[:, :, COVISITED] - 10.0 * (features[:, :, HAD] > 0)
        return ndcg_of(plain.float(), real, targets)
    return ndcg_of(scores_of(ranker, features), real, targets)


def _sample(rows: RankingRows) -> Tensor:
    """Features [k, F] of the candidates of some rows."""
    features, real, targets = _tensors(rows)
    return sample_of(features, real, torch.arange(len(targets)))


def _tensors(rows: RankingRows) -> tuple[Tensor, Tensor, Tensor]:
    return torch.from_numpy(rows.features), torch.from_numpy(rows.real), torch.from_numpy(rows.targets)
