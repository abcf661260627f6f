"""A ranker for a target from a parent's: tuned where rows are enough, kept where better than the parent's."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from math import nan
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from encoders.progress import Progress, no_progress
from encoders.ranked_rows import Values, ndcg_of_rows, tensors_of
from encoders.ranker import (
    Ranker,
    RankerConfig,
    RankerOutcome,
    RankingRows,
    listwise_loss,
    sample_of,
    train_ranker,
)
from encoders.torch_context import seeded, torch_threads
from encoders.tuning import Anchor
from encoders.validation import beyond_noise

LEAST_ROWS: Final = 150
"""Below this nothing is tuned: noise could not be told from progress."""
LEAST_TRAINED: Final = 30
"""Below this not even an unguarded ranker is trained."""
CROSS_FITTED: Final = 4_000
"""Below so many rows a parent's ranker is judged by cross-fitting: a held-out part would be too small."""
FOLDS: Final = 4
FEW_ROWS: Final = 2_000
HELD_OF_FEW: Final = 0.3
"""Share held out of few rows, in place of ``RankerConfig.held_out``: the choice rests on it."""
ERRORS: Final = 2.0
"""Standard errors that count as noise on held-out rows: the best of many epochs is better by one, often,
by chance."""
CROSS_ERRORS: Final = 0.5
"""The same of what is cross-fitted, where all rows are asked, and the parent's weights pull."""
PULL: Final = 0.1
"""Decoupled weight decay towards the parent's weights."""


@dataclass(frozen=True, slots=True)
class TunedRanker:
    """What orders the candidates of a target."""

    ranker: Ranker | None
    """``None``: the plain score orders better than what was learned."""
    improved: bool
    """Whether it is another than the one that it began from."""
    rows: int
    before: float = nan
    """NDCG@10 of what it began from, the parent's ranker or the plain score, on the rows of ``after``."""
    after: float = nan
    """NDCG@10 on rows that were not learned from: held out, or each by rankers of the other folds."""
    steps: int = 0
    """Batches of an epoch of the training, kept or not."""
    curve: tuple[float, ...] = ()
    """NDCG@10 on the held-out rows after each epoch."""
    unseen: Values = field(default_factory=lambda: np.zeros(0))
    """[rows]: NDCG@10 of each row, by a ranker that has not learned from it; NaN where there is none. Of
    ``tune_ranker`` alone: what is believed is compared with nothing."""


def tune_ranker(
    start: Ranker | None, rows: RankingRows, config: RankerConfig, progress: Progress = no_progress
) -> TunedRanker:
    """Tune ``start`` on a target's rows; without one, train from nothing against the plain score.

    The same seed and threads give the same weights. Standardisation stays the parent's, so that its weights
    keep their meaning. Features that never varied for the parent are learned here; where there are any, a
    ranker that begins anew is tried as well. Fewer than ``LEAST_ROWS`` rows leave things as they are. Of
    fewer than ``CROSS_FITTED`` each is ordered by a ranker that was tuned on the others (Stone, "Cross-
    validatory choice and assessment of statistical predictions", 1974): all of them decide how many epochs
    are enough and whether it is worth it, and then all of them are learned from. With more rows, or where
    a ranker begins anew, a part is held out.
    """
    count = len(rows.targets)
    if count < LEAST_ROWS:
        return TunedRanker(start, False, count, unseen=ndcg_of_rows(start, rows))
    with seeded(config.seed), torch_threads(config.threads):
        held, train = _parted(rows, config)
        if start is None:
            found = train_ranker([rows.take(train)], config, progress)
            return _better_of(None, found, rows, held)
        asleep = bool(start.asleep(_sample(rows)).any())
        if count < CROSS_FITTED and not asleep:
            return _cross_fitted(start, rows, config, progress)
        found = _tuned(start, rows.take(train), rows.take(held), config, progress)
        if asleep:
            anew = train_ranker([rows.take(train)], config, progress, held=rows.take(held))
            found = max(found, anew, key=lambda one: one.ndcg_at_10)
        return _better_of(start, found, rows, held)


def believed_ranker(rows: RankingRows, config: RankerConfig, progress: Progress = no_progress) -> TunedRanker:
    """Train from nothing, as ``tune_ranker`` would, and keep what comes out: no guard.

    The best epoch on the held-out rows; with fewer than ``LEAST_TRAINED`` rows there is no ranker.
    """
    count = len(rows.targets)
    if count < LEAST_TRAINED:
        return TunedRanker(None, False, count)
    held_rows, train = _parted(rows, config)
    held = rows.take(held_rows)
    sized = msgspec.structs.replace(config, batch_size=_batch_size(config, len(train)))
    found = train_ranker([rows.take(train)], sized, progress, held=held)
    before = float(ndcg_of_rows(None, held).mean())
    return TunedRanker(found.ranker, True, count, before, found.ndcg_at_10, found.steps, found.curve)


def held_out(rows: RankingRows, config: RankerConfig) -> RankingRows:
    """The rows to choose by: of nearly the same users for any system's rows of them."""
    return rows.take(_parted(rows, config)[0])


