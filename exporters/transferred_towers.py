"""The towers of a model that is transferred: those that it begins with, and what became of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.batching import TrainingSequences
from encoders.checkpoint import Checkpoint
from encoders.config import TrainingConfig
from encoders.domains import Domain
from encoders.progress import Progress
from encoders.towers import Towers
from encoders.training import Outcome
from encoders.transfer import FROM_NOTHING, Policy, start, tune, untrained_towers
from encoders.tuning import changed_parts
from encoders.validation import Validation, mean
from encoders.whitening import fit_whitening
from exporters.model_manifest import read_manifest
from exporters.tower_files import load_towers
from exporters.transfer_report import TargetDomain

Vectors = npt.NDArray[np.float32]
Replay = Callable[[Towers, float], Domain]
"""What is replayed, for the towers that are tuned, at a share of the steps."""


@dataclass(frozen=True, slots=True)
class TransferredTowers:
    """Towers, and how they compare on validation."""

    towers: Towers
    outcomes: list[Outcome]
    """Of the stages of the tuning, whether or not these towers are what came of it."""
    changed: tuple[str, ...]
    """Parts that differ from the parent's."""
    metrics: dict[str, float]


def transferred_towers(
    folder: Path,
    vectors: Vectors,
    sequences: TrainingSequences,
    replays: Sequence[Replay],
    policy: Policy,
    training: TrainingConfig,
    domain: TargetDomain,
    checkpoints: Path,
    resume: bool,
    progress: Progress,
) -> tuple[TransferredTowers, TransferredTowers]:
    """Towers that a transfer begins with, and what its policy made of them; the same where it kept nothing.

    ``vectors`` [n, text_dim] are of the target's catalogue. Raises ``ModelError`` as ``load_towers`` does.
    """
    config, parent = load_towers(folder, training.dropout)

    def validation(towers: Towers) -> Validation:
        target = Domain.of(towers.item, vectors, sequences)
        return Validation([target], training.max_validation, training.max_length, training.seed)

    whitening = fit_whitening(vectors, config.whitening_shrinkage)
    if policy in FROM_NOTHING:
        towers = untrained_towers(config, whitening, training.dropout)
    elif domain == "same":
        towers = load_towers(folder, training.dropout)[1]
    else:
        towers = start(parent, config, vectors, training.dropout, validation)
    before = untrained_towers(config, whitening) if policy in FROM_NOTHING else parent
    replayed = training.replay_share if replays else 0.0
    domains = [Domain.of(towers.item, vectors, sequences, 1.0 - replayed)]
    if replayed > 0:
        domains += [replay(towers, replayed / len(replays)) for replay in replays]
    begun = copy.deepcopy(towers)
    outcomes: list[Outcome] = []
    if sequences.interactions:
        version = f"{read_manifest(folder).version}/{domain}"
        outcomes = tune(
            towers,
            domains,
            policy,
            training,
            lambda name: Checkpoint(checkpoints / name),
            parent=version,
            resume=resume,
            progress=progress,
        )
    floor = untrained_towers(config, whitening)

    def as_found(found: Towers) -> TransferredTowers:
        changed = changed_parts(found, before)
        if domain == "new" and "adaptor" not in changed:
            changed = ("adaptor", *changed)  # fitted, on texts alone
        return TransferredTowers(found, outcomes, changed, _validated(validation(found), found, floor))

    result = as_found(towers)
    return (as_found(begun) if changed_parts(towers, begun) else result), result


def _validated(validation: Validation, towers: Towers, untrained: Towers) -> dict[str, float]:
    """The result and the untrained profile on the same rows; none without rows."""
    if not validation:
        return {}
    found, floor = validation.rank(towers), validation.rank(untrained)
    return {
        "validation_ndcg_at_10": mean(found.ndcg),
        "validation_recall_at_10": mean(found.hit),
        "untrained_validation_ndcg_at_10": mean(floor.ndcg),
        "untrained_validation_recall_at_10": mean(floor.hit),
    } | {f"validation_{name}": value for name, value in validation.by_task(found).items()}
