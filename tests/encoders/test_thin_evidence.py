from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.batching import TrainingSequences, sequences_of
from encoders.covisitation import CovisitationConfig
from encoders.features import FEATURES
from encoders.ranker import RankingRows
from encoders.runtime import ServingModel
from encoders.thin_evidence import rows_of_all_ages, sampled

N = 30
HISTORIES = st.lists(st.lists(st.integers(0, N - 1), min_size=1, max_size=6), min_size=1, max_size=20)


@given(HISTORIES, st.integers(1, 150), st.integers(0, 5))
def test_a_sample_is_whole_histories_and_no_more_of_them_than_are_asked_for(
    histories: list[list[int]], events: int, seed: int
) -> None:
    found = sampled(sequences_of(histories), events, seed)
    lengths = np.diff(found.offsets)
    drawn = [part.tolist() for part in np.split(found.items, found.offsets[1:-1])]
    remaining = [list(history) for history in histories]
    for history in drawn:
        remaining.remove(history)  # each at most once
    assert len(found.items) >= min(events, sum(map(len, histories)))
    assert len(found.items) - lengths.max() < events


def test_no_events_are_no_evidence() -> None:
    assert len(sampled(sequences_of([[1, 2], [3]]), 0, 0)) == 0


@pytest.fixture(scope="module")
def rows(serving_model: ServingModel) -> tuple[RankingRows, RankingRows]:
    """Of all evidence alone, and of all ages; every target is the item that the user had last."""
    rng = np.random.default_rng(0)
    past = rng.integers(0, N, (40, 6)).tolist()
    vectors = rng.normal(size=(N, serving_model.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    data = TrainingSequences(sequences_of(past), sequences_of(past), np.array([one[-1] for one in past]))
    config = CovisitationConfig()
    whole, ages = (
        rows_of_all_ages(serving_model, vectors, data, config, events_an_item=shares)
        for shares in ([], [0.0, 1.0, 100.0])
    )
    return whole, ages


def test_questions_are_asked_again_at_each_age_that_is_younger_than_the_data(
    rows: tuple[RankingRows, RankingRows],
) -> None:
    whole, ages = rows
    assert len(ages.targets) == 3 * len(whole.targets)
    np.testing.assert_array_equal(ages.features[: len(whole.targets)], whole.features)


def test_a_younger_shop_has_counted_less(rows: tuple[RankingRows, RankingRows]) -> None:
    _, ages = rows
    counted = np.expm1(ages.features[:, :, FEATURES.index("popularity")].astype(float))
    counted = np.where(ages.real, counted, 0).sum(axis=1).reshape(3, -1).max(axis=1)
    assert counted[0] > counted[2] > counted[1] == 0


def test_all_ages_are_told_as_one(serving_model: ServingModel) -> None:
    past = [[item, (item + 1) % N] for item in range(N)]
    data = TrainingSequences(sequences_of(past), sequences_of(past), np.array([one[0] for one in past]))
    told: list[tuple[int, int]] = []
    rows_of_all_ages(
        serving_model,
        np.eye(N, serving_model.dim, dtype=np.float32),
        data,
        CovisitationConfig(),
        events_an_item=(0.0, 1.0),
        progress=lambda stage, done, total, note: told.append((done, total)),
    )
    assert told == sorted(told)
    assert told[-1] == (3 * N, 3 * N)
