"""The progressive protocol on event lists whose answers stand on one's fingers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from encoders.datasets import Dataset
from encoders.errors import DataError
from encoders.evaluation.progressive import LENGTH, Basket, Events, Stage, replay, run, validation
from encoders.evaluation.timeline import Timeline, baskets_of, chunks_of, timeline_of
from encoders.events import EventType, Interaction, Item

Row = tuple[int, int, float]
"""(user, item, seconds)"""


def events(rows: Sequence[Row]) -> Events:
    users, items, seconds = (np.array(column) for column in zip(*rows))
    return Events(users, items, np.zeros(len(rows), dtype=np.int64), seconds.astype(np.float64))


def timeline(rows: Sequence[Row], *, repeats: bool = True) -> Timeline:
    found = events(rows)
    items = [Item(str(row), f"item {row}") for row in range(int(found.items.max()) + 1)]
    users = [str(user) for user in range(int(found.users.max()) + 1)]
    return Timeline("toy", found, users, items, repeats)


class Log:
    """Recommends all items by number, and writes down what it is asked and told."""

    name = "log"

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[int]]] = []

    def fit(self, past: Events, stage: Stage) -> None:
        self.calls.append(("fit", past.items.tolist()))
        self._n_items = stage.n_items

    def recommend(self, users: np.ndarray, seconds: np.ndarray, k: int) -> np.ndarray:
        self.calls.append(("recommend", users.tolist()))
        return np.tile(np.arange(min(k, self._n_items)), (len(users), 1))

    def observe(self, baskets: Sequence[Basket]) -> None:
        self.calls.append(("observe", [item for basket in baskets for item in basket.items.tolist()]))


ROWS = [(0, 0, 1), (0, 1, 2), (1, 2, 3), (1, 0, 4), (0, 3, 5), (0, 4, 5), (1, 1, 5), (0, 2, 6)]


def test_the_past_ends_before_the_time_of_the_event_at_the_quantile():
    past, future = events(ROWS).split(0.7)  # the event 5 of 8 is the second line at 5 s
    assert (past.items.tolist(), future.items.tolist()) == ([0, 1, 2, 0], [3, 4, 1, 2])


@pytest.mark.parametrize("rows", [[(0, 0, 1)], [(0, 0, 1), (0, 1, 1)]])
def test_a_single_moment_cannot_be_split(rows):
    with pytest.raises(DataError, match="too few points in time"):
        events(rows).split(0.8)


def test_what_a_user_does_at_one_time_is_one_basket():
    found = [(basket.user, basket.items.tolist(), basket.seconds) for basket in baskets_of(events(ROWS)[4:])]
    assert found == [(0, [3, 4], 5.0), (1, [1], 5.0), (0, [2], 6.0)]


def test_interleaved_lines_of_one_time_are_put_together_in_the_order_of_their_first():
    found = baskets_of(events([(7, 3, 1), (2, 0, 1), (7, 1, 1), (2, 5, 1)]))
    assert [(basket.user, basket.items.tolist()) for basket in found] == [(7, [3, 1]), (2, [0, 5])]


def test_a_chunk_holds_every_user_once_and_no_more_than_its_size():
    baskets = baskets_of(events([(0, 0, 1), (1, 0, 2), (0, 0, 3), (1, 0, 4), (2, 0, 5)]))
    assert [[b.user for b in chunk] for chunk in chunks_of(baskets)] == [[0, 1], [0, 1, 2]]
    assert [[b.user for b in chunk] for chunk in chunks_of(baskets, 2)] == [[0, 1], [0, 1], [2]]


def test_a_method_recommends_for_a_chunk_before_it_learns_any_of_it():
    method = Log()
    run(method, timeline(ROWS), quantile=0.7)
    assert method.calls == [
        ("fit", [0, 1, 2, 0]),
        ("recommend", [0, 1]),
        ("observe", [3, 4, 1]),
        ("recommend", [0]),
        ("observe", [2]),
    ]


def test_the_lines_of_a_basket_are_its_distinct_targets():
    replayed, _ = run(Log(), timeline([*ROWS, (0, 3, 6), (0, 2, 6)]), quantile=0.5)
    assert replayed.targets.tolist() == [[3, 4], [1, -1], [2, 3]]


def test_ranks_are_places_in_the_list():
    replayed, _ = run(Log(), timeline(ROWS), quantile=0.7)
    assert replayed.lists[0, :5].tolist() == [0, 1, 2, 3, 4]
    assert replayed.ranks.tolist() == [[4, 5], [2, 0], [3, 0]]


def test_a_target_that_is_not_in_the_list_ranks_after_it():
    rows = [(0, item, 0.0) for item in range(30)]
    replayed, _ = run(Log(), timeline([*rows, (1, 29, 1.0)]), quantile=0.99)
    assert replayed.ranks.tolist() == [[LENGTH + 1]]


def test_an_item_is_not_recommended_before_its_first_event_and_is_for_it():
    rows = [(0, 0, 1), (0, 1, 2), (1, 0, 3), (2, 2, 4), (1, 3, 5)]
    replayed, _ = run(Log(), timeline(rows), quantile=0.4)
    listed = [row[row >= 0].tolist() for row in replayed.lists]
    assert listed == [[0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_what_a_user_had_is_left_out_where_nothing_repeats():
    rows = [(0, 0, 1), (1, 1, 1), (0, 1, 2), (0, 2, 3), (1, 0, 4), (0, 3, 5), (0, 0, 5)]
    replayed, _ = run(Log(), timeline(rows, repeats=False), quantile=0.3)
    listed = [row[row >= 0].tolist() for row in replayed.lists]
    assert listed == [[1], [2], [0, 2], [3]]
    assert replayed.targets.tolist() == [[1], [2], [0], [3]]


def test_more_than_a_list_is_asked_for_where_items_will_be_cut():
    rows = [(0, item, 0.0) for item in range(25)] + [(1, item, 0.0) for item in range(40)] + [(0, 30, 1.0)]
    replayed, _ = run(Log(), timeline(rows, repeats=False), quantile=0.99)
    assert replayed.lists[0].tolist() == [*range(25, 40), *[-1] * 5]


def test_an_item_that_stands_twice_in_a_list_counts_once():
    class Stutter(Log):
        def recommend(self, users: np.ndarray, seconds: np.ndarray, k: int) -> np.ndarray:
            return np.tile([2, 2, -1, 0, 2, 1], (len(users), 1))

    replayed, _ = run(Stutter(), timeline(ROWS), quantile=0.7)
    assert replayed.lists[0, :4].tolist() == [2, 0, 1, -1]


def test_tuning_sees_nothing_of_the_test_part():
    method = Log()
    run(method, validation(timeline(ROWS), 0.7), quantile=0.7)
    seen = [item for call, found in method.calls if call != "recommend" for item in found]
    assert seen == [0, 1, 2, 0]


def test_progress_counts_baskets():
    told: list[tuple[int, int]] = []
    past, future = events(ROWS).split(0.7)
    method = Log()
    stage = timeline(ROWS).stage(5.0)
    method.fit(past, stage)
    replay(method, past, future, stage, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 3), (3, 3)]


def test_an_ordered_set_has_no_clock():
    dataset = Dataset("unisrec", [Item("a", "a")], True, 0, {}, {})
    with pytest.raises(DataError, match="--protocol leave-one-out"):
        timeline_of(dataset)


def test_a_data_set_becomes_arrays_in_its_order():
    rows = [
        Interaction("u", "b", EventType.CLICK, 1_500),
        Interaction("v", "a", EventType.PURCHASE, 2_000),
        Interaction("u", "a", EventType.CLICK, 2_000),
    ]
    items = [Item("a", "A"), Item("b", "B"), Item("c", "C")]
    found = timeline_of(Dataset("online-retail", items, False, 3, {}, {}, None, lambda: iter(rows)))
    assert found.user_ids == ["u", "v"]
    assert found.events.items.tolist() == [1, 0, 0]
    assert found.events.event_types.tolist() == [0, 1, 0]
    assert found.events.seconds.tolist() == [1.5, 2.0, 2.0]
    assert found.stage(2.0).arrivals.tolist() == [2.0, 1.5, np.inf]
    assert found.stage(2.0).arrived.tolist() == [False, True, False]
