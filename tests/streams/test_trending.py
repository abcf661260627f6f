"""Fading counts: a formula of weight and age, whatever the order and the partition."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose, log2
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import StoreError
from encoders.events import EventType
from streams.trending import KEPT_ITEMS, WEIGHTS, DecayedCounts, pack_counts, top, unpack_counts

HALF_LIFE_MS = 3_600_000.0
T_MS = 1_700_000_000_000
CLICK, PURCHASE = EventType.CLICK, EventType.PURCHASE

Event = tuple[str, EventType, int]
EVENTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(sorted(WEIGHTS)), st.integers(T_MS - 10**9, T_MS)),
    max_size=30,
)


def counts(events: Sequence[Event]) -> DecayedCounts:
    made = DecayedCounts(HALF_LIFE_MS)
    for item_id, event_type, timestamp_ms in events:
        made.add(item_id, event_type, timestamp_ms)
    return made


def shares(*partitions: DecayedCounts) -> dict[str, float]:
    return dict(top(partitions, 100))


def close(one: dict[str, float], other: dict[str, float]) -> bool:
    return one.keys() == other.keys() and all(
        isclose(one[name], other[name], rel_tol=1e-6, abs_tol=1e-12) for name in one
    )


@given(EVENTS)
def test_shares_are_sums_of_weights_halved_each_half_life(events: list[Event]) -> None:
    sums: dict[str, float] = {}
    for item_id, event_type, timestamp_ms in events:
        fading = 0.5 ** ((T_MS - timestamp_ms) / HALF_LIFE_MS)
        sums[item_id] = sums.get(item_id, 0.0) + WEIGHTS[event_type] * fading
    expected = {item_id: value / max(sums.values()) for item_id, value in sums.items()}
    assert close(shares(counts(events)), expected)


@given(EVENTS, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(events: list[Event], random: Random) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)
    assert close(shares(counts(events)), shares(counts(shuffled)))


@given(EVENTS, st.integers(0, 30))
def test_partitions_add_up(events: list[Event], cut: int) -> None:
    assert close(shares(counts(events)), shares(counts(events[:cut]), counts(events[cut:])))


def test_an_event_one_half_life_older_counts_half() -> None:
    made = counts([("new", CLICK, T_MS), ("old", CLICK, T_MS - int(HALF_LIFE_MS))])
    assert shares(made) == pytest.approx({"new": 1.0, "old": 1 / 2})


def test_a_purchase_counts_three_clicks() -> None:
    made = counts([("bought", PURCHASE, T_MS), *[("clicked", CLICK, T_MS)] * 3])
    assert shares(made) == pytest.approx({"bought": 1.0, "clicked": 1.0})


def test_centuries_between_events_overflow_nothing() -> None:
    made = counts([("then", CLICK, 0), ("now", CLICK, 100 * 365 * 86_400_000)])
    assert shares(made) == {"now": 1.0, "then": 0.0}


def test_equal_shares_are_in_the_order_of_ids() -> None:
    made = counts([(item_id, CLICK, T_MS) for item_id in "cab"])
    assert [item_id for item_id, _ in top([made], 3)] == ["a", "b", "c"]


def test_top_returns_the_strongest_n() -> None:
    made = counts([("a", CLICK, T_MS), ("b", PURCHASE, T_MS), ("c", CLICK, T_MS - 1)])
    assert [item_id for item_id, _ in top([made], 2)] == ["b", "a"]


def test_nothing_trends_before_the_first_event() -> None:
    assert top([DecayedCounts(HALF_LIFE_MS)], 5) == []


def test_counting_notes_the_highest_offset_of_each_topic() -> None:
    made = DecayedCounts(HALF_LIFE_MS)
    for topic, offset in [("clicks", 4), ("purchases", 9), ("clicks", 2)]:
        made.count(topic, offset, "a", CLICK, T_MS)
    assert made.offsets == {"clicks": 4, "purchases": 9}


def test_an_event_below_the_highest_offset_counts_too() -> None:
    made = DecayedCounts(HALF_LIFE_MS)
    for offset, item_id in [(4, "a"), (2, "b")]:
        made.count("clicks", offset, item_id, CLICK, T_MS)
    assert shares(made) == {"a": 1.0, "b": 1.0}


def test_pruning_keeps_the_strongest() -> None:
    made = counts([(f"{number:05}", CLICK, T_MS + number) for number in range(2 * KEPT_ITEMS + 1)])
    made.prune()
    kept = range(KEPT_ITEMS + 1, 2 * KEPT_ITEMS + 1)
    assert sorted(made.weights) == [f"{number:05}" for number in kept]


def test_pruning_leaves_few_items_alone() -> None:
    made = counts([(str(number), CLICK, T_MS) for number in range(2 * KEPT_ITEMS)])
    made.prune()
    assert len(made.weights) == 2 * KEPT_ITEMS


def test_weights_are_kept_as_logarithms_to_base_2() -> None:
    assert counts([("a", PURCHASE, T_MS)]).weights == {"a": log2(3) + T_MS / HALF_LIFE_MS}


@given(EVENTS)
def test_counts_survive_packing(events: list[Event]) -> None:
    made = counts(events)
    made.offsets["clicks"] = 7
    assert unpack_counts(pack_counts(made)) == made


@pytest.mark.parametrize("blob", [b"", b"\xc1", b"text"])
def test_damaged_counts_are_a_store_error(blob: bytes) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        unpack_counts(blob)
