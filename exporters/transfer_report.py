"""``transfer.json``: what each step of a transfer came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from encoders.ranker_tuning import TunedRanker
from encoders.training import Outcome
from encoders.transfer import Policy

TargetDomain = Literal["new", "same"]
REPORT = "transfer.json"


class StageReport(msgspec.Struct, frozen=True):
    """What one stage of the towers' tuning came to."""

    improved: bool
    best_epoch: int
    steps_per_epoch: int
    start: float | None
    """Validation NDCG@10 before the stage; ``None`` without validation rows."""
    curve: tuple[float | None, ...]
    """After each epoch."""


class TransferReport(msgspec.Struct, frozen=True, kw_only=True):
    """``transfer.json`` in the folder of a model that was made by ``transfer``."""

    policy: Policy
    domain: TargetDomain
    stages: list[StageReport]
    ranker_rows: int
    ranker_before: float | None
    ranker_after: float | None
    ranker_steps: int = 0
    """Batches of an epoch of the ranker's training."""
    ranker_curve: tuple[float, ...] = ()
    """Held-out NDCG@10 after each epoch, kept or not."""


def report_of(
    outcomes: Sequence[Outcome], ranker: TunedRanker, policy: Policy, domain: TargetDomain
) -> TransferReport:
    """Put together what the towers' stages and the ranker came to."""
    stages = [
        StageReport(o.improved, o.best_epoch, o.steps, o.untrained_ndcg_at_10, o.curve) for o in outcomes
    ]
    known = np.isfinite(ranker.after)
    return TransferReport(
        policy=policy,
        domain=domain,
        stages=stages,
        ranker_rows=ranker.rows,
        ranker_before=ranker.before if known else None,
        ranker_after=ranker.after if known else None,
        ranker_steps=ranker.steps,
        ranker_curve=ranker.curve,
    )