def _parted(rows: RankingRows, config: RankerConfig) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which rows are held out, and which are trained on."""
    count = len(rows.targets)
    questions = np.arange(count) if rows.questions is None else rows.questions
    # A number for each question, the same however many there are.
    draws = np.random.default_rng(config.seed).random(int(questions.max(initial=0)) + 1)
    held_share = HELD_OF_FEW if count < FEW_ROWS else config.held_out
    held, train = np.split(np.argsort(draws[questions]), [round(count * held_share)])
    return held, train


def _only(held: npt.NDArray[np.int64], values: Values) -> Values:
    """NaN for all rows but those held out."""
    found = np.full(len(values), nan)
    found[held] = values[held]
    return found


def _batch_size(config: RankerConfig, rows: int) -> int:
    """Few rows, smaller batches: an epoch needs steps."""
    return max(16, min(config.batch_size, rows // 8))


def _steps(config: RankerConfig, rows: int) -> int:
    return -(-rows // _batch_size(config, rows))


def _better_of(
    start: Ranker | None, found: RankerOutcome, rows: RankingRows, held: npt.NDArray[np.int64]
) -> TunedRanker:
    before, after = ndcg_of_rows(start, rows), ndcg_of_rows(found.ranker, rows)
    improved = beyond_noise(after[held], before[held], ERRORS)
    return TunedRanker(
        found.ranker if improved else start,
        improved,
        len(before),
        float(before[held].mean()),
        float((after if improved else before)[held].mean()),
        found.steps,
        found.curve,
        _only(held, after) if improved else before,
    )


def _tuned(
    start: Ranker, rows: RankingRows, held: RankingRows, config: RankerConfig, progress: Progress
) -> RankerOutcome:
    """The epoch that is best on the held-out rows, from the parent's weights."""
    curve: list[float] = []
    best, best_epoch, weights = float(ndcg_of_rows(start, held).mean()), 0, start.state_dict()
    for epoch, ranker in enumerate(_epochs(start, rows, config), 1):
        curve.append(float(ndcg_of_rows(ranker, held).mean()))
        progress("ranker", epoch, config.epochs, f"held-out NDCG@10 {curve[-1]:.4f}")
        if curve[-1] > best:
            best, best_epoch, weights = curve[-1], epoch, copy.deepcopy(ranker.state_dict())
    ranker.load_state_dict(weights)
    count = len(rows.targets)
    return RankerOutcome(ranker.eval(), best, best_epoch, count, _steps(config, count), tuple(curve))


def _cross_fitted(start: Ranker, rows: RankingRows, config: RankerConfig, progress: Progress) -> TunedRanker:
    """As many epochs on all rows as are best where each row is ordered by what the other folds taught."""
    values = _of_other_folds(start, rows, config, progress)  # [epochs + 1, r]
    best = int(values.mean(axis=1).argmax())
    improved = beyond_noise(values[best], values[0], CROSS_ERRORS)
    kept = best if improved else 0
    ranker = [start, *islice(_epochs(start, rows, config), kept)][-1]
    count, held = len(rows.targets), _parted(rows, config)[0]
    return TunedRanker(
        ranker,
        improved,
        count,
        float(values[0].mean()),
        float(values[kept].mean()),
        _steps(config, count),
        tuple(values[1:, held].mean(axis=1).tolist()),
        values[kept],
    )


def _of_other_folds(start: Ranker, rows: RankingRows, config: RankerConfig, progress: Progress) -> Values:
    """NDCG@10 [epochs + 1, r] of each row after so many epochs on the rows of the other folds."""
    count = len(rows.targets)
    values = np.empty((config.epochs + 1, count))
    values[0] = ndcg_of_rows(start, rows)
    order = np.random.default_rng(config.seed).permutation(count)
    for done, fold in enumerate(np.array_split(order, FOLDS), 1):
        others, held = rows.take(np.setdiff1d(order, fold)), rows.take(fold)
        for epoch, ranker in enumerate(_epochs(start, others, config), 1):
            values[epoch, fold] = ndcg_of_rows(ranker, held)
        progress("ranker, folds", done, FOLDS, "")
    return values


def _epochs(start: Ranker, rows: RankingRows, config: RankerConfig) -> Iterator[Ranker]:
    """One network, from the weights of ``start``, after each epoch on ``rows``."""
    ranker = copy.deepcopy(start)
    ranker.awaken(_sample(rows))
    anchor = Anchor(dict(ranker.named_parameters()), PULL)
    optimizer = torch.optim.AdamW(ranker.parameters(), lr=config.learning_rate, weight_decay=0.0)
    count = len(rows.targets)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.epochs * _steps(config, count), pct_start=0.1
    )
    features, real, targets = tensors_of(rows)
    for _ in range(config.epochs):
        ranker.train()
        for chosen in torch.split(torch.randperm(count), _batch_size(config, count)):
            loss = listwise_loss(ranker(features[chosen].float()), real[chosen], targets[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            anchor.pull(float(schedule.get_last_lr()[0]))
            schedule.step()
        yield ranker.eval()


def _sample(rows: RankingRows) -> torch.Tensor:
    """Features [k, F] of the candidates of some rows."""
    features, real, targets = tensors_of(rows)
    return sample_of(features, real, torch.arange(len(targets)))
