"""Scenarios: a request narrows one, and a user's own prices and times fill its filter in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.events import EventType
from exporters.vector_store import ItemFilter
from streams.rules import ItemRules
from streams.scenarios import Scenario, events_of, filter_at, narrowed, permitted, usual_price
from streams.state import Applied

ages = st.none() | st.integers(0, 5)
ranges = st.none() | st.integers(0, 5).map(float)


@dataclass
class Rows:
    """Items at prices 0 to 5 that came in at times 0 to 5, in categories of two."""

    prices: npt.NDArray[np.float32] = field(default_factory=lambda: np.arange(6, dtype=np.float32))
    created_ms: npt.NDArray[np.int64] = field(default_factory=lambda: np.arange(6))
    brands: npt.NDArray[np.int64] = field(default_factory=lambda: np.full(6, -1))
    brand_numbers: dict[str, int] = field(default_factory=dict)
    categories: list[tuple[str, ...]] = field(
        default_factory=lambda: [("a", "b"), ("b", "c"), ("a", "c"), ("a",), ("b",), ()]
    )


def passing(scenario: Scenario, latest_ms: int = 5, usual: float | None = None) -> set[int]:
    asked = filter_at(scenario, latest_ms, usual)
    return set(np.flatnonzero(permitted(scenario, asked, np.arange(6), Rows())).tolist())


rules = st.builds(
    ItemRules,
    filter=st.builds(
        ItemFilter,
        min_price=ranges,
        max_price=ranges,
        any_category=st.lists(st.sampled_from("abc"), unique=True, max_size=2).map(tuple),
    ),
    max_age_ms=ages,
)


@given(own=rules, requests=st.lists(rules, max_size=3))
def test_what_passes_a_narrowed_scenario_passes_the_scenario_and_every_request(
    own: ItemRules, requests: list[ItemRules]
) -> None:
    scenario = Scenario(filter=own.filter, max_age_ms=own.max_age_ms)
    expected, found = passing(scenario), scenario
    for asked in requests:
        expected &= passing(Scenario(filter=asked.filter, max_age_ms=asked.max_age_ms))
        found = narrowed(found, asked)
    assert passing(found) == expected


def test_narrowing_by_nothing_changes_nothing() -> None:
    scenario = Scenario(filter=ItemFilter(any_brand=("x",)), max_age_ms=7)
    assert narrowed(scenario, ItemRules()) == scenario


def test_a_scenario_without_times_and_prices_asks_the_same_of_everyone() -> None:
    scenario = Scenario(filter=ItemFilter(max_price=3.0))
    assert filter_at(scenario, 123, usual=2.0) is scenario.filter


def test_age_counts_back_from_the_users_latest_event() -> None:
    assert filter_at(Scenario(max_age_ms=30), 100) == ItemFilter(created_since_ms=70)


def test_an_item_of_unknown_age_is_never_new() -> None:
    assert passing(Scenario(max_age_ms=1_000), latest_ms=5) == {1, 2, 3, 4, 5}


def test_a_price_band_is_around_the_usual_price() -> None:
    assert passing(Scenario(price_band=(0.5, 2.0)), usual=2.0) == {1, 2, 3, 4}


def test_a_price_band_tightens_what_the_scenario_asks_anyway() -> None:
    scenario = Scenario(price_band=(0.5, 2.0), filter=ItemFilter(min_price=2.0, any_brand=("x",)))
    expected = ItemFilter(min_price=2.0, max_price=4.0, any_brand=("x",))
    assert filter_at(scenario, 0, usual=2.0) == expected


def test_a_price_band_has_no_effect_without_a_usual_price() -> None:
    assert passing(Scenario(price_band=(0.5, 2.0)), usual=None) == set(range(6))


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=10))
def test_the_usual_price_is_the_geometric_mean(prices: list[float]) -> None:
    assert usual_price(prices) == pytest.approx(np.prod(np.array(prices) ** (1 / len(prices))))


@pytest.mark.parametrize("prices", [[], [np.nan], [0.0, np.nan]])
def test_there_is_no_usual_price_without_prices(prices: list[float]) -> None:
    assert usual_price(prices) is None


def test_unknown_prices_do_not_count() -> None:
    assert usual_price([np.nan, 4.0, 0.0, 9.0]) == pytest.approx(6.0)


def applied(*types: EventType) -> list[Applied]:
    return [Applied(f"i{place}", kind, place) for place, kind in enumerate(types)]


CLICK, PURCHASE = EventType.CLICK, EventType.PURCHASE


def test_a_basis_is_all_events_the_last_or_the_last_purchase() -> None:
    events = applied(PURCHASE, PURCHASE, CLICK)
    assert events_of("history", events) == events
    assert events_of("last", events) == events[2:]
    assert events_of("purchase", events) == events[1:2]


def test_a_basis_may_be_empty() -> None:
    assert list(events_of("last", [])) == list(events_of("purchase", applied(CLICK))) == []


def test_a_scenario_can_be_kept_in_a_set() -> None:
    assert len({Scenario(), replace(Scenario(), k=20), replace(Scenario(), k=21)}) == 2
