from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.batching import batches, from_interactions, from_leave_one_out, sequences_of
from encoders.errors import DataError
from encoders.events import EventType, Interaction

INDEX = {item: i for i, item in enumerate("abcdefghij")}


def event(user: str, item: str, second: int, kind: EventType = EventType.CLICK) -> Interaction:
    return Interaction(user, item, kind, second * 1000)


def pairs(sequences, max_length: int = 50, batch_size: int = 4) -> list[tuple[tuple[int, ...], int]]:
    """Every (events seen, target) that one pass trains on."""
    found = []
    for batch in batches(sequences, batch_size, max_length, np.random.default_rng(0)):
        for row, context, target in zip(batch.target_rows, batch.target_contexts, batch.targets, strict=True):
            found.append((tuple(batch.items[row, : context + 1].tolist()), int(target)))
    return sorted(found)


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=9))
@settings(max_examples=50, deadline=None)
def test_one_pass_trains_on_every_prefix_once(histories: list[list[int]]) -> None:
    expected = sorted((tuple(h[:i]), h[i]) for h in histories for i in range(1, len(h)))
    assert pairs(sequences_of(histories)) == expected


def test_long_sequences_are_cut_into_pieces() -> None:
    assert pairs(sequences_of([[0, 1, 2, 3, 4]]), max_length=3) == [((0,), 1), ((0, 1), 2), ((3,), 4)]


def test_lines_of_one_basket_do_not_predict_each_other() -> None:
    events = [event("u", "a", 0), event("u", "b", 60), event("u", "c", 60), event("u", "d", 90)]
    data = from_interactions([*events, event("v", "a", 99)], INDEX, valid_fraction=0.2)
    assert pairs(data.train) == [((0,), 1), ((0,), 2), ((0, 1, 2), 3)]


def test_gaps_are_seconds_since_the_event_before_of_the_same_user() -> None:
    events = [event("u", "a", 0), event("v", "a", 5), event("u", "b", 60), event("v", "b", 100)]
    data = from_interactions([*events, event("w", "a", 999)], INDEX, valid_fraction=0.2)
    assert data.train.gaps.tolist() == [0.0, 60.0, 0.0, 95.0]


def test_validation_lies_after_all_training_events() -> None:
    events = [event(user, item, t) for t, (user, item) in enumerate(zip("uvuvuvuvuv", "abcdefghij"))]
    data = from_interactions(events, INDEX, valid_fraction=0.3)
    assert data.train.items.max() == INDEX["g"]
    assert sorted(data.valid_targets.tolist()) == [INDEX["h"], INDEX["i"], INDEX["j"]]


def test_validation_histories_include_what_came_in_between() -> None:
    events = [event("u", item, t) for t, item in enumerate("abcdefghij")]
    data = from_interactions(events, INDEX, valid_fraction=0.2)
    assert data.valid is not None
    assert data.valid.take(np.array([1])).items.tolist() == list(range(9))


def test_event_types_are_those_that_the_tower_is_served_with() -> None:
    kinds = (EventType.CART, EventType.PURCHASE, EventType.RATING)
    events = [event("u", item, n, kind) for n, (item, kind) in enumerate(zip("abc", kinds, strict=True))]
    data = from_interactions(events, INDEX, valid_fraction=0.1)
    assert data.train.event_types.tolist() == [EventType.CLICK, EventType.PURCHASE]
    assert data.valid_types.tolist() == [EventType.CLICK]


def test_too_few_interactions_are_refused() -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        from_interactions([event("u", "a", 0), event("u", "unknown", 1)], INDEX)


def test_published_prefixes_of_a_sequence_are_trained_on_once() -> None:
    rows = [([1, 2, 3], 4), ([1, 2], 3), ([1], 2), ([5], 6), ([5, 6], 7)]
    data = from_leave_one_out(rows, [([1, 2, 3, 4], 5)])
    assert pairs(data.train) == [((1,), 2), ((1, 2), 3), ((1, 2, 3), 4), ((5,), 6), ((5, 6), 7)]


def test_taking_rows_keeps_their_events() -> None:
    taken = sequences_of([[1, 2], [3], [4, 5, 6]]).take(np.array([2, 0]))
    assert taken.items.tolist() == [4, 5, 6, 1, 2]
    assert taken.context.tolist() == [-1, 0, 1, -1, 0]
