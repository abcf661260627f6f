"""The ranker: its loss by formula, what training finds, and that a seed settles it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from encoders.errors import DataError
from encoders.features import FEATURES, GROUPS
from encoders.ranker import Ranker, RankerConfig, RankingRows, join_rows, listwise_loss, train_ranker

QUICK = RankerConfig(epochs=6, hidden=8, batch_size=16, learning_rate=0.01, threads=1)


def rows(count: int, candidates: int = 6, seed: int = 0) -> RankingRows:
    """The target has the largest third feature; the last candidate is padding."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, candidates, len(FEATURES))).astype(np.float32)
    real = np.ones((count, candidates), dtype=np.bool_)
    real[:, -1] = False
    best = features[:, :-1, 2].argmax(axis=1)
    return RankingRows(features, real, best[:, None] == np.arange(candidates))


def test_the_loss_is_the_logarithm_of_the_targets_share():
    scores = torch.tensor([[1.0, 2.0, 50.0]])
    real = torch.tensor([[True, True, False]])
    expected = -np.log(np.exp(2.0) / (np.exp(1.0) + np.exp(2.0)))
    targets = torch.tensor([[False, True, False]])
    assert float(listwise_loss(scores, real, targets)) == pytest.approx(expected, rel=1e-5)


def test_several_targets_share_the_loss_of_their_row():
    scores, real = torch.tensor([[1.0, 2.0, 0.5]]), torch.ones(1, 3, dtype=torch.bool)
    alone = [
        float(listwise_loss(scores, real, torch.tensor([[k == one for k in range(3)]]))) for one in (0, 1)
    ]
    together = float(listwise_loss(scores, real, torch.tensor([[True, True, False]])))
    assert together == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_training_finds_the_feature_that_decides():
    outcome = train_ranker([rows(800)], QUICK)
    assert outcome.ndcg_at_10 > 0.9
    fresh = rows(200, seed=1)
    with torch.no_grad():
        scores = outcome.ranker(torch.from_numpy(fresh.features)).numpy()
    assert fresh.targets[np.arange(200), scores[:, :-1].argmax(axis=1)].mean() > 0.8


def test_the_same_seed_gives_the_same_weights():
    once, again = (train_ranker([rows(100)], QUICK).ranker.state_dict() for _ in range(2))
    assert all(torch.equal(once[name], again[name]) for name in once)


def test_an_outlier_counts_no_more_than_a_large_value():
    ranker = Ranker(hidden=8)
    ranker.standardise(torch.randn(50, len(FEATURES), generator=torch.Generator().manual_seed(0)))
    far, farther = torch.full((1, 2, len(FEATURES)), 1e3), torch.full((1, 2, len(FEATURES)), 1e6)
    assert torch.equal(ranker(far), ranker(farther))


def test_a_feature_that_never_varied_in_training_says_nothing():
    ranker, rows = Ranker(hidden=8), torch.randn(50, len(FEATURES))
    price = FEATURES.index("price")
    rows[:, price] = 0.0
    ranker.standardise(rows)
    dear = rows[None].clone()
    dear[..., price] = 5.0
    torch.testing.assert_close(ranker(dear), ranker(rows[None]))


def test_domains_with_fewer_candidates_are_padded():
    joined = join_rows([rows(3, candidates=4), rows(2, candidates=6)])
    assert joined.features.shape == (5, 6, len(FEATURES))
    assert joined.real.sum(axis=1).tolist() == [3, 3, 3, 5, 5]


def test_rows_are_taken_whole_and_groups_of_features_left_out():
    some = rows(5)
    taken = some.take(np.array([3, 1]))
    np.testing.assert_array_equal(taken.features, some.features[[3, 1]])
    np.testing.assert_array_equal(taken.targets, some.targets[[3, 1]])
    left = some.without(["content", "user"]).features
    gone = [FEATURES.index(name) for group in ("content", "user") for name in GROUPS[group]]
    assert not left[:, :, gone].any()
    kept = np.delete(np.arange(len(FEATURES)), gone)
    np.testing.assert_array_equal(left[:, :, kept], some.features[:, :, kept])


def test_too_few_rows_are_refused():
    with pytest.raises(DataError, match="too few"):
        train_ranker([rows(5)], QUICK)
