"""Training the towers: next-item prediction at every position, full softmax, early stopping, resumable.

Only what beats the starting model on validation is kept. Making and writing whole model folders is
``exporters/model_factory.py``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from encoders.batching import Batch, Sequences, TrainingSequences, batches, pad
from encoders.checkpoint import (
    Checkpoint,
    Tensors,
    TrainingProgress,
    optimizer_tensors,
    restore_optimizer,
)
from encoders.config import EVENT_TYPE_SLOTS, TrainingConfig
from encoders.events import EventType
from encoders.losses import sampled_softmax_loss, softmax_loss
from encoders.towers import ItemTower, UserTower

Progress = Callable[[str, int, int, str], None]
"""Called with (stage, done, total, note) as work goes on."""

FEW_INTERACTIONS = 20_000
"""Below this, better on validation must mean better by more than one standard error."""
CUTOFF = 10
CLIP_NORM = 1.0
WARMUP_SHARE = 0.05


def no_progress(stage: str, done: int, total: int, note: str) -> None:
    """Tell nobody."""


class Towers(nn.Module):
    """Both towers, as one thing to optimise and to save."""

    item: ItemTower
    user: UserTower

    def __init__(self, item: ItemTower, user: UserTower) -> None:
        super().__init__()
        self.item, self.user = item, user


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training came to. Metrics are on the validation rows; nan without any."""

    improved: bool
    """False: the towers are as they were before training."""
    best_epoch: int
    epochs: int
    ndcg_at_10: float
    recall_at_10: float
    untrained_ndcg_at_10: float
    untrained_recall_at_10: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Per validation row: NDCG@10 [n] and whether the target was among the ten best [n]."""

    ndcg: npt.NDArray[np.float64]
    hit: npt.NDArray[np.float64]

    @classmethod
    def of(cls, ranks: npt.NDArray[np.int64]) -> Ranking:
        """From 0-based ranks of the targets [n]; one relevant item, so NDCG@10 = 1 / log2(rank + 2)."""
        hit = ranks < CUTOFF
        return cls(np.where(hit, 1.0 / np.log2(ranks + 2.0), 0.0), hit.astype(np.float64))


class Trainer:
    """One training of the towers on one data set."""

    def __init__(
        self,
        towers: Towers,
        text_vectors: npt.NDArray[np.float32],
        data: TrainingSequences,
        config: TrainingConfig,
    ) -> None:
        """``text_vectors`` [n, text_dim] of the whole catalogue, in the order of the data's indices."""
        self._towers, self._data, self._config = towers, data, config
        with torch.no_grad():
            self._white = towers.item.whiten(torch.from_numpy(text_vectors))  # [n, text_dim]
        self._optimizer = _optimizer(towers, config)
        weights = torch.full((EVENT_TYPE_SLOTS,), config.click_loss_weight)
        weights[EventType.PURCHASE] = config.purchase_loss_weight
        self._task_weights = weights
        self._valid = _sample_validation(data, config)
        counts = np.bincount(data.train.items, minlength=len(text_vectors)).astype(np.float64)
        # Half as seen, half evenly: popular items are the hard negatives, and none is never drawn.
        self._draw = torch.from_numpy(0.5 * counts / counts.sum() + 0.5 / len(counts))
        self._steps = math.ceil(len(data.train) / config.batch_size)

    def run(self, checkpoint: Checkpoint, progress: Progress, *, resume: bool, parent: str) -> Outcome:
        """Train, saving every epoch; leaves the best weights in the towers. Raises ``SettingsError`` as
        ``Checkpoint.load`` does where there is nothing to resume."""
        with torch_threads(self._config.threads):
            return self._run(checkpoint, progress, resume, self._fingerprint(parent))

    def _run(self, checkpoint: Checkpoint, progress: Progress, resume: bool, fingerprint: str) -> Outcome:
        start = self._rank()
        state, best = TrainingProgress(fingerprint=fingerprint), _copy(self._towers)
        self._towers.item.scale.fill_(1.0)
        self._towers.user.scale.fill_(1.0)
        if resume:
            state, best = self._restore(checkpoint, fingerprint)
        else:
            state.best_ndcg, state.best_recall = _mean(start.ndcg), _mean(start.hit)
        while state.epoch < self._config.epochs and not self._out_of_patience(state):
            state.losses.append(self._epoch(state.epoch, progress))
            state.epoch += 1
            ranking = self._rank()
            if self._better(ranking, start, state):
                state.best_epoch, best = state.epoch, _copy(self._towers)
                state.best_ndcg, state.best_recall = _mean(ranking.ndcg), _mean(ranking.hit)
            self._save(checkpoint, state, best)
            note = f"loss {state.losses[-1]:.3f}, validation NDCG@10 {_mean(ranking.ndcg):.4f}"
            progress("epoch", state.epoch, self._config.epochs, note)
        self._towers.load_state_dict(best)
        return Outcome(
            state.best_epoch > 0,
            state.best_epoch,
            state.epoch,
            state.best_ndcg,
            state.best_recall,
            _mean(start.ndcg),
            _mean(start.hit),
        )

    def _out_of_patience(self, state: TrainingProgress) -> bool:
        return self._valid is not None and state.epoch - state.best_epoch >= self._config.patience

    def _better(self, now: Ranking, start: Ranking, state: TrainingProgress) -> bool:
        """Better than the best so far; where data are few, also better than the start beyond noise."""
        few = self._data.interactions < FEW_INTERACTIONS
        if self._valid is None:
            return not few
        gain = now.ndcg - start.ndcg
        noise = float(gain.std(ddof=1) / math.sqrt(len(gain))) if few and len(gain) > 1 else 0.0
        return _mean(now.ndcg) > state.best_ndcg and float(gain.mean()) > noise

    def _epoch(self, epoch: int, progress: Progress) -> float:
        """One pass over the data; the same epoch of the same seed is the same whatever ran before it."""
        config, total, done = self._config, 0.0, 0
        rng = np.random.default_rng([config.seed, epoch])
        self._towers.train()
        with seeded(config.seed * 100_003 + epoch):
            for batch in batches(self._data.train, config.batch_size, config.max_length, rng):
                self._set_rate(epoch + done / self._steps)
                loss = self._loss(batch)
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self._towers.parameters(), CLIP_NORM)
                self._optimizer.step()
                total, done = total + float(loss.detach()), done + 1
                progress("batch", done, self._steps, "")
        return total / max(done, 1)

    def _set_rate(self, epochs_done: float) -> None:
        """Linear warm-up, then a cosine to zero: a function of the position, so resuming needs no state."""
        share = min(epochs_done / self._config.epochs, 1.0)
        factor = min(1.0, (share + 1e-3) / WARMUP_SHARE) * 0.5 * (1.0 + math.cos(math.pi * share))
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.learning_rate * factor

    def _loss(self, batch: Batch) -> Tensor:
        types = torch.from_numpy(batch.event_types)  # [b, t]
        history, targets = torch.from_numpy(batch.items), torch.from_numpy(batch.targets)  # [b, t], [k]
        weights = self._task_weights[torch.from_numpy(batch.target_types)]  # [k]
        rows, places = torch.from_numpy(batch.target_rows), torch.from_numpy(batch.target_contexts)
        gaps, config = torch.from_numpy(batch.gaps), self._config
        if len(self._white) <= config.full_softmax_items:
            items = self._towers.item.refine(self._white)  # [n, d]
            interests = self._towers.user.sequence(items[history], types, gaps)[rows, places]  # [k, d]
            return softmax_loss(interests, items, targets, weights, config.temperature)
        drawn = torch.multinomial(self._draw, config.sampled_negatives, replacement=True)  # [s]
        needed, where = torch.unique(torch.cat([history.flatten(), targets, drawn]), return_inverse=True)
        items = self._towers.item.refine(self._white[needed])[where]
        events = history.numel()
        past = items[:events].view(*history.shape, -1)  # [b, t, d]
        interests = self._towers.user.sequence(past, types, gaps)[rows, places]  # [k, d]
        return sampled_softmax_loss(
            interests,
            items[events : events + len(targets)],
            items[events + len(targets) :],
            targets.unsqueeze(1) == drawn,
            (self._draw[drawn] * len(drawn)).log().float(),
            weights,
            config.temperature,
        )

    def _rank(self) -> Ranking:
        """Rank all items for every validation row."""
        if self._valid is None:
            return Ranking.of(np.empty(0, dtype=np.int64))
        histories, targets = self._valid
        return Ranking.of(
            rank_targets(self._towers, self._white, histories, targets, self._config.max_length)
        )

    def _save(self, checkpoint: Checkpoint, state: TrainingProgress, best: Tensors) -> None:
        tensors = {f"towers.{name}": value for name, value in self._towers.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in best.items()}
        checkpoint.save(state, tensors | optimizer_tensors(self._optimizer))

    def _restore(self, checkpoint: Checkpoint, fingerprint: str) -> tuple[TrainingProgress, Tensors]:
        state, tensors = checkpoint.load(fingerprint)
        self._towers.load_state_dict(_under("towers.", tensors))
        restore_optimizer(self._optimizer, tensors)
        return state, _under("best.", tensors)

    def _fingerprint(self, parent: str) -> str:
        digest = hashlib.sha256(parent.encode() + msgspec.json.encode(self._config, order="sorted"))
        train = self._data.train
        for array in (train.offsets, train.items, train.event_types, train.gaps, self._data.valid_targets):
            digest.update(array.tobytes())
        return digest.hexdigest()


