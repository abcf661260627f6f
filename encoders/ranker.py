"""The second stage: a small network that scores candidates by their features. Torch; serving runs its graph.

Trained with the listwise softmax loss (Cao et al., "Learning to rank: from pairwise approach to listwise
approach", ICML 2007): of a user's candidates, the one that came next should be first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from msgspec import Meta
from torch import Tensor, nn

from encoders.config import Positive, PositiveFloat
from encoders.errors import DataError
from encoders.factors import ItemFactors
from encoders.features import FEATURES, mask_without
from encoders.losses import MASKED
from encoders.progress import Progress, no_progress
from encoders.torch_context import seeded, torch_threads

Kind = TypeVar("Kind", bound=np.generic)

UNLEARNED = 1e12
LEAST_SPREAD = 1e-6
"""Below it a feature does not vary."""
STANDARD_ROWS = 4_000
LIMIT = 6.0
"""Standard deviations beyond which a feature counts no further: another shop's outlier must not decide."""


class RankerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a ranker is trained."""

    seed: int = 0
    epochs: Positive = 12
    batch_size: Positive = 128
    hidden: Positive = 64
    learning_rate: PositiveFloat = 3e-3
    weight_decay: Annotated[float, Meta(ge=0.0)] = 1e-3
    dropout: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.1
    held_out: Annotated[float, Meta(gt=0.0, lt=0.5)] = 0.1
    """Share of the rows that early stopping looks at."""
    patience: Positive = 4
    threads: Positive = 2


@dataclass(frozen=True, slots=True)
class RankingRows:
    """What a ranker learns from: r questions with something that came next among the candidates."""

    features: npt.NDArray[np.floating]
    """[r, c, F], in half precision where memory matters."""
    real: npt.NDArray[np.bool_]
    """[r, c], false where a candidate is padding."""
    targets: npt.NDArray[np.bool_]
    """[r, c]: which candidates came next; at least one a row, more where a whole basket did."""
    questions: npt.NDArray[np.int64] | None = None
    """[r]: whose row each is, so that other rows for the same users can be split alike."""
    factors: ItemFactors | None = None
    """What the features of factors are to be read with in service; ``None``: there are none."""

    def take(self, rows: npt.NDArray[np.int64]) -> RankingRows:
        """Only these rows."""
        questions = None if self.questions is None else self.questions[rows]
        return replace(
            self,
            features=self.features[rows],
            real=self.real[rows],
            targets=self.targets[rows],
            questions=questions,
        )

    def without(self, groups: Iterable[str]) -> RankingRows:
        """With 0 for the features of these ``GROUPS``: what never varies is not learned, nor read later."""
        dropped = set(groups)
        mask = mask_without(dropped).astype(self.features.dtype)
        factors = None if "factors" in dropped else self.factors
        return replace(self, features=self.features * mask, factors=factors)


class Ranker(nn.Module):
    """Features [b, c, F] -> scores [b, c]; the standardisation is part of the graph."""

    mean: Tensor
    spread: Tensor

    def __init__(self, inputs: int = len(FEATURES), hidden: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2),
            nn.GELU(),
            nn.Linear(hidden // 2, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """[b, c, F] -> [b, c]."""
        standard = ((features - self.mean) / self.spread).clamp(-LIMIT, LIMIT)  # [b, c, F]
        scores: Tensor = self.layers(standard).squeeze(-1)  # [b, c]
        return scores

    def standardise(self, rows: Tensor) -> None:
        """Take mean and spread from feature rows [k, F].

        A feature that never varied was never learned (a shop without prices): it must say nothing in a shop
        that has it, so its spread is set beyond any value.
        """
        spread = rows.std(dim=0)
        self.mean.copy_(rows.mean(dim=0))
        self.spread.copy_(torch.where(spread > LEAST_SPREAD, spread, UNLEARNED))

    def asleep(self, rows: Tensor) -> Tensor:
        """Which features [F] never varied so far, and do in rows [k, F]."""
        return (self.spread > UNLEARNED / 2) & (rows.std(dim=0) > LEAST_SPREAD)

    def awaken(self, rows: Tensor) -> None:
        """Let features that never varied so far be learned from rows [k, F] in which they do.

        Scores stay as they are: what is awake begins with a weight of 0.
        """
        fresh = self.asleep(rows)
        self.mean[fresh], self.spread[fresh] = rows.mean(dim=0)[fresh], rows.std(dim=0)[fresh]
        first = next(self.layers.parameters())  # [hidden, F]
        with torch.no_grad():
            first[:, fresh] = 0.0


@dataclass(frozen=True, slots=True)
class RankerOutcome:
    """The trained network and its NDCG@10 on held-out rows, whose target is among the candidates."""

    ranker: Ranker
    ndcg_at_10: float
    best_epoch: int
    rows: int
    steps: int = 0
    """Batches of an epoch."""
    curve: tuple[float, ...] = ()
    """NDCG@10 on the held-out rows after each epoch."""


def train_ranker(
    sources: Sequence[RankingRows],
    config: RankerConfig,
    progress: Progress = no_progress,
    *,
    held: RankingRows | None = None,
) -> RankerOutcome:
    """Train on the rows of one or several domains; the best epoch on held-out rows is what is returned.

    ``held``: rows for that; default: a share of the sources', drawn at random. The same seed and threads
    give the same weights. Raises ``DataError`` where there are fewer than 20 rows.
    """
    total = sum(len(source.targets) for source in sources)
    if total < 20:
        raise DataError(f"{total} users' next items are among their candidates: too few to train a ranker on")
    with seeded(config.seed), torch_threads(config.threads):
        rows = join_rows(sources if held is None else [*sources, held])
        order = torch.randperm(total)
        if held is not None:
            return _train(rows, order, torch.arange(total, len(rows.targets)), config, progress)
        share = max(1, round(total * config.held_out))
        return _train(rows, order[share:], order[:share], config, progress)


def _train(
    rows: RankingRows, train: Tensor, held: Tensor, config: RankerConfig, progress: Progress
) -> RankerOutcome:
    """``train`` and ``held``: which rows."""
    features, real = torch.from_numpy(rows.features), torch.from_numpy(rows.real)
    targets = torch.from_numpy(rows.targets)
    ranker = Ranker(features.shape[-1], config.hidden, config.dropout)
    ranker.standardise(sample_of(features, real, train))
    optimizer = torch.optim.AdamW(
        ranker.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    steps = -(-len(train) // config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.epochs * steps, pct_start=0.1
    )
    curve: list[float] = []
    best, best_epoch, weights = -1.0, 0, ranker.state_dict()
    for epoch in range(1, config.epochs + 1):
        ranker.train()
        for chosen in torch.split(train[torch.randperm(len(train))], config.batch_size):
            loss = listwise_loss(ranker(features[chosen].float()), real[chosen], targets[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        found = _ndcg(ranker, features[held], real[held], targets[held])
        curve.append(found)
        progress("epoch", epoch, config.epochs, f"held-out NDCG@10 {found:.4f}")
        if found > best:
            best, best_epoch = found, epoch
            weights = {name: value.clone() for name, value in ranker.state_dict().items()}
        elif epoch - best_epoch >= config.patience:
            break
    ranker.load_state_dict(weights)
    return RankerOutcome(ranker.eval(), best, best_epoch, len(rows.targets), steps, tuple(curve))


def rank_with(ranker: Ranker) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """The network as numpy in, numpy out: features [b, c, F] -> scores [b, c]."""

    def rank(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.no_grad():
            scores: npt.NDArray[np.float32] = ranker(torch.from_numpy(features)).numpy()
        return scores

    return rank


def listwise_loss(scores: Tensor, real: Tensor, targets: Tensor) -> Tensor:
    """Mean over rows of -log of each target's share in the softmax over candidates, averaged over the row's
    targets: scores [b, c], real and targets [b, c] (bool) -> [].
    """
    shares = torch.log_softmax(scores.masked_fill(~real, MASKED), dim=1)  # [b, c], logarithms
    wanted = targets / targets.sum(dim=1, keepdim=True)
    return -(shares * wanted).sum(dim=1).mean()


def sample_of(features: Tensor, real: Tensor, rows: Tensor) -> Tensor:
    """Candidates' features [k, F] of some ``rows`` [r], enough for mean and spread."""
    chosen = rows[:STANDARD_ROWS]
    return features[chosen][real[chosen]].float()


