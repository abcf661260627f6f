"""Training the towers: next-item prediction at every position, full softmax, early stopping, resumable.

Only what beats the starting model on validation is kept. Making and writing whole model folders is
``exporters/model_factory.py``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from encoders.batching import Batch
from encoders.checkpoint import (
    Checkpoint,
    Tensors,
    TrainingProgress,
    optimizer_tensors,
    restore_optimizer,
)
from encoders.config import EVENT_TYPE_SLOTS, TrainingConfig
from encoders.distillation import Panel
from encoders.domains import Domain, mixed, steps_of
from encoders.errors import DataError
from encoders.events import EventType
from encoders.losses import sampled_softmax_loss, softmax_loss
from encoders.progress import Progress
from encoders.torch_context import seeded, torch_threads
from encoders.towers import Towers
from encoders.tuning import EVERYTHING, Anchor, Tuning, optimizer_of, tuned_parameters
from encoders.validation import Ranking, Validation, beyond_noise, mean

FEW_INTERACTIONS = 20_000
"""Below this, better on validation must mean better by more than one standard error."""
TEMPERATURES = (0.03, 0.05, 0.08, 0.12, 0.2)
CLIP_NORM = 1.0
WARMUP_SHARE = 0.05


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
    steps: int = 0
    """Batches of an epoch."""
    curve: tuple[float, ...] = ()
    """NDCG@10 on validation after each epoch, kept or not."""


class Trainer:
    """One training of the towers on the behaviour of one shop, or of several."""

    def __init__(
        self, towers: Towers, domains: Sequence[Domain], config: TrainingConfig, tuning: Tuning = EVERYTHING
    ) -> None:
        """The first of ``domains`` gives the length of an epoch; all are validated on.

        Raises ``DataError`` where every event of theirs is of a task whose weight is 0.
        """
        self._towers, self._domains, self._config, self._tuning = towers, domains, config, tuning
        parameters = tuned_parameters(towers, tuning)
        self._optimizer = optimizer_of(parameters, config, tuning)
        self._anchor = Anchor(parameters, config.weight_decay) if tuning.anchored else None
        self._panel = Panel(towers, domains[0].white, config.seed) if tuning.distillation else None
        weights = torch.full((EVENT_TYPE_SLOTS,), config.click_loss_weight)
        weights[EventType.PURCHASE] = config.purchase_loss_weight
        self._task_weights = _of_use(weights, domains)
        self._validation = Validation(domains, config.max_validation, config.max_length, config.seed)
        self._popularities = [domain.popularity for domain in domains]
        self._steps = sum(steps_of(domains, config.batch_size))
        self._temperature = self._calibrated() if tuning.calibrated else config.temperature

    def run(self, checkpoint: Checkpoint, progress: Progress, *, resume: bool, parent: str) -> Outcome:
        """Train, saving every epoch; leaves the best weights in the towers. Raises ``SettingsError`` as
        ``Checkpoint.load`` does where there is nothing to resume."""
        with torch_threads(self._config.threads):
            return self._run(checkpoint, progress, resume, self._fingerprint(parent))

    def _run(self, checkpoint: Checkpoint, progress: Progress, resume: bool, fingerprint: str) -> Outcome:
        start = self._validation.rank(self._towers)
        state, best = TrainingProgress(fingerprint=fingerprint), _copy(self._towers)
        # A residual that is off has a last layer of zeros (``towers.zeroed``): turned on, it is silent yet.
        self._towers.item.scale.fill_(1.0)
        self._towers.user.scale.fill_(1.0)
        if resume:
            state, best = self._restore(checkpoint, fingerprint)
        else:
            state.best_ndcg, state.best_recall = mean(start.ndcg), mean(start.hit)
        while state.epoch < self._config.epochs and not self._out_of_patience(state):
            state.losses.append(self._epoch(state.epoch, progress))
            state.epoch += 1
            ranking = self._validation.rank(self._towers)
            state.curve.append(mean(ranking.ndcg))
            if self._better(ranking, start, state):
                state.best_epoch, best = state.epoch, _copy(self._towers)
                state.best_ndcg, state.best_recall = mean(ranking.ndcg), mean(ranking.hit)
            self._save(checkpoint, state, best)
            note = f"loss {state.losses[-1]:.3f}, validation NDCG@10 {state.curve[-1]:.4f}"
            progress("epoch", state.epoch, self._config.epochs, note)
        self._towers.load_state_dict(best)
        return Outcome(
            state.best_epoch > 0,
            state.best_epoch,
            state.epoch,
            state.best_ndcg,
            state.best_recall,
            mean(start.ndcg),
            mean(start.hit),
            self._steps,
            tuple(state.curve),
        )

    def _out_of_patience(self, state: TrainingProgress) -> bool:
        """Counted from the best epoch, kept or not: few data may be worse first and better later."""
        best = int(np.argmax(state.curve)) + 1 if state.curve else 0
        return bool(self._validation) and state.epoch - best >= self._config.patience

    def _better(self, now: Ranking, start: Ranking, state: TrainingProgress) -> bool:
        """Better than the best so far; where data are few, also better than the start beyond noise."""
        if self._tuning.believed:
            return state.best_epoch == 0 or not self._validation or mean(now.ndcg) > state.best_ndcg
        few = sum(domain.data.interactions for domain in self._domains) < FEW_INTERACTIONS
        errors = 2.0 if self._tuning.cautious else 1.0 if few else 0.0
        if not self._validation:
            return errors == 0.0
        return mean(now.ndcg) > state.best_ndcg and beyond_noise(now.ndcg, start.ndcg, errors)

    def _epoch(self, epoch: int, progress: Progress) -> float:
        """One pass over the data; the same epoch of the same seed is the same whatever ran before it."""
        config, total, done = self._config, 0.0, 0
        rng = np.random.default_rng([config.seed, epoch])
        self._towers.train()
        with seeded(config.seed * 100_003 + epoch):
            for number, batch in mixed(self._domains, config.batch_size, config.max_length, rng):
                rate = self._set_rate(epoch + done / self._steps)
                loss = self._loss(number, batch, self._temperature)
                if self._panel is not None:
                    loss = loss + self._tuning.distillation * self._panel.distance(self._towers)
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self._towers.parameters(), CLIP_NORM)
                self._optimizer.step()
                if self._anchor is not None:
                    self._anchor.pull(rate)
                total, done = total + float(loss.detach()), done + 1
                progress("batch", done, self._steps, "")
        return total / max(done, 1)

    def _set_rate(self, epochs_done: float) -> float:
        """Linear warm-up, then a cosine to zero: a function of the position, so resuming needs no state."""
        share = min(epochs_done / self._config.epochs, 1.0)
        factor = min(1.0, (share + 1e-3) / WARMUP_SHARE) * 0.5 * (1.0 + math.cos(math.pi * share))
        rate = self._config.learning_rate * self._tuning.rate * factor
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _calibrated(self) -> float:
        """The temperature at which the start's loss is least: tuning then moves the order of items at once,
        and not first how far apart their scores are."""
        rng, config = np.random.default_rng(self._config.seed), self._config
        _, batch = next(mixed(self._domains[:1], config.batch_size, config.max_length, rng))
        self._towers.eval()
        with torch.no_grad(), seeded(config.seed):
            losses = [float(self._loss(0, batch, trial)) for trial in TEMPERATURES]
        return TEMPERATURES[int(np.argmin(losses))]

    def _loss(self, number: int, batch: Batch, temperature: float) -> Tensor:
        white, config = self._domains[number].white, self._config
        types, gaps = torch.from_numpy(batch.event_types), torch.from_numpy(batch.gaps)  # [b, t]
        history, targets = torch.from_numpy(batch.items), torch.from_numpy(batch.targets)  # [b, t], [k]
        weights = self._task_weights[torch.from_numpy(batch.target_types)]  # [k]
        rows, places = torch.from_numpy(batch.target_rows), torch.from_numpy(batch.target_contexts)
        if len(white) <= config.full_softmax_items:
            items = self._towers.item.refine(white)  # [n, d]
            interests = self._towers.user.sequence(items[history], types, gaps)[rows, places]  # [k, d]
            return softmax_loss(interests, items, targets, weights, temperature)
        draw = self._popularities[number]
        drawn = torch.multinomial(draw, config.sampled_negatives, replacement=True)  # [s]
        needed, where = torch.unique(torch.cat([history.flatten(), targets, drawn]), return_inverse=True)
        items = self._towers.item.refine(white[needed])[where]
        events = history.numel()
        past = items[:events].view(*history.shape, -1)  # [b, t, d]
        interests = self._towers.user.sequence(past, types, gaps)[rows, places]  # [k, d]
        return sampled_softmax_loss(
            interests,
            items[events : events + len(targets)],
            items[events + len(targets) :],
            targets.unsqueeze(1) == drawn,
            (draw[drawn] * len(drawn)).log().float(),
            weights,
            temperature,
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
        digest.update(repr(self._tuning).encode())
        for data in (domain.data for domain in self._domains):
            train = data.train
            for array in (train.offsets, train.items, train.event_types, train.gaps, data.valid_targets):
                digest.update(array.tobytes())
        return digest.hexdigest()


def _of_use(weights: Tensor, domains: Sequence[Domain]) -> Tensor:
    """The weights of the tasks, where the data have one that is trained."""
    for train in (domain.data.train for domain in domains):
        if not len(train.items) or weights[torch.from_numpy(train.event_types)].any():
            return weights
    raise DataError(
        "every event is of a task of weight 0, so there is nothing to learn: raise click_loss_weight or "
        "purchase_loss_weight"
    )


def _copy(towers: Towers) -> Tensors:
    return {name: value.detach().clone() for name, value in towers.state_dict().items()}


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
