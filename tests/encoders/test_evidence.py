"""Evidence as it grows with the stream, against counting whole histories at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.batching import sequences_of
from encoders.covisitation import CovisitationConfig, Neighbours, Visit, count, pairs_of
from encoders.events import EventType
from encoders.evidence import Counted, Entries, Evidence, HalfLives

N = 6
DAY = 86_400.0
START = 20_000 * DAY
CONFIG = CovisitationConfig(window=3, backward=0.5, neighbours=N)


def entries_of(events: list[tuple[int, float]]) -> Entries:
    """One user's events (item, seconds) as entries, both ways of each pair."""
    rows = []
    history: list[Visit[int]] = []
    for item, seconds in events:
        new = Visit(item, EventType.CLICK, seconds)
        pairs = pairs_of(history, new, CONFIG)
        for first, second in zip(pairs[::2], pairs[1::2], strict=True):
            rows.append((first[0], first[1], first[2], second[2], seconds))
            rows.append((second[0], second[1], second[2], first[2], seconds))
        history.append(new)
    columns = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return Entries(columns[0].astype(int), columns[1].astype(int), columns[2], columns[3], columns[4])


def counted(
    rows: Sequence[int],
    strengths: Sequence[float],
    seconds: float,
    bought: Sequence[float] | None = None,
    places: Sequence[int] | None = None,
) -> Counted:
    """Events of one time; nothing bought by default, and everybody's first."""
    none = np.zeros(len(rows))
    return Counted(
        np.array(rows),
        np.array(strengths, np.float64),
        np.full(len(rows), seconds),
        none if bought is None else np.array(bought),
        none.astype(int) if places is None else np.array(places),
    )


def matrix(neighbours: Neighbours) -> np.ndarray:
    """Neighbour lists as a dense [n, n]."""
    dense = np.zeros((N, N))
    at, owner = neighbours.entries(np.arange(N))
    np.add.at(dense, (owner, neighbours.items[at]), neighbours.weights[at])
    return dense


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(0, N - 1), min_size=1, max_size=8), min_size=1, max_size=5))
def test_pieces_merged_one_by_one_come_to_what_is_counted_at_once(histories: list[list[int]]) -> None:
    evidence = Evidence(width=N)
    evidence.grow(N)
    for history in histories:
        evidence.add(entries_of([(item, START) for item in history]))
    at_once = count(sequences_of(histories, EventType.CLICK), N, CONFIG)
    np.testing.assert_allclose(matrix(evidence.neighbours()), matrix(at_once), rtol=1e-5)
    np.testing.assert_allclose(evidence.neighbours().totals, at_once.totals, rtol=1e-5)


@given(st.floats(0, 400), st.floats(0, 400))
def test_weights_are_those_of_their_age_whatever_the_order(first: float, second: float) -> None:
    evidence = Evidence(width=N)
    evidence.grow(N)
    for days, neighbour in ((first, 1), (second, 2)):
        one = np.ones(1)
        evidence.add(Entries(np.array([0]), np.array([neighbour]), one, one, one * (START + days * DAY)))
    ages = {1: max(first, second) - first, 2: max(first, second) - second}
    row = evidence.row(0)
    scale = 2.0 ** ((evidence.landmark - evidence.latest) / HalfLives().pairs)
    for item, weight in zip(row.neighbours, row.weights, strict=True):
        assert weight * scale == pytest.approx(2.0 ** (-ages[int(item)] * DAY / HalfLives().pairs), rel=1e-4)


def test_a_list_keeps_its_strongest() -> None:
    evidence = Evidence(width=2)
    evidence.grow(N)
    weights = np.array([1.0, 3.0, 2.0])
    evidence.add(Entries(np.zeros(3, int), np.array([1, 2, 3]), weights, np.zeros(3), np.full(3, START)))
    assert evidence.row(0).neighbours.tolist() == [2, 3]


