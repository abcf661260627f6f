"""Reasons: the part that is named is the largest, and the event that is named has the largest share in it."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.features import FEATURES, GROUPS, Described, Floats
from encoders.reasons import PARTS, REASONS, SIMILAR, TOGETHER, named_events, parts
from encoders.runtime import ServingModel
from encoders.two_stage import COVISITED, INTEREST

F = len(FEATURES)
OF_THE_USER = (*GROUPS["user"], "bought_last", "buyer", "session", "session_seconds")
"""The same for all candidates of a user."""
seeds = st.integers(0, 2**32 - 1)


def columns_of(names: tuple[str, ...]) -> list[int]:
    return [FEATURES.index(name) for name in names]


def candidates(seed: int, b: int = 3, c: int = 7, m: int = 4) -> tuple[Floats, Floats, Floats]:
    """Random features of c candidates, of which the last are padding, and of the m that are shown."""
    rng = np.random.default_rng(seed)
    everything = rng.normal(size=(b, c, F)).astype(np.float32)
    everything[:, :, columns_of(OF_THE_USER)] = rng.normal(size=(b, 1, len(OF_THE_USER)))
    real = (np.arange(c) < rng.integers(m, c + 1, (b, 1))).astype(np.float32)
    everything *= real[:, :, None]
    return everything[:, :m], everything, real


def test_every_feature_but_those_of_the_user_belongs_to_one_part() -> None:
    named = [name for names in PARTS.values() for name in names]
    assert sorted(named) == sorted(set(FEATURES) - set(OF_THE_USER))


@given(seeds)
def test_of_a_score_that_is_a_sum_each_part_is_its_summand_above_the_average(seed: int) -> None:
    shown, everything, real = candidates(seed)
    weights = np.random.default_rng(seed).normal(size=F).astype(np.float32)
    found = parts(shown, everything, real, lambda features: features @ weights)
    for number, names in enumerate(PARTS.values()):
        of = columns_of(names)
        summand = shown[:, :, of] @ weights[of]
        average = (everything[:, :, of] @ weights[of]).sum(axis=1) / real.sum(axis=1)
        np.testing.assert_allclose(found[:, :, number], summand - average[:, None], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("reason", REASONS)
def test_the_named_part_is_the_largest(reason: str) -> None:
    """All candidates but the first are alike; the first stands out by one part."""
    everything = np.ones((1, 5, F), np.float32)
    everything[0, 0, columns_of(PARTS[reason])] = 2.0
    found = parts(
        everything[:, :1], everything, np.ones((1, 5), np.float32), lambda features: features.sum(axis=2)
    )
    assert REASONS[found.argmax()] == reason
    assert found.max() == pytest.approx(len(PARTS[reason]) * (2.0 - 6.0 / 5.0))


def test_a_candidate_is_told_apart_from_the_others_of_its_own_user() -> None:
    """What is above the average of all users may be below that of the user."""
    everything = np.zeros((2, 2, F), np.float32)
    everything[0, :, FEATURES.index("trend")] = [5.0, 9.0]
    everything[:, 0, FEATURES.index("age")] = 1.0
    found = parts(everything[:, :1], everything, np.ones((2, 2), np.float32), lambda of: of.sum(axis=2))
    assert [REASONS[place] for place in found.argmax(axis=2)[:, 0]] == ["new", "new"]


def test_without_a_ranker_the_parts_are_the_two_terms_of_the_score() -> None:
    shown, everything, real = candidates(1)
    found = parts(shown, everything, real, lambda features: None)
    np.testing.assert_array_equal(found[:, :, REASONS.index(SIMILAR)], shown[:, :, INTEREST])
    together = np.where(shown[:, :, COVISITED] > 0, shown[:, :, COVISITED], -np.inf)
    np.testing.assert_array_equal(found[:, :, REASONS.index(TOGETHER)], together)
    assert np.isneginf(found[:, :, 2:]).all()


def test_without_a_ranker_what_nobody_turned_to_together_is_not_there_for_that_however_unlike() -> None:
    shown = np.zeros((1, 1, F), np.float32)
    shown[..., INTEREST] = -0.5
    found = parts(shown, shown, np.ones((1, 1), np.float32), lambda features: None)
    assert REASONS[found.argmax()] == SIMILAR


def test_of_the_shipped_ranker_the_parts_are_what_scores_lose_one_by_one(serving_model: ServingModel) -> None:
    shown, everything, real = candidates(2)
    whole = serving_model.rank(shown)
    assert whole is not None
    found = parts(shown, everything, real, serving_model.rank)
    for user in range(len(shown)):
        others = everything[user][real[user] > 0]
        for place in range(shown.shape[1]):
            for number, names in enumerate(PARTS.values()):
                without = shown[user, place].copy()
                for name in names:
                    without[FEATURES.index(name)] = others[:, FEATURES.index(name)].mean()
                scored = cast(Floats, serving_model.rank(without[None, None]))
                lost = whole[user, place] - scored[0, 0]
                assert found[user, place, number] == pytest.approx(lost, rel=1e-3, abs=1e-4)


def described(similar: list[list[float]], together: list[list[float]]) -> Described:
    """One user: similarity and co-visitation of events (outer) with candidates (inner)."""
    made = np.array([similar], np.float32), np.array([together], np.float32)
    return Described(np.zeros((1, made[0].shape[2], F), np.float32), *made)


def named(of: Described, *reasons: str) -> list[int]:
    asked = np.array([[REASONS.index(reason) for reason in reasons]])
    return [int(one) for one in named_events(of, asked)[0]]


def test_the_named_event_has_the_largest_share() -> None:
    of = described([[0.1, 0.9], [0.5, 0.2], [0.3, 0.3]], [[0.0, 0.1], [0.0, 0.0], [2.0, 0.0]])
    assert named(of, SIMILAR, SIMILAR) == [1, 0]
    assert named(of, TOGETHER, TOGETHER) == [2, 0]


def test_an_event_without_any_share_is_not_named() -> None:
    of = described([[-0.1, 0.5], [-0.2, 0.1]], [[1.0, 0.0], [0.0, 0.0]])
    assert named(of, SIMILAR, TOGETHER) == [-1, -1]


@pytest.mark.parametrize("reason", [one for one in REASONS if one not in (SIMILAR, TOGETHER)])
def test_other_reasons_name_no_event(reason: str) -> None:
    assert named(described([[1.0]], [[1.0]]), reason) == [-1]
