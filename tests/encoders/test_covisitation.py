"""Co-visitation: the definition by formula, and the stream's way against counting at once."""

from __future__ import annotations

from collections import defaultdict

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.batching import Sequences, sequences_of
from encoders.covisitation import CovisitationConfig, Visit, count, merged, pairs_of
from encoders.events import EventType

N_ITEMS = 6
DAY = 86_400.0
CONFIG = CovisitationConfig(
    window=3, distance_decay=0.7, backward=0.5, type_weights=(1.0, 3.0), neighbours=N_ITEMS
)


def click(item: str, days: float = 0.0) -> Visit[str]:
    return Visit(item, EventType.CLICK, days * DAY)


def test_a_pair_counts_forward_and_in_part_backward():
    assert pairs_of([click("a")], click("b"), CONFIG) == [("a", "b", 1.0), ("b", "a", 0.5)]


def test_weight_falls_with_distance_and_time_and_rises_with_a_purchase():
    history = [click("far"), click("a"), Visit("near", EventType.PURCHASE, 0.0)]
    weights = {(j, i): w for j, i, w in pairs_of(history, click("new", days=7), CONFIG)}
    assert weights["near", "new"] == pytest.approx(3.0**0.5 * 0.5)
    assert weights["far", "new"] == pytest.approx(0.7**2 * 0.5)


def test_a_late_event_turns_the_direction_around():
    assert pairs_of([click("b", days=7)], click("a"), CONFIG) == [("a", "b", 0.5), ("b", "a", 0.25)]


def test_only_the_window_counts_and_nothing_is_its_own_neighbour():
    history = [click("old"), click("x"), click("y"), click("new")]
    assert {j for j, i, _ in pairs_of(history, click("new"), CONFIG) if i == "new"} == {"x", "y"}


def test_a_type_without_a_weight_adds_nothing():
    assert pairs_of([click("a")], Visit("b", 7, 0.0), CONFIG) == []


def test_weights_halve_with_age_and_only_the_strongest_stay():
    config = msgspec.structs.replace(CONFIG, neighbours=2)
    kept = merged({"a": 2.0, "b": 1.0}, [("c", 0.8)], config.age_half_life_seconds, config)
    assert kept == {"a": 1.0, "c": 0.8}


EVENTS = st.lists(
    st.tuples(st.integers(0, N_ITEMS - 1), st.integers(0, 1), st.integers(-5, 100)), min_size=1, max_size=8
)


def as_sequences(users: list[list[tuple[int, int, int]]]) -> tuple[Sequences, np.ndarray]:
    base = sequences_of([[item for item, _, _ in user] for user in users])
    types = np.array([kind for user in users for _, kind, _ in user])
    hours = [np.cumsum([0, *(gap for _, _, gap in user[1:])]) for user in users]
    gaps = np.concatenate([np.diff(h, prepend=h[0]) for h in hours]).astype(np.float32) * 3600
    ages = np.concatenate([1000.0 - h for h in hours]).astype(np.float32) * 3600
    return Sequences(base.offsets, base.items, types, gaps, base.context), ages


@given(st.lists(EVENTS, min_size=1, max_size=5))
def test_counting_at_once_is_what_the_stream_comes_to(users):
    sequences, ages = as_sequences(users)
    rows: dict[int, dict[int, float]] = defaultdict(dict)
    for user in range(len(sequences)):
        history: list[Visit[int]] = []
        for e in range(int(sequences.offsets[user]), int(sequences.offsets[user + 1])):
            at = float((1000 * 3600) - ages[e])
            new = Visit(int(sequences.items[e]), int(sequences.event_types[e]), at)
            for source, item, weight in pairs_of(history, new, CONFIG):
                aged = merged({item: weight}, [], float(ages[e]), CONFIG)
                rows[source] = merged(rows[source], aged.items(), 0.0, CONFIG)
            history.append(new)
    counted = count(sequences, N_ITEMS, CONFIG, ages)
    for source in range(N_ITEMS):
        at = slice(counted.offsets[source], counted.offsets[source + 1])
        found = dict(zip(counted.items[at].tolist(), counted.weights[at].tolist(), strict=True))
        assert found == pytest.approx(rows[source], rel=1e-4)


def test_lists_are_cut_and_totals_are_not():
    config = msgspec.structs.replace(CONFIG, neighbours=1, backward=1.0)
    counted = count(sequences_of([[0, 1, 2], [0, 1]]), 3, config)
    purchase = 3.0
    assert counted.items[: counted.offsets[1]].tolist() == [1]
    np.testing.assert_allclose(counted.totals[0], purchase * (1 + 0.7 + 1))


def test_reading_divides_by_the_totals():
    counted = count(sequences_of([[0, 1, 2], [0, 1]]), 3, CONFIG)
    sources = np.repeat(np.arange(3), np.diff(counted.offsets))
    expected = counted.weights / (counted.totals[sources] * counted.totals[counted.items]) ** 0.25
    np.testing.assert_allclose(counted.normalised(0.25).weights, expected, rtol=1e-5)


@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_scores_add_up_the_lists_of_a_history(users):
    counted = count(as_sequences(users)[0], N_ITEMS, CONFIG)
    dense = np.zeros((N_ITEMS, N_ITEMS))
    sources = np.repeat(np.arange(N_ITEMS), np.diff(counted.offsets))
    dense[sources, counted.items] = counted.weights
    items = np.array([[0, 1, 0], [2, 3, 4]])
    weights = np.array([[1.0, 0.5, 0.0], [0.2, 1.0, 1.0]], dtype=np.float32)
    expected = np.einsum("bt,btn->bn", weights, dense[items])
    np.testing.assert_allclose(counted.scores(items, weights), expected, rtol=1e-4, atol=1e-6)


def test_an_empty_history_has_no_pairs():
    counted = count(sequences_of([[3]]), N_ITEMS, CONFIG)
    assert len(counted.items) == 0
    assert counted.totals.tolist() == [0.0] * N_ITEMS
