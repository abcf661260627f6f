"""What a training may move, how fast, and what it is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from encoders.config import TrainingConfig
from encoders.towers import Towers

Parameters = Mapping[str, Tensor]

PARTS: Final = ("adaptor", "decay", "item_residual", "user_residual")
"""Of the towers: the shop's gains; how fast evidence ages and what an event adds; and the two residuals."""
_PART_OF: Final = {
    "item.log_gain": "adaptor",
    "user.log_decay": "decay",
    "user.log_weight": "decay",
    "user.log_half_life": "decay",
}


@dataclass(frozen=True, slots=True)
class Tuning:
    """One stage of a training."""

    parts: tuple[str, ...] = PARTS
    """What is tuned; the rest is frozen."""
    rate: float = 1.0
    """Factor on ``TrainingConfig.learning_rate``."""
    anchored: bool = False
    """Weight decay pulls to where the stage began, not to zero (L2-SP: Li et al., "Explicit inductive bias
    for transfer learning with convolutional networks", ICML 2018)."""
    distillation: float = 0.0
    """Weight of the distance to what the start says of a fixed panel of items."""
    calibrated: bool = False
    """The temperature is that at which the start's loss is least, not ``TrainingConfig.temperature``."""
    cautious: bool = False
    """Kept only where better on validation by more than two standard errors, however many the data are:
    the best of many epochs is better than the start by one, often, by chance."""
    believed: bool = False
    """The best epoch is kept even where it is below the start: training without Freshet's guards."""


EVERYTHING: Final = Tuning()


def part_of(name: str) -> str:
    """The part that a parameter of the towers belongs to."""
    return _PART_OF.get(name) or ("item_residual" if name.startswith("item.") else "user_residual")


def tuned_parameters(towers: Towers, tuning: Tuning) -> Parameters:
    """Freeze all but the stage's parts; returns what is left to tune, by name."""
    for name, parameter in towers.named_parameters():
        parameter.requires_grad_(part_of(name) in tuning.parts)
    return {name: p for name, p in towers.named_parameters() if p.requires_grad}


def optimizer_of(parameters: Parameters, config: TrainingConfig, tuning: Tuning) -> torch.optim.AdamW:
    """Weight decay pulls the residuals to zero; adaptor and decays are left free.

    An anchored stage has its own pull instead (``Anchor``).
    """
    decayed = [p for name, p in parameters.items() if part_of(name).endswith("_residual")]
    free = [p for name, p in parameters.items() if not part_of(name).endswith("_residual")]
    pull = 0.0 if tuning.anchored else config.weight_decay
    groups = [{"params": decayed, "weight_decay": pull}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.learning_rate * tuning.rate
    )


class Anchor:
    """Decoupled weight decay towards where parameters were when it was made."""

    def __init__(self, parameters: Parameters, strength: float) -> None:
        self._strength = strength
        self._pairs = [(p, p.detach().clone()) for p in parameters.values()]

    def pull(self, rate: float) -> None:
        """After a step at learning rate ``rate``: p ← p - rate · strength · (p - p₀)."""
        with torch.no_grad():
            for parameter, start in self._pairs:
                parameter.lerp_(start, min(rate * self._strength, 1.0))


def changed_parts(now: nn.Module, before: nn.Module) -> tuple[str, ...]:
    """The parts in which two pairs of towers differ, in the order of ``PARTS``."""
    other = dict(before.named_parameters())
    changed = {part_of(name) for name, p in now.named_parameters() if not torch.equal(p, other[name])}
    return tuple(part for part in PARTS if part in changed)
