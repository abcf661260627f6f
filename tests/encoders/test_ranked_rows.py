from __future__ import annotations

import numpy as np
import pytest

from encoders.features import FEATURES
from encoders.ranked_rows import HAD, ndcg_of_rows, ndcg_of_systems
from encoders.ranker import RankingRows
from encoders.two_stage import COVISITED, INTEREST


def rows(questions: list[int] | None, candidates: int = 12) -> RankingRows:
    """The target is first by interest and co-visitation together."""
    count = 3 if questions is None else len(questions)
    rng = np.random.default_rng(count)
    features = np.zeros((count, candidates, len(FEATURES)), np.float32)
    features[:, :, [INTEREST, COVISITED]] = rng.random((count, candidates, 2))
    best = features[:, :, [INTEREST, COVISITED]].sum(axis=2).argmax(axis=1)
    asked = None if questions is None else np.array(questions, np.int64)
    return RankingRows(
        features, np.ones((count, candidates), bool), np.arange(candidates) == best[:, None], asked
    )


def test_without_a_ranker_rows_are_ordered_by_the_plain_score() -> None:
    assert ndcg_of_rows(None, rows(None)).tolist() == [1.0] * 3


def test_what_the_user_had_comes_last_by_the_plain_score() -> None:
    some = rows(None)
    some.features[:, :, HAD] = some.targets
    assert ndcg_of_rows(None, some).tolist() == [0.0] * 3


def test_systems_are_compared_on_questions_that_none_has_learned_from() -> None:
    one = (rows([0, 1, 2, 3]), np.array([0.1, np.nan, 0.3, 0.4]))
    other = (rows([0, 1, 2, 3]), np.array([0.5, 0.6, np.nan, 0.8]))
    assert [values.tolist() for values in ndcg_of_systems([one, other])] == [[0.1, 0.4], [0.5, 0.8]]


def test_a_question_that_a_system_did_not_retrieve_is_nothing_for_it() -> None:
    one, other = (rows([2, 5]), np.array([0.2, 0.5])), (rows([5, 7]), np.array([0.6, 0.7]))
    assert [v.tolist() for v in ndcg_of_systems([one, other])] == [[0.2, 0.5, 0.0], [0.0, 0.6, 0.7]]


def test_rows_that_do_not_know_their_questions_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="questions"):
        ndcg_of_systems([(rows(None), np.zeros(3))])