def _ndcg(ranker: Ranker, features: Tensor, real: Tensor, targets: Tensor) -> float:
    return float(ndcg_of(scores_of(ranker, features), real, targets).mean())


def scores_of(ranker: Ranker, features: Tensor) -> Tensor:
    """Scores [r, c] of all rows, by the network as it is in service."""
    ranker.eval()
    with torch.no_grad():
        return torch.cat([ranker(part.float()) for part in torch.split(features, 256)])


def ndcg_of(scores: Tensor, real: Tensor, targets: Tensor) -> Tensor:
    """NDCG@10 of each row's targets among its candidates: scores, real, targets [r, c] -> [r]."""
    best = scores.masked_fill(~real, MASKED).topk(min(10, scores.shape[1]), dim=1).indices
    discounts = 1.0 / torch.log2(2.0 + torch.arange(best.shape[1]))
    gains = (targets.gather(1, best) * discounts).sum(dim=1)
    ideal = discounts.cumsum(0)[targets.sum(dim=1).clamp(max=len(discounts)) - 1]
    return gains / ideal


def join_rows(sources: Sequence[RankingRows]) -> RankingRows:
    """All rows of all sources, padded to the same number of candidates; whose they are is forgotten."""
    width = max(source.real.shape[1] for source in sources)
    return RankingRows(
        np.concatenate([_widen(source.features, width) for source in sources]),
        np.concatenate([_widen(source.real, width) for source in sources]),
        np.concatenate([_widen(source.targets, width) for source in sources]),
    )


def _widen(values: npt.NDArray[Kind], width: int) -> npt.NDArray[Kind]:
    """Pad the second axis with zeros."""
    missing = width - values.shape[1]
    return np.pad(values, [(0, 0), (0, missing)] + [(0, 0)] * (values.ndim - 2))
