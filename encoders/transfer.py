"""From a parent's towers to a target's: what is carried over, and in which stages it is tuned.

What items mean does not carry over to another shop; how evidence is weighed does. Each step is kept only
where it is not worse on the target's validation rows, and the first choice includes the untrained profile:
so nothing that comes out is below it there. The policy ``plain-scratch`` alone has no such guard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from encoders.batching import TrainingSequences
from encoders.checkpoint import Checkpoint
from encoders.config import ModelConfig, TrainingConfig
from encoders.domains import Domain
from encoders.progress import Progress
from encoders.torch_context import seeded
from encoders.towers import ItemTower, Towers, UserTower, new_towers, zeroed
from encoders.training import Outcome, Trainer
from encoders.tuning import Tuning
from encoders.validation import Validation, beyond_noise, mean
from encoders.whitening import Whitening, aligned, fit_whitening

Policy = Literal["zero-shot", "adaptor", "adaptor-then-all", "scratch", "plain-scratch"]
Vectors = npt.NDArray[np.float32]

POLICIES: Final[tuple[Policy, ...]] = ("zero-shot", "adaptor", "adaptor-then-all", "scratch", "plain-scratch")
FROM_NOTHING: Final[tuple[Policy, ...]] = ("scratch", "plain-scratch")
"""Policies that carry nothing over; the plain one is believed, whatever comes out."""
ADAPTOR_RATE: Final = 5.0
"""On the learning rate: gains and decays are few, and free to move."""
ADAPTOR_EPOCHS: Final = 3
SMALLEST_BATCH: Final = 16
STEPS: Final = 12
"""Batches that an epoch has at least, while they stay above the smallest: few data, smaller batches."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a policy, by the name of its checkpoint."""

    name: str
    tuning: Tuning
    epochs: int
    """At most."""


def stages(policy: Policy, training: TrainingConfig) -> list[Stage]:
    """What a policy tunes, one stage after the other."""
    if policy == "zero-shot":
        return []
    if policy in FROM_NOTHING:
        plain = policy == "plain-scratch"
        return [Stage("all", Tuning(calibrated=True, cautious=not plain, believed=plain), training.epochs)]
    few = Tuning(("adaptor", "decay"), rate=ADAPTOR_RATE, calibrated=True, cautious=True)
    adaptor = Stage("adaptor", few, min(training.epochs, ADAPTOR_EPOCHS))
    everything = Tuning(
        rate=training.fine_tuning_rate,
        anchored=True,
        calibrated=True,
        distillation=training.distillation_weight,
        cautious=True,
    )
    return [adaptor] if policy == "adaptor" else [adaptor, Stage("all", everything, training.epochs)]


def untrained_towers(config: ModelConfig, whitening: Whitening, dropout: float = 0.0) -> Towers:
    """Both residuals zero, decays as configured."""
    with seeded(0):
        return new_towers(ItemTower(config, whitening), UserTower(config), dropout)


def adapted(
    parent: Towers, config: ModelConfig, text_vectors: Vectors, dropout: float, *, user_residual: bool
) -> Towers:
    """The parent's user tower over a catalogue [n, text_dim] of another shop: the adaptor fitted anew.

    The item residual and the gains stay behind. With ``user_residual`` the recurrent part comes along, and
    reads the new catalogue through axes turned to the parent's; without it the decays alone do.
    """
    whitening = fit_whitening(text_vectors, config.whitening_shrinkage)
    reference = Whitening(parent.item.mean.numpy(), parent.item.projection.numpy())
    towers = untrained_towers(config, aligned(whitening, reference, config.dim), dropout)
    towers.user.load_state_dict(parent.user.state_dict())
    if not user_residual:
        zeroed(towers.user.residual)
        towers.user.scale.zero_()
    return towers


def start(
    parent: Towers,
    config: ModelConfig,
    text_vectors: Vectors,
    dropout: float,
    validate: Callable[[Towers], Validation],
) -> Towers:
    """The best of the untrained profile and the parent's user tower, with and without its residual.

    The residual must be better beyond noise. Without validation rows: the parent's decays, no residual.
    """
    carried = adapted(parent, config, text_vectors, dropout, user_residual=False)
    validation = validate(carried)
    if not validation:
        return carried
    plain = untrained_towers(
        config, Whitening(carried.item.mean.numpy(), carried.item.projection.numpy()), dropout
    )
    ranked = [(towers, validation.rank(towers).ndcg) for towers in (carried, plain)]
    best, found = max(ranked, key=lambda pair: mean(pair[1]))
    whole = adapted(parent, config, text_vectors, dropout, user_residual=True)
    return whole if beyond_noise(validation.rank(whole).ndcg, found) else best


def source_domain(
    towers: Towers, config: ModelConfig, text_vectors: Vectors, data: TrainingSequences, share: float
) -> Domain:
    """What another shop's users did, over its text vectors [n, text_dim], to be replayed in a training.

    Read through an adaptor of its own, whose axes are turned to those of ``towers``. Its validation rows are
    left out: the target decides what is kept.
    """
    reference = Whitening(towers.item.mean.numpy(), towers.item.projection.numpy())
    own = aligned(fit_whitening(text_vectors, config.whitening_shrinkage), reference, config.dim)
    behaviour = TrainingSequences(data.train, dataset=data.dataset)
    return Domain.of(ItemTower(config, own), text_vectors, behaviour, share)


def sized(training: TrainingConfig, sequences: int) -> TrainingConfig:
    """Smaller batches where ``sequences`` are few: a stage needs steps."""
    batch = max(SMALLEST_BATCH, min(training.batch_size, sequences // STEPS))
    return msgspec.structs.replace(training, batch_size=batch)


def tune(
    towers: Towers,
    domains: list[Domain],
    policy: Policy,
    training: TrainingConfig,
    checkpoint: Callable[[str], Checkpoint],
    *,
    parent: str,
    resume: bool,
    progress: Progress,
) -> list[Outcome]:
    """Run a policy's stages on the towers, the target's domain first; what each came to."""
    outcomes = []
    for stage in stages(policy, training):
        where = checkpoint(stage.name)
        config = msgspec.structs.replace(training, epochs=stage.epochs)
        trainer = Trainer(towers, domains, config, stage.tuning)
        outcomes.append(
            trainer.run(where, progress, resume=resume and where.exists(), parent=f"{parent}/{policy}")
        )
    return outcomes
