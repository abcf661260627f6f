"""The two stages taken apart: what each line of the table leaves out, it does not see."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.evaluation.ablation import orderings
from encoders.evaluation.two_stage import DIVERSE, diverse
from encoders.features import FEATURES, GROUPS, Floats
from encoders.ranker import RankerConfig, RankingRows
from encoders.two_stage import COVISITED, INTEREST

HAD = FEATURES.index("had")


def drawn(rows: int, candidates: int = 5, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(rows, candidates, len(FEATURES))).astype(np.float32)


@pytest.fixture(scope="module")
def table():
    features = drawn(600)
    targets = np.arange(5) == features[:, :, INTEREST].argmax(axis=1)[:, None]
    rows = RankingRows(features, np.ones_like(targets), targets)
    config = RankerConfig(epochs=1, hidden=4, threads=1)
    return dict(orderings(rows, config, repeats=False))


def test_the_sources_alone_are_their_feature_with_what_was_had_last(table):
    features = drawn(3, seed=1)
    had = features[:, :, HAD]
    dense, covisited = features[:, :, INTEREST], features[:, :, COVISITED]
    expected = {"dense": dense, "co-visitation": covisited, "fusion": dense + covisited}
    for name, scores in expected.items():
        np.testing.assert_allclose(table[name].rank(features), scores - 10 * had, atol=1e-4)


@pytest.mark.parametrize("group", GROUPS)
def test_a_ranker_without_a_group_does_not_read_it(table, group):
    features = drawn(3, seed=2)
    other = features.copy()
    other[:, :, [FEATURES.index(name) for name in GROUPS[group]]] += 3.0
    rank = table[f"ranker without {group}"].rank
    np.testing.assert_allclose(rank(features), rank(other), atol=1e-5)


def test_the_learning_curve_ends_with_all_rows(table):
    curve = [name for name in table if name.endswith("rows")]
    assert curve == ["ranker, 500 rows", "ranker, all 600 rows"]


def test_diversity_keeps_the_best_and_puts_its_double_further_down():
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 1, 2]]  # item 1 is the double of item 0
    scores = np.array([[4.0, 3.9, 3.0, 1.0]], np.float32)
    found = diverse(scores, vectors, 0.5)
    assert np.argsort(-found[0]).tolist() == [0, 2, 3, 1]


def test_diversity_orders_only_the_best_anew():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2 * DIVERSE, 3)).astype(np.float32)
    scores = rng.normal(size=(1, 2 * DIVERSE)).astype(np.float32)
    found = diverse(scores, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 0.3)
    below = np.argsort(-scores[0])[DIVERSE:]
    np.testing.assert_array_equal(found[0, below], scores[0, below])
    np.testing.assert_allclose(np.sort(found), np.sort(scores))
