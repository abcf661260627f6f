"""Two stages: candidates against dense matrices, each once, best first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.batching import sequences_of
from encoders.covisitation import CovisitationConfig, Neighbours, count
from encoders.features import FEATURES, PADDING, SLOW, Catalogue, Floats, Histories, Integers, histories_of
from encoders.two_stage import COVISITED, EXPONENT, INTEREST, covisited, joined, ranked, taken

N, D = 12, 4
item_lists = st.lists(st.lists(st.integers(0, N - 1), max_size=8), min_size=1, max_size=5)


def neighbours_of(past: list[list[int]]) -> Neighbours:
    return count(sequences_of([own or [0] for own in past]), N, CovisitationConfig())


def catalogue(past: list[list[int]]) -> Catalogue:
    vectors = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Catalogue(vectors, neighbours_of(past), np.ones(N, np.float32))


def dense_scores(histories: Histories, neighbours: Neighbours) -> Floats:
    """What every item scores, [b, n], by the whole lists."""
    decay = np.float32(SLOW) ** np.arange(histories.items.shape[1], dtype=np.float32)
    return neighbours.normalised(EXPONENT).scores(histories.items, histories.weights * decay)


def alike(histories: Histories, k: int) -> Integers:
    """As many for everybody."""
    return np.full(len(histories.items), k)


@given(past=item_lists, asked=item_lists, k=st.integers(1, N + 2))
def test_covisited_items_are_the_best_of_all_items(
    past: list[list[int]], asked: list[list[int]], k: int
) -> None:
    histories, neighbours = histories_of(asked), neighbours_of(past)
    scores = dense_scores(histories, neighbours)
    for own, found in zip(scores, covisited(histories, neighbours, alike(histories, k)), strict=True):
        chosen = found[found != PADDING]
        assert len(set(chosen.tolist())) == len(chosen) == min(k, np.count_nonzero(own))
        best = np.sort(own)[::-1][: len(chosen)]
        np.testing.assert_allclose(own[chosen], best, rtol=1e-5)


def test_a_lighter_event_speaks_less() -> None:
    neighbours = neighbours_of([[0, 1], [2, 3]])
    items = np.array([[0, 2]])
    for weights, expected in (([1.0, 0.1], 1), ([0.1, 1.0], 3)):
        found = covisited(Histories(items, np.array([weights], np.float32)), neighbours, np.array([1]))
        assert found.tolist() == [[expected]]


@pytest.mark.parametrize("k", [0, 3])
def test_without_a_history_nothing_is_covisited(k: int) -> None:
    found = covisited(histories_of([[], []]), neighbours_of([[0, 1]]), np.array([k, k]))
    assert found.tolist() == [[PADDING] * k] * 2


def test_a_user_without_history_does_not_disturb_the_others() -> None:
    neighbours = neighbours_of([[0, 1, 2], [3, 1]])
    alone = covisited(histories_of([[0]]), neighbours, np.array([3]))
    among = covisited(histories_of([[], [0], [3, 1]]), neighbours, np.array([3, 3, 3]))
    assert sorted(among[1].tolist()) == sorted(alone[0].tolist())


def test_nobodys_covisited_items_depend_on_how_many_others_want() -> None:
    neighbours = neighbours_of([[0, 1, 2, 3], [3, 1]])
    alone = covisited(histories_of([[0]]), neighbours, np.array([1]))[0]
    among = covisited(histories_of([[0], [3]]), neighbours, np.array([1, 3]))
    assert among[0].tolist() == [*alone.tolist(), PADDING, PADDING]


sources = st.lists(
    st.lists(st.integers(-1, N - 1), min_size=3, max_size=3).map(lambda row: [row]), min_size=1, max_size=4
)


@given(sources)
def test_joined_candidates_are_each_there_once(given_sources: list[list[list[int]]]) -> None:
    found = joined(*(np.array(one) for one in given_sources))
    real = [row for row in found[0].tolist() if row != PADDING]
    expected = {row for one in given_sources for row in one[0]} - {PADDING}
    assert sorted(real) == real == sorted(expected)


def test_joining_is_done_for_every_user_apart() -> None:
    found = joined(np.array([[1, 2], [2, 2]]), np.array([[2], [PADDING]]))
    assert [sorted(set(row) - {PADDING}) for row in found.tolist()] == [[1, 2], [2]]


def asked_about(candidates: list[list[int]]) -> tuple[Histories, Floats, Integers, Catalogue]:
    items = catalogue([[0, 1, 2], [2, 3, 4, 5], [1, 2, 6]])
    histories = histories_of([[0, 1]] * len(candidates))
    return histories, items.vectors[[1] * len(candidates)], np.array(candidates), items


def test_candidates_are_ordered_by_what_the_ranker_says() -> None:
    def rank(features: Floats) -> Floats:
        return -features[:, :, FEATURES.index("interest")]

    histories, interests, candidates, items = asked_about([[3, 4, PADDING, 5, 6]])
    found = ranked(histories, interests, candidates, items, rank)
    expected = sorted([3, 4, 5, 6], key=lambda row: items.vectors[row] @ interests[0])
    assert found.items[0].tolist() == [*expected, PADDING]
    np.testing.assert_allclose(
        found.scores[0, :4], -(items.vectors[expected] @ interests[0]), rtol=1e-5, atol=1e-6
    )
    assert found.scores[0, 4] == -np.inf


def test_without_a_ranker_similarity_and_covisitation_add_up() -> None:
    histories, interests, candidates, items = asked_about([[2, 3, 4, 5, 6]])
    found = ranked(histories, interests, candidates, items, lambda features: None)
    together = dense_scores(histories, items.neighbours)[0]
    scores = items.vectors @ interests[0] + together / together[[2, 3, 4, 5, 6]].max()
    assert found.items[0].tolist() == sorted([2, 3, 4, 5, 6], key=lambda row: -scores[row])
    np.testing.assert_allclose(found.scores[0], scores[found.items[0]], rtol=1e-4)


def test_equal_scores_keep_the_order_of_the_question() -> None:
    def rank(features: Floats) -> Floats:
        return np.zeros(features.shape[:2], np.float32)

    histories, interests, candidates, items = asked_about([[6, 2, 4]])
    assert ranked(histories, interests, candidates, items, rank).items.tolist() == [[6, 2, 4]]


def test_order_leads_back_to_what_was_described() -> None:
    histories, interests, candidates, items = asked_about([[5, 2, PADDING, 3], [PADDING, 6, 4, 2]])
    found = ranked(histories, interests, candidates, items, lambda features: None)
    np.testing.assert_array_equal(np.take_along_axis(candidates, found.order, axis=1), found.items)
    shown = taken(found.described, found.order[:, :2])
    plain = shown.features[:, :, INTEREST] + shown.features[:, :, COVISITED]
    np.testing.assert_allclose(plain, found.scores[:, :2], rtol=1e-5)
    np.testing.assert_allclose(
        shown.similar[:, 0], items.vectors[found.items[:, :2]] @ items.vectors[1], rtol=1e-4, atol=1e-6
    )


def test_a_user_without_any_covisitation_among_the_candidates_is_not_left_to_the_ranker() -> None:
    histories, interests, candidates, items = asked_about([[3, 4, 5]])
    none = np.zeros_like(items.neighbours.weights)
    alone = replace(items, neighbours=replace(items.neighbours, weights=none))
    found = ranked(histories, interests, candidates, alone, lambda features: -features[:, :, INTEREST])
    assert found.items[0].tolist() == sorted([3, 4, 5], key=lambda row: -(items.vectors[row] @ interests[0]))
    assert found.plain.tolist() == [True]
