"""The decision: better on the newest events beyond noise, no worse on the references, sound and cheap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from encoders.evaluation.bootstrap import interval_by_user
from encoders.evaluation.metrics import Values
from encoders.evaluation.timeline import Integers
from encoders.gate.report import Check, GateReport, SliceSummary, Test
from encoders.gate.statistics import mcnemar

Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class GateThresholds(msgspec.Struct, frozen=True, kw_only=True):
    """What a challenger must reach."""

    test: Test = "bootstrap"
    """``bootstrap``: on NDCG@10, by user. ``mcnemar``: on hits, every case for itself."""
    level: Annotated[float, Meta(gt=0.5, lt=1.0)] = 0.95
    """Of the interval of the difference; the test is one-sided at half of what is left."""
    min_cases: Annotated[int, Meta(ge=1)] = 100
    """On the newest slice: below, an interval means little."""
    max_loss: Share = 0.05
    """Of the champion's NDCG@10, on any reference slice."""
    min_spread: Share = 0.01
    """Of item vectors and of interests (``statistics.spread``)."""
    min_int8_overlap: Share = 0.85
    """Of the ten best, int8 graph against its original."""
    min_distilled_overlap: Share = 0.7
    """Of the ten best, a model of fewer dimensions against its parent."""
    max_cost_ratio: Annotated[float, Meta(gt=0.0)] = 1.5
    """Seconds of an event's step, challenger over champion."""
    draws: Annotated[int, Meta(ge=100)] = 1_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """One model on one slice, a value a case [c]."""

    ndcg: Values
    hit: Values
    """0 or 1: one of the targets was among the ten best."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Both models on the same cases."""

    name: str
    users: Integers
    """[c]: whose case it was."""
    champion: Measured
    challenger: Measured


@dataclass(frozen=True, slots=True)
class Soundness:
    """What is looked at beside quality."""

    not_finite: int
    """Numbers in the challenger's vectors and metrics that are none."""
    item_spread: float
    interest_spread: float
    champion_step_seconds: float
    challenger_step_seconds: float
    """An event's step of the user tower, both measured in one run."""
    int8_overlap: float | None = None
    """``None``: there is no int8 graph."""
    distilled_overlap: float | None = None
    """``None``: it has no fewer dimensions than its parent."""


def judge(
    champion: str,
    challenger: str,
    newest: Slice,
    references: Sequence[Slice],
    soundness: Soundness,
    thresholds: GateThresholds,
) -> GateReport:
    """Compare two models (their versions) on what was measured; the same input gives the same report."""
    slices = [_summary(one, thresholds) for one in (newest, *references)]
    checks = [
        *_sound(soundness, thresholds),
        _enough(slices[0], thresholds),
        _better(slices[0], thresholds),
        *(_holds(one, thresholds) for one in slices[1:]),
    ]
    return GateReport(
        champion=champion,
        challenger=challenger,
        passed=all(check.passed for check in checks),
        checks=checks,
        slices=slices,
        test=thresholds.test,
    )


def _summary(one: Slice, thresholds: GateThresholds) -> SliceSummary:
    difference = one.challenger.ndcg - one.champion.ndcg
    low, high = interval_by_user(
        difference, one.users, seed=thresholds.seed, draws=thresholds.draws, level=thresholds.level
    )
    return SliceSummary(
        name=one.name,
        cases=len(one.users),
        users=len(np.unique(one.users)),
        champion_ndcg_at_10=_mean(one.champion.ndcg),
        challenger_ndcg_at_10=_mean(one.challenger.ndcg),
        champion_hit_rate_at_10=_mean(one.champion.hit),
        challenger_hit_rate_at_10=_mean(one.challenger.hit),
        difference=_mean(difference),
        low=_finite(low),
        high=_finite(high),
        mcnemar_p=mcnemar(one.champion.hit, one.challenger.hit),
    )


def _sound(found: Soundness, thresholds: GateThresholds) -> list[Check]:
    ratio = found.challenger_step_seconds / max(found.champion_step_seconds, 1e-12)
    checks = [
        _at_most(
            "finite", found.not_finite, 0, f"{found.not_finite} numbers of the challenger are not finite"
        ),
        _at_least(
            "item_spread", found.item_spread, thresholds.min_spread, "item vectors differ from each other"
        ),
        _at_least(
            "interest_spread",
            found.interest_spread,
            thresholds.min_spread,
            "interests differ from each other",
        ),
        _at_most("cost", ratio, thresholds.max_cost_ratio, f"a step costs {ratio:.2f} times the champion's"),
    ]
    if found.int8_overlap is not None:
        sentence = "the int8 graph keeps this share of the ten best"
        checks.append(_at_least("int8_overlap", found.int8_overlap, thresholds.min_int8_overlap, sentence))
    if found.distilled_overlap is not None:
        sentence = "the smaller towers keep this share of the ten best"
        least = thresholds.min_distilled_overlap
        checks.append(_at_least("distilled_overlap", found.distilled_overlap, least, sentence))
    return checks


def _enough(newest: SliceSummary, thresholds: GateThresholds) -> Check:
    sentence = f"{newest.cases} cases on the slice {newest.name}, {thresholds.min_cases} are needed"
    return _at_least("cases", newest.cases, thresholds.min_cases, sentence)


def _better(newest: SliceSummary, thresholds: GateThresholds) -> Check:
    """Strictly: a model is not better than itself."""
    if thresholds.test == "mcnemar":
        sentence = f"more hits on the slice {newest.name} than chance gives two equal models"
        return _at_most("better", newest.mcnemar_p, (1.0 - thresholds.level) / 2, sentence)
    sentence, passed = f"the slice {newest.name} gives no difference that is a number", False
    if newest.low is not None and newest.difference is not None:
        found = f"differs by {newest.difference:+.4f}, at the least by {newest.low:+.4f}"
        sentence, passed = f"NDCG@10 on the slice {newest.name} {found}", newest.low > 0.0
    return Check(name="better", value=newest.low, threshold=0.0, passed=passed, sentence=sentence)


def _holds(one: SliceSummary, thresholds: GateThresholds) -> Check:
    before, now = one.champion_ndcg_at_10, one.challenger_ndcg_at_10
    lost = math.nan
    if before is not None and now is not None:
        lost = (before - now) / before if before > 0.0 else 0.0
    sentence = f"share of the NDCG@10 that is lost on the slice {one.name}"
    return _at_most(f"holds: {one.name}", lost, thresholds.max_loss, sentence)


def _at_least(name: str, value: float, threshold: float, sentence: str) -> Check:
    # Written so that what is not a number does not pass.
    passed = bool(value >= threshold)
    return Check(name=name, value=_finite(value), threshold=threshold, passed=passed, sentence=sentence)


def _at_most(name: str, value: float, threshold: float, sentence: str) -> Check:
    passed = bool(value <= threshold)
    return Check(name=name, value=_finite(value), threshold=threshold, passed=passed, sentence=sentence)


def _mean(values: Values) -> float | None:
    return _finite(float(values.mean())) if len(values) else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
