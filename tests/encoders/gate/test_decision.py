"""The gate lets through what is better beyond noise, holds elsewhere, and is sound; nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from encoders.gate.decision import GateThresholds, Measured, Slice, Soundness, judge
from encoders.gate.report import GateReport

THRESHOLDS = GateThresholds(draws=200)
SOUND = Soundness(0, 0.9, 0.8, 1e-5, 1e-5)


def measured(seed: int, cases: int = 400, share: float = 0.2) -> Measured:
    """A hit in a ``share`` of the cases, at ranks 1 to 10."""
    rng = np.random.default_rng(seed)
    hit = (rng.random(cases) < share).astype(np.float64)
    return Measured(hit / np.log2(1.0 + rng.integers(1, 11, cases)), hit)


def better(than: Measured, seed: int = 9, share: float = 0.3) -> Measured:
    """A share of what was missed is hit, at rank 1."""
    gained = (than.hit == 0) & (np.random.default_rng(seed).random(len(than.hit)) < share)
    return Measured(np.where(gained, 1.0, than.ndcg), np.where(gained, 1.0, than.hit))


def versus(champion: Measured, challenger: Measured, name: str = "newest") -> Slice:
    return Slice(name, np.arange(len(champion.ndcg)) // 2, champion, challenger)


def verdict(
    newest: Slice, *references: Slice, sound: Soundness = SOUND, thresholds: GateThresholds = THRESHOLDS
) -> GateReport:
    return judge("champion", "challenger", newest, references, sound, thresholds)


def failed(report: GateReport) -> list[str]:
    return [check.name for check in report.failed]


CHAMPION = measured(0)
BETTER = versus(CHAMPION, better(CHAMPION))


@given(seed=st.integers(0, 10_000), cases=st.integers(1, 500), share=st.floats(0, 1))
def test_a_model_is_never_released_against_itself(seed: int, cases: int, share: float) -> None:
    same = measured(seed, cases, share)
    assert not verdict(versus(same, same)).passed


@given(seed=st.integers(0, 10_000), test=st.sampled_from(["bootstrap", "mcnemar"]))
def test_a_clearly_better_model_is_released(seed: int, test: str) -> None:
    champion = measured(seed)
    thresholds = changed(THRESHOLDS, test=test)
    assert verdict(versus(champion, better(champion, seed)), thresholds=thresholds).passed


@given(seed=st.integers(0, 10_000))
def test_a_clearly_worse_model_is_refused(seed: int) -> None:
    challenger = measured(seed)
    assert "better" in failed(verdict(versus(better(challenger, seed), challenger)))


def test_noise_alone_is_released_no_more_often_than_the_level_allows() -> None:
    pairs = [versus(measured(2 * seed), measured(2 * seed + 1)) for seed in range(200)]
    released = sum(verdict(pair).passed for pair in pairs)
    # One side of a 95 % interval: 2.5 % of 200, and three standard deviations of that.
    assert released <= 5 + 3 * math.sqrt(200 * 0.025 * 0.975)


@pytest.mark.parametrize(("loss", "holds"), [(0.04, True), (0.06, False)])
def test_a_reference_may_lose_no_more_than_its_share(loss: float, holds: bool) -> None:
    lost = replace(CHAMPION, ndcg=CHAMPION.ndcg * (1 - loss))
    report = verdict(BETTER, versus(CHAMPION, lost, "games"), thresholds=changed(THRESHOLDS, max_loss=0.05))
    assert failed(report) == ([] if holds else ["holds: games"])


def test_a_reference_on_which_the_champion_is_always_wrong_can_lose_nothing() -> None:
    wrong = measured(3, share=0.0)
    assert verdict(BETTER, versus(wrong, wrong, "games")).passed


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("finite", replace(SOUND, not_finite=1)),
        ("item_spread", replace(SOUND, item_spread=0.0)),
        ("interest_spread", replace(SOUND, interest_spread=0.0)),
        ("interest_spread", replace(SOUND, interest_spread=math.nan)),
        ("cost", replace(SOUND, challenger_step_seconds=2e-5)),
        ("int8_overlap", replace(SOUND, int8_overlap=0.5)),
        ("distilled_overlap", replace(SOUND, distilled_overlap=0.5)),
    ],
)
def test_a_better_model_that_is_not_sound_is_refused(name: str, sound: Soundness) -> None:
    assert failed(verdict(BETTER, sound=sound)) == [name]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_metrics_that_are_no_numbers_are_refused(value: float) -> None:
    challenger = better(CHAMPION)
    challenger.ndcg[0] = value
    assert "better" in failed(verdict(versus(CHAMPION, challenger)))


def test_few_cases_are_refused_however_good() -> None:
    few = measured(1, cases=10, share=0.0)
    assert failed(verdict(versus(few, better(few, share=1.0)))) == ["cases"]


def test_no_cases_are_refused() -> None:
    none = measured(0, cases=0)
    assert {"cases", "better"} <= set(failed(verdict(versus(none, none))))


def test_many_events_of_one_user_are_one_witness() -> None:
    """By case the gain of one busy user is beyond noise; by user it is an anecdote."""
    champion = measured(5, share=0.5)
    challenger = Measured(champion.ndcg.copy(), champion.hit.copy())
    challenger.ndcg[:200] += 0.3
    challenger.ndcg[200:] -= 0.01 * champion.hit[200:]
    users = np.r_[np.zeros(200, np.int64), np.arange(1, 201)]
    assert "better" in failed(verdict(Slice("newest", users, champion, challenger)))


def test_the_same_measurements_give_the_same_report() -> None:
    assert verdict(BETTER) == verdict(BETTER)
