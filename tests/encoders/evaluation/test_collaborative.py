"""Co-visitation and session neighbours on histories whose answer can be computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from encoders.datasets import load
from encoders.evaluation.collaborative import Covisitation, SessionNeighbours
from encoders.evaluation.leave_one_out import evaluate
from encoders.evaluation.methods import Histories

PAST: Histories = [[0, 1, 2], [0, 1, 3], [4, 5], [1, 3]]


@pytest.mark.parametrize("method", [Covisitation(), SessionNeighbours()])
def test_what_others_turned_to_comes_first_and_what_was_seen_last(method):
    method.fit(PAST, 7)
    scores = method.scores([[0, 1], [4]])
    assert set(np.argsort(-scores[0])[:2].tolist()) == {2, 3}
    assert scores[1].argmax() == 5
    assert scores[0, [0, 1]].max() < scores[0, [2, 3, 4, 5, 6]].min()


@pytest.mark.parametrize("method", [Covisitation(), SessionNeighbours()])
def test_an_unknown_history_has_no_opinion(method):
    method.fit(PAST, 7)
    assert np.ptp(method.scores([[6]])[0, :6]) == 0


def test_votes_are_similarity_times_lateness_times_rarity():
    method = SessionNeighbours(decay=0.5)
    method.fit(PAST, 7)
    # [0, 1, 2] and [0, 1, 3] share both items (1 + 0.5), [1, 3] the newest (1); all newest at weight 1.
    expected = {2: 1.5 * math.log(4 / 1), 3: 1.5 * math.log(4 / 2) + 1.0 * math.log(4 / 2)}
    scores = method.scores([[0, 1]])[0]
    assert {item: float(scores[item]) for item in expected} == pytest.approx(expected, rel=1e-5)


def test_only_the_nearest_sessions_vote():
    method = SessionNeighbours(neighbours=1)
    method.fit([[0, 1, 2], [1, 3]], 4)
    assert method.scores([[0, 1]])[0, 3] == 0


@pytest.mark.data
def test_covisitation_on_amazon_scientific_keeps_its_quality(data_dir):
    dataset = load("unisrec", data_dir / "amazon_scientific")
    assert dataset.split is not None
    found = evaluate(Covisitation(), dataset.split, len(dataset.items))
    assert found["ndcg_at_10"] > 0.095
    assert found["ndcg_at_10_low"] < found["ndcg_at_10"] < found["ndcg_at_10_high"]
