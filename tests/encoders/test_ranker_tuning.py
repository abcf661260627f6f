from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from encoders import ranker_tuning
from encoders.features import FEATURES
from encoders.ranked_rows import ndcg_of_rows
from encoders.ranker import Ranker, RankerConfig, RankingRows, train_ranker
from encoders.ranker_tuning import (
    LEAST_ROWS,
    LEAST_TRAINED,
    believed_ranker,
    held_out,
    tune_ranker,
)
from encoders.torch_context import seeded
from encoders.two_stage import INTEREST

CONFIG = RankerConfig(epochs=6, hidden=16, batch_size=32, threads=1)
OTHER = INTEREST + 1
CANDIDATES = 15


def rows(count: int, telling: int | None, seed: int = 0) -> RankingRows:
    """The target is the candidate with the largest feature ``telling``; drawn at random without one."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, CANDIDATES, len(FEATURES))).astype(np.float32)
    best = rng.integers(0, CANDIDATES, count) if telling is None else features[:, :, telling].argmax(axis=1)
    return RankingRows(features, np.ones((count, CANDIDATES), bool), np.arange(CANDIDATES) == best[:, None])


def without(full: RankingRows, feature: int) -> RankingRows:
    """The same rows of a shop in which a feature is always 0."""
    features = full.features.copy()
    features[:, :, feature] = 0.0
    return RankingRows(features, full.real, full.targets)


@pytest.fixture(scope="module")
def parent() -> Ranker:
    """Orders by another feature than the target's shop does."""
    with seeded(0):
        ranker = tune_ranker(None, rows(250, OTHER), CONFIG).ranker
    assert ranker is not None
    return ranker


def same(one: Ranker, other: Ranker) -> bool:
    return all(torch.equal(a, other.state_dict()[name]) for name, a in one.state_dict().items())


def test_a_ranker_learns_what_its_parent_did_not_know(parent: Ranker) -> None:
    found = tune_ranker(parent, rows(250, INTEREST), CONFIG)
    assert found.improved
    assert found.after > found.before


def test_where_the_parent_saw_less_what_begins_anew_may_be_kept() -> None:
    blind = train_ranker([without(rows(250, OTHER), INTEREST)], CONFIG).ranker
    found = tune_ranker(blind, rows(400, INTEREST), CONFIG)
    assert found.after > 2 * found.before


def test_a_feature_that_is_awake_changes_no_score_yet() -> None:
    blind = train_ranker([without(rows(100, OTHER), INTEREST)], CONFIG).ranker
    seen = torch.from_numpy(rows(50, None, seed=1).features)
    before = blind(seen)
    blind.awaken(seen.flatten(end_dim=1))
    torch.testing.assert_close(blind(seen), before)


def test_where_rows_say_nothing_the_parent_stays(parent: Ranker) -> None:
    found = tune_ranker(parent, rows(200, None), CONFIG)
    assert not found.improved
    assert found.ranker is parent


def test_few_rows_leave_the_parent_alone(parent: Ranker) -> None:
    found = tune_ranker(parent, rows(LEAST_ROWS - 1, INTEREST), CONFIG)
    assert found.ranker is parent
    assert not found.improved


def test_without_a_parent_the_plain_score_stays_where_nothing_is_better() -> None:
    assert tune_ranker(None, rows(200, None), CONFIG).ranker is None


def test_a_believed_ranker_is_kept_where_rows_say_nothing() -> None:
    found = believed_ranker(rows(200, None), CONFIG)
    assert found.ranker is not None
    assert (len(found.curve), found.after) == (CONFIG.epochs, max(found.curve))


def test_rows_of_the_same_users_are_held_out_whatever_else_was_retrieved() -> None:
    every = replace(rows(300, None), questions=np.arange(300))
    some = every.take(np.delete(np.arange(300), [7, 70, 170]))
    one, other = held_out(every, CONFIG), held_out(some, CONFIG)
    assert one.questions is not None
    assert other.questions is not None
    assert len(set(one.questions) ^ set(other.questions)) <= 2 * 3


def test_too_few_rows_give_no_believed_ranker() -> None:
    assert believed_ranker(rows(LEAST_TRAINED - 1, INTEREST), CONFIG).ranker is None


def test_a_tuning_tells_its_curve_by_steps(parent: Ranker) -> None:
    found = tune_ranker(parent, rows(250, INTEREST), CONFIG)
    assert found.steps == -(-250 // max(16, 250 // 8))
    assert len(found.curve) == CONFIG.epochs


def test_few_rows_are_all_asked_each_by_rankers_that_did_not_learn_from_it(parent: Ranker) -> None:
    found = tune_ranker(parent, rows(250, INTEREST), CONFIG)
    assert found.unseen.mean() == pytest.approx(found.after)
    assert found.ranker is not None
    learned = ndcg_of_rows(found.ranker, rows(250, INTEREST))
    assert found.unseen.mean() < learned.mean()


def test_of_many_rows_only_those_held_out_were_not_learned_from(
    parent: Ranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranker_tuning, "CROSS_FITTED", 0)
    every = replace(rows(400, INTEREST), questions=np.arange(400))
    found = tune_ranker(parent, every, CONFIG)
    held = held_out(every, CONFIG).questions
    assert held is not None
    assert found.improved
    assert np.flatnonzero(np.isfinite(found.unseen)).tolist() == sorted(held.tolist())


def test_what_a_parent_already_knows_it_keeps(parent: Ranker) -> None:
    found = tune_ranker(parent, rows(250, OTHER, seed=3), CONFIG)
    assert found.after >= found.before


def test_the_parent_itself_is_not_changed(parent: Ranker) -> None:
    before = {name: value.clone() for name, value in parent.state_dict().items()}
    tune_ranker(parent, rows(200, INTEREST), CONFIG)
    assert all(torch.equal(value, before[name]) for name, value in parent.state_dict().items())


def test_standardisation_stays_the_parents(parent: Ranker) -> None:
    found = tune_ranker(parent, rows(250, INTEREST), CONFIG).ranker
    assert found is not None
    torch.testing.assert_close((found.mean, found.spread), (parent.mean, parent.spread))


def test_the_same_seed_gives_the_same_weights(parent: Ranker) -> None:
    one, other = (tune_ranker(parent, rows(300, INTEREST), CONFIG).ranker for _ in range(2))
    assert one is not None
    assert other is not None
    assert same(one, other)