def test_popularity_halves_in_its_half_life() -> None:
    evidence = Evidence()
    evidence.grow(N)
    evidence.count(counted([4], [3.0], START))
    later = START + HalfLives().popularity
    assert evidence.popularity(later)[4] == pytest.approx(1.5)
    assert evidence.recent(START + HalfLives().recent)[4] == pytest.approx(1.5)


def test_the_part_that_purchases_gave_halves_with_the_popularity() -> None:
    evidence = Evidence()
    evidence.grow(N)
    evidence.count(counted([4, 4], [3.0, 1.0], START, bought=[3.0, 0.0]))
    later = START + HalfLives().popularity
    assert evidence.bought(later)[4] == pytest.approx(1.5)
    assert evidence.popularity(later)[4] == pytest.approx(2.0)


def test_depth_is_the_mean_logarithm_of_the_places_weighed_by_strength_and_age() -> None:
    evidence = Evidence()
    evidence.grow(N)
    evidence.count(counted([4], [3.0], START, places=[9]))
    evidence.count(counted([4], [1.0], START + HalfLives().popularity, places=[0]))
    assert evidence.depth()[4] == pytest.approx(1.5 * np.log(10) / 2.5)
    assert evidence.depth()[0] == 0


def test_a_row_read_back_is_the_row_that_was_there() -> None:
    evidence, copy = Evidence(width=4), Evidence(width=4)
    evidence.grow(N)
    copy.grow(N)
    evidence.add(entries_of([(item, START + 3 * DAY * i) for i, item in enumerate([0, 1, 2, 0, 3])]))
    evidence.count(counted([0], [3.0], START, bought=[3.0], places=[7]))
    copy.put(0, evidence.row(0), evidence.landmark)
    later = START + 30 * DAY
    for each in (evidence, copy):
        each.count(counted([5], [1.0], later))
    for sums in (Evidence.bought, Evidence.popularity):
        assert sums(copy, later)[0] == pytest.approx(sums(evidence, later)[0])
    assert copy.depth()[0] == pytest.approx(evidence.depth()[0])
    assert copy.row(0).neighbours.tolist() == evidence.row(0).neighbours.tolist()
    np.testing.assert_allclose(copy.row(0).weights, evidence.row(0).weights, rtol=1e-5)


def test_growing_keeps_what_was_there() -> None:
    evidence = Evidence(width=3)
    evidence.grow(2)
    evidence.add(Entries(np.array([0]), np.array([1]), np.ones(1), np.ones(1), np.array([START])))
    evidence.grow(5_000)
    assert evidence.row(0).neighbours.tolist() == [1]
    assert evidence.row(4_999).neighbours.tolist() == []


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.integers(0, N - 1), min_size=1, max_size=8), min_size=1, max_size=5),
    st.permutations(range(N)),
    st.sets(st.integers(0, N - 1), max_size=3),
)
def test_a_copy_knows_the_same_of_other_rows_less_those_that_are_not_there(
    histories: list[list[int]], places: list[int], gone: set[int]
) -> None:
    evidence, copy = Evidence(width=N), Evidence(width=N)
    for one in (evidence, copy):
        one.grow(N)
    for history in histories:
        evidence.add(entries_of([(item, START) for item in history]))
    evidence.count(counted(range(N), range(1, N + 1), START))
    copy.add(entries_of([(0, START), (1, START)]))  # is forgotten
    rows = np.array([-1 if place in gone else place for place in places], np.int64)
    copy.copy_from(evidence, rows)
    wanted, popularity = np.zeros((N, N)), np.zeros(N)
    known = matrix(evidence.neighbours())
    for old, new in enumerate(rows):
        if new >= 0:
            popularity[new] = evidence.popularity(START)[old]
            for neighbour, place in enumerate(rows):
                if place >= 0:
                    wanted[new, place] = known[old, neighbour]
    np.testing.assert_allclose(matrix(copy.neighbours()), wanted)
    np.testing.assert_allclose(copy.popularity(START), popularity)
    for row in range(N):
        assert (np.diff(copy.row(row).weights) <= 0).all()
