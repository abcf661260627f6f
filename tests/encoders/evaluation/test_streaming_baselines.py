"""Streaming baselines: each against another way to compute the same, and none of them looks ahead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from encoders.covisitation import CovisitationConfig, Visit, pairs_of
from encoders.errors import DataError
from encoders.evaluation.baselines import BASELINES, GRIDS, baseline, names_for, tune
from encoders.evaluation.progressive import Replayed, run
from encoders.evaluation.streaming import PopularityBoard, best
from encoders.evaluation.streaming_covisitation import StreamingCovisitation
from encoders.evaluation.streaming_neighbours import StreamingNeighbours
from encoders.evaluation.streaming_popularity import StreamingNewest, StreamingPopularity, StreamingRepeats
from encoders.evaluation.streaming_text import StreamingText, whitened
from encoders.evaluation.timeline import Basket, Events, Stage, Timeline
from encoders.events import Item

DAY = 86_400.0
N_ITEMS, N_USERS = 30, 8


def events(rows: Sequence[tuple[int, int, float]]) -> Events:
    users, items, seconds = (np.array(column) for column in zip(*rows))
    return Events(users, items, np.zeros(len(rows), dtype=np.int64), seconds.astype(np.float64))


def random_events(seed: int, count: int = 400) -> Events:
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(0, count // 2, count)).astype(np.float64) * DAY / 8
    items = np.minimum(rng.geometric(0.12, count) - 1, N_ITEMS - 1)
    return Events(rng.integers(0, N_USERS, count), items, rng.integers(0, 2, count), seconds)


def timeline(found: Events) -> Timeline:
    items = [Item(str(row), str(row)) for row in range(N_ITEMS)]
    return Timeline("toy", found, [str(user) for user in range(N_USERS)], items, True)


def stage(found: Events, **changes: object) -> Stage:
    made = timeline(found).stage(float(found.seconds[-1]) + 1.0)
    return Stage(**{name: getattr(made, name) for name in Stage.__slots__} | changes)


def installed(name: str) -> object:
    skip = pytest.mark.skip(reason="the extra `bench` is not installed")
    try:
        import implicit  # noqa: F401
    except ModuleNotFoundError:
        return pytest.param(name, marks=skip) if name == "als" else name
    return name


ALL = pytest.mark.parametrize("name", [installed(name) for name in BASELINES])
TEXTS = np.random.default_rng(9).normal(size=(N_ITEMS, 12)).astype(np.float32)


def replayed(name: str, found: Events) -> Replayed:
    settings = {"factors": 4} if name == "als" else {"dim": 8} if name == "decayed-text" else {}
    return run(baseline(name, "toy", settings), timeline(found), TEXTS, quantile=0.5)[0]


@ALL
def test_the_future_changes_nothing_before_it(name):
    found = random_events(1)
    at = 300
    shuffled = np.r_[:at, at + np.random.default_rng(2).permutation(len(found) - at)]
    # Items that arrive in the part that is shuffled would arrive at other times, so all have arrived before.
    first = events([(0, item, -1.0) for item in range(N_ITEMS)])
    lists = []
    for order in (np.arange(len(found)), shuffled):
        joined = [
            np.r_[getattr(first, key), getattr(found, key)[order]]
            for key in ("users", "items", "event_types")
        ]
        lists.append(replayed(name, Events(*joined, np.r_[first.seconds, found.seconds])))
    before = lists[0].seconds < found.seconds[at]
    assert before.sum() > 20
    assert np.array_equal(lists[0].lists[before], lists[1].lists[lists[1].seconds < found.seconds[at]])


@ALL
def test_lists_hold_arrived_items_once(name):
    found = random_events(3)
    result = replayed(name, found)
    arrivals = timeline(found).stage(0.0).arrivals
    for row, seconds in zip(result.lists, result.seconds):
        real = row[row >= 0]
        assert len(set(real.tolist())) == len(real) > 0
        assert (arrivals[real] <= seconds).all()


@ALL
def test_nothing_known_of_a_user_leaves_what_was_popular(name):
    if name in ("popularity", "newest"):
        pytest.skip("has its own order")
    past = events([(0, 3, 1), (1, 3, 2), (2, 5, 3), (0, 3, 4), (1, 5, 5), (2, 7, 6)])
    method = baseline(name, "toy", {"dim": 8} if name == "decayed-text" else None)
    method.fit(past, stage(past, text_vectors=TEXTS))
    assert method.recommend(np.array([7]), np.array([7.0]), 3).tolist() == [[3, 5, 7]]


def test_the_board_forgets_what_lies_before_its_window():
    board = PopularityBoard(3, 10.0)
    board.add(np.array([0, 0, 1]), np.array([0.0, 5.0, 5.0]))
    board.add(np.array([2]), np.array([8.0]))
    assert [board.at(seconds).tolist() for seconds in (10.0, 10.5, 15.5, 99.0)] == [
        [2, 1, 1],
        [1, 1, 1],
        [0, 0, 1],
        [0, 0, 0],
    ]


def test_popularity_of_days_follows_them():
    past = events([(0, 0, 0), (1, 0, 0), (2, 1, 6 * DAY)])
    asked = np.array([3]), np.array([8 * DAY])
    first = []
    for method in (StreamingPopularity(), StreamingPopularity(7)):
        method.fit(past, stage(past))
        first.append(int(method.recommend(*asked, 1)[0, 0]))
    assert first == [0, 1]


def test_a_learned_basket_counts_from_then_on():
    past = events([(0, 0, 0), (1, 1, 1)])
    method = StreamingPopularity()
    method.fit(past, stage(events([(0, 0, 0), (1, 1, 1), (2, 2, 2)])))
    method.observe([Basket(2, np.array([2, 2]), np.array([0, 0]), 2.0)])
    assert method.recommend(np.array([0]), np.array([3.0]), 1).tolist() == [[2]]


def test_best_orders_ties_by_index_and_pads_the_impossible():
    scores = np.array([[1.0, 2.0, 2.0, -np.inf]])
    assert best(scores, 4).tolist() == [[1, 2, 0, -1]]


def weights_by_pairs(found: Events, config: CovisitationConfig, now: float) -> np.ndarray:
    """One event at a time, by the definition that the stream uses."""
    weights = np.zeros((N_ITEMS, N_ITEMS))
    histories: dict[int, list[Visit[int]]] = {}
    for user, item, kind, seconds in zip(found.users, found.items, found.event_types, found.seconds):
        history = histories.setdefault(int(user), [])
        new = Visit(int(item), int(kind), float(seconds))
        for source, neighbour, weight in pairs_of(history, new, config):
            weights[source, neighbour] += weight * 2.0 ** ((seconds - now) / config.age_half_life_seconds)
        history.append(new)
    return weights


@pytest.mark.parametrize("age_days", [365.0, 0.2])
def test_covisitation_counts_what_the_stream_counts(age_days):
    found = random_events(5)
    method = StreamingCovisitation(window=4, age_days=age_days)
    run(method, timeline(found), quantile=0.5)
    # In the order of baskets, as the method sees them.
    order = np.lexsort((np.arange(len(found)), found.users, found.seconds))
    ordered = Events(found.users[order], found.items[order], found.event_types[order], found.seconds[order])
    expected = weights_by_pairs(ordered, method._config, method._zero)
    np.testing.assert_allclose(method._weights, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(method._totals, expected.sum(axis=0), rtol=1e-4, atol=1e-6)


def test_covisited_items_come_first():
    past = events([(0, 1, 1), (0, 2, 2), (1, 1, 3), (1, 2, 4), (2, 4, 5), (3, 4, 6), (3, 1, 7)])
    method = StreamingCovisitation()
    method.fit(past, stage(past))
    assert method.recommend(np.array([3]), np.array([8.0]), 1).tolist() == [[2]]


def test_only_the_nearest_users_vote_and_nobody_for_himself():
    found = random_events(6, 60)
    method = StreamingNeighbours(neighbours=3)
    method.fit(found, stage(found))
    for user in range(N_USERS):
        near, votes = method._nearest(user, [0, 1], np.array([1.0, 0.9]))
        assert user not in near
        assert len(near) == len(votes) == 3


def test_votes_are_similarity_times_lateness_times_rarity():
    past = events([(0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 1, 4), (1, 3, 5), (2, 0, 6), (2, 1, 7)])
    method = StreamingNeighbours(decay=0.5, shrink=0.5)
    method.fit(past, stage(past))
    # User 2 asks with 1 (newest) and 0: user 0 shares both of his three items, user 1 one of two.
    expected = {2: 1.5 / 3**0.5 * np.log(3 / 1), 3: 1.0 / 2**0.5 * np.log(3 / 1)}
    scores = method._scores(np.array([2]), np.array([8.0]))[0]
    assert {item: scores[item] for item in expected} == pytest.approx(expected, rel=1e-5)


def test_text_is_whitened_on_what_had_arrived():
    past = events([(0, item, 1.0) for item in range(20)])
    shifted = TEXTS.copy()
    shifted[20:] += 100.0
    found = [whitened(stage(past, text_vectors=vectors), 8)[:20] for vectors in (TEXTS, shifted)]
    np.testing.assert_array_equal(*found)


def test_the_nearest_text_comes_first_and_the_method_needs_texts():
    past = events([(0, item, 1.0) for item in range(N_ITEMS)] + [(1, 4, 2.0)])
    method = StreamingText(dim=8)
    near = TEXTS.copy()
    near[9] = near[4] + 0.01
    method.fit(past, stage(past, text_vectors=near))
    assert set(method.recommend(np.array([1]), np.array([3.0]), 2)[0].tolist()) == {4, 9}
    with pytest.raises(DataError, match="no text vectors"):
        StreamingText().fit(past, stage(past))


def test_own_history_prefers_the_frequent_and_the_recent():
    past = events([(0, 1, 1), (0, 2, 2), (0, 1, 3), (0, 3, 4), (1, 5, 5)])
    method = StreamingRepeats(decay=0.9)
    method.fit(past, stage(past))
    assert method.recommend(np.array([0]), np.array([6.0]), 3).tolist() == [[1, 3, 2]]


def test_what_a_user_had_can_be_added_to_any_score():
    past = events([(0, 1, 1), (1, 1, 2), (1, 2, 3)])
    lists = []
    for own in (0.0, 5.0):
        method = StreamingCovisitation().adding_own(own)
        method.fit(past, stage(past))
        lists.append(method.recommend(np.array([0]), np.array([4.0]), 1).tolist())
    assert lists == [[[2]], [[1]]]


def test_the_newest_come_first():
    past = events([(0, 4, 1), (0, 2, 2), (0, 4, 3), (0, 7, 4)])
    method = StreamingNewest()
    method.fit(past, stage(past))
    assert method.recommend(np.array([0]), np.array([9.0]), 4).tolist() == [[7, 2, 4, -1]]


def test_large_catalogues_are_refused_before_memory_runs_out():
    past = events([(0, 1, 1)])
    for method in (StreamingCovisitation(), StreamingNeighbours()):
        with pytest.raises(DataError, match="holds at most"):
            method.fit(past, stage(past, n_items=10**6, n_users=10**6))


def test_tuning_varies_one_setting_at_a_time_from_the_best(monkeypatch):
    class Made:
        name = "made"

        def __init__(self, a: float = 1, b: float = 1) -> None:
            self.score = a + 10 * b

    monkeypatch.setitem(BASELINES, "made", Made)
    monkeypatch.setitem(GRIDS, "made", {"a": (1, 2), "b": (1, 3)})
    monkeypatch.setattr("encoders.evaluation.baselines.ndcg", lambda method, *_: float(method.score))
    trials = list(tune("made", timeline(random_events(1))))
    assert trials[0] == ({}, 11)
    assert max(trials, key=lambda trial: trial[1]) == ({"a": 2, "b": 3}, 32)
    assert len(trials) == len({tuple(sorted(settings.items())) for settings, _ in trials})


def test_tuning_looks_at_the_past_alone():
    found = random_events(8)
    past, future = found.split(0.8)
    other = Events(future.users, future.items[::-1].copy(), future.event_types, future.seconds)
    joined = Events(*(np.r_[getattr(past, k), getattr(other, k)] for k in Events.__slots__))
    assert not np.array_equal(found.items, joined.items)
    assert list(tune("own-history", timeline(found))) == list(tune("own-history", timeline(joined)))


def test_where_nothing_repeats_own_history_is_no_baseline():
    shop = timeline(random_events(1))
    films = Timeline("toy", shop.events, shop.user_ids, shop.items, False)
    assert set(names_for(shop)) - set(names_for(films)) == {"own-history"}
