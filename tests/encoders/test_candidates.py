"""Candidates: both sources are there, nothing twice, and the history is last where nothing is ranked."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.batching import TrainingSequences, sequences_of
from encoders.candidates import CandidateCounts, Retriever, catalogue_of, interests_of, newest_first
from encoders.covisitation import CovisitationConfig
from encoders.errors import DataError
from encoders.features import FEATURES, MAX_HISTORY, PADDING, histories_of
from encoders.ranking_rows import ranking_rows
from encoders.runtime import ServingModel

N, D = 60, 8
CONFIG = CovisitationConfig()
RNG = np.random.default_rng(0)
PAST = [RNG.choice(N, 6, replace=False).tolist() for _ in range(30)]


def unit(n: int, d: int) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def retrieved(histories: list[list[int]]):
    catalogue = catalogue_of(unit(N, D), sequences_of(PAST), CONFIG)
    retriever = Retriever(catalogue, CONFIG.exponent, CandidateCounts(5, 4, 3))
    interests = np.stack([catalogue.vectors[history[-1]] for history in histories])
    found = retriever.retrieve(histories_of(histories), interests)
    return found, interests @ catalogue.vectors.T, retriever.covisited(histories_of(histories))


def test_the_best_of_each_source_are_candidates_once():
    found, dense, covisited = retrieved([PAST[0], PAST[1][:2]])
    for row in range(2):
        ids = found.candidates[row][found.candidates[row] != PADDING].tolist()
        assert len(ids) == len(set(ids))
        assert set(np.argsort(-dense[row])[:5].tolist()) <= set(ids)
        assert set(np.argsort(-covisited[row])[:4].tolist()) <= set(ids)
    assert found.features.shape == (*found.candidates.shape, len(FEATURES))


def test_fused_is_the_sum_and_the_history_is_last():
    found, dense, covisited = retrieved([[1, 2]])
    others = [item for item in range(N) if item not in (1, 2)]
    expected = dense[0] + covisited[0] / covisited[0].max()
    np.testing.assert_allclose(found.fused[0, others], expected[others], rtol=1e-5)
    assert found.fused[0, [1, 2]].max() < found.fused[0, others].min()


def test_histories_are_read_newest_first():
    newest = newest_first(sequences_of([list(range(MAX_HISTORY + 5)), [7]]))
    assert newest.items[0].tolist() == list(range(MAX_HISTORY + 4, 4, -1))
    assert newest.weights.sum(axis=1).tolist() == [MAX_HISTORY, 1]


def test_rows_hold_the_target_among_its_candidates(serving_model: ServingModel):
    vectors = unit(N, serving_model.dim)
    data = TrainingSequences(
        sequences_of(PAST), sequences_of(PAST), np.array([past[0] for past in PAST], dtype=np.int64)
    )
    rows = ranking_rows(serving_model, vectors, data, CONFIG)
    assert (rows.real & rows.targets).sum(axis=1).tolist() == [1] * len(PAST)
    seen = rows.features[rows.targets][:, FEATURES.index("seen")]
    assert seen.tolist() == [1.0] * len(PAST)


def test_interests_are_those_of_the_models_graph(serving_model: ServingModel):
    vectors = unit(N, serving_model.dim)
    found = interests_of(serving_model, vectors, sequences_of([[3], [4, 5, 6]]))
    np.testing.assert_allclose(found[0], vectors[3], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_without_validation_there_is_nothing_to_learn_from(serving_model: ServingModel):
    with pytest.raises(DataError, match="nothing to learn from"):
        ranking_rows(serving_model, unit(N, serving_model.dim), TrainingSequences(sequences_of(PAST)), CONFIG)