def rank_targets(
    towers: Towers,
    white: Tensor,
    histories: Sequences,
    targets: npt.NDArray[np.int64],
    max_length: int,
) -> npt.NDArray[np.int64]:
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


def _last_interests(user: UserTower, items: Tensor, batch: Batch) -> Tensor:
    """Interests after each whole history, [b, d]."""
    history = items[torch.from_numpy(batch.items)]  # [b, t, d]
    every = user.sequence(history, torch.from_numpy(batch.event_types), torch.from_numpy(batch.gaps))
    return every[torch.arange(len(every)), torch.from_numpy(batch.lengths - 1)]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers from ``seed`` on, and the caller's own sequence undisturbed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch on ``count`` threads, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def new_towers(item: ItemTower, user: UserTower, dropout: float) -> Towers:
    """Join two towers for training with ``dropout``."""
    item.dropout.p = user.dropout.p = dropout
    return Towers(item, user)


def _optimizer(towers: Towers, config: TrainingConfig) -> torch.optim.AdamW:
    """Weight decay pulls the residuals to zero; the decays and weights of the mean are left free."""
    free = {id(p) for p in (towers.user.log_decay, towers.user.log_weight, towers.user.log_half_life)}
    residual = [p for p in towers.parameters() if id(p) not in free]
    others = [p for p in towers.parameters() if id(p) in free]
    groups = [
        {"params": residual, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _sample_validation(
    data: TrainingSequences, config: TrainingConfig
) -> tuple[Sequences, npt.NDArray[np.int64]] | None:
    if data.valid is None or len(data.valid) == 0:
        return None
    if len(data.valid) <= config.max_validation:
        return data.valid, data.valid_targets
    rng = np.random.default_rng(config.seed)
    rows = np.sort(rng.choice(len(data.valid), config.max_validation, replace=False))
    return data.valid.take(rows), data.valid_targets[rows]


def _copy(towers: Towers) -> Tensors:
    return {name: value.detach().clone() for name, value in towers.state_dict().items()}


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan
