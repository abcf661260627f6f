"""Scenarios: named sets of rules for what is recommended where (home, complements, similar items). Pure.

A scenario says which events a recommendation rests on, where candidates come from, and what may be in the
list. Settings make them (``streams.scenario_settings``), and a request may narrow one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from encoders.events import EventType
from exporters.vector_store import ItemFilter
from streams.filters import ANYTHING, Facts, Integers, Mask, allowed, tightened
from streams.rules import DAY_MS, ItemRules
from streams.state import Applied

Source = Literal["interest", "covisited", "trending", "new", "again"]
Basis = Literal["history", "last", "purchase"]
"""All recent events; the latest event alone; the latest purchase alone."""

SOURCES: Final[tuple[Source, ...]] = ("interest", "covisited", "trending", "new", "again")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One named set of rules; the defaults are those of ``home``. Times are milliseconds."""

    name: str = "home"
    k: int = 20
    basis: Basis = "history"
    sources: tuple[Source, ...] = SOURCES
    hide_seen_ms: int = 30 * DAY_MS
    """Hold back what the user saw within this of their latest event; 0 holds nothing back."""
    hide_bought_ms: int = 365 * DAY_MS
    filter: ItemFilter = ANYTHING
    """What the store is asked for; see ``filter_at``."""
    also: tuple[ItemFilter, ...] = ()
    """Filters that must pass as well: what a request's rules left over (``filters.tightened``)."""
    price_band: tuple[float, float] | None = None
    """Least and most of a candidate's price over the usual price of the basis."""
    max_age_ms: int | None = None
    """Items must have come into the catalogue within this of the user's latest event."""
    max_per_category: int | None = None
    max_per_brand: int | None = None
    diversity: float = 0.0
    """Strength of ``encoders.diversity.mmr``, 0 to 1."""
    exploration: float = 0.0
    """Share of ``k`` that is given to new items (``streams.exploration``)."""
    publish_after: frozenset[EventType] = frozenset(EventType)
    """Events after which a recommendation is published on the topic."""

    @property
    def repeats(self) -> bool:
        """Whether what the user had may be recommended again."""
        return "again" in self.sources and not (self.hide_seen_ms and self.hide_bought_ms)

    @property
    def reorders(self) -> bool:
        """Whether the best ``k`` may not be the list: diversity, caps or exploration choose among more."""
        caps = (self.max_per_category, self.max_per_brand)
        return bool(self.diversity or self.exploration or any(cap is not None for cap in caps))


def narrowed(scenario: Scenario, rules: ItemRules) -> Scenario:
    """The scenario with a request's rules added: what passes it passes both."""
    first, *more = tightened(scenario.filter, rules.filter)
    ages = [age for age in (scenario.max_age_ms, rules.max_age_ms) if age is not None]
    return replace(scenario, filter=first, also=(*scenario.also, *more), max_age_ms=min(ages, default=None))


def filter_at(scenario: Scenario, latest_ms: int, usual: float | None = None) -> ItemFilter:
    """The scenario's filter for one user: what depends on their latest event and usual price filled in."""
    if scenario.max_age_ms is None and (scenario.price_band is None or usual is None):
        return scenario.filter
    own = ItemFilter()
    if scenario.max_age_ms is not None:
        # At least 1: an item of unknown age (0) is never new.
        own = replace(own, created_since_ms=max(1, latest_ms - scenario.max_age_ms))
    if scenario.price_band is not None and usual is not None:
        low, high = scenario.price_band
        own = replace(own, min_price=low * usual, max_price=high * usual)
    (together,) = tightened(scenario.filter, own)
    return together


def permitted(scenario: Scenario, asked: ItemFilter, rows: Integers, facts: Facts) -> Mask:
    """Which candidates ``rows`` [c] the scenario lets pass, ``asked`` being its ``filter_at``: -> [c]."""
    passed = allowed(asked, rows, facts)
    for more in scenario.also:
        passed &= allowed(more, rows, facts)
    return passed


def usual_price(prices: npt.ArrayLike) -> float | None:
    """Geometric mean of the prices [t] that are known (NaN is not) and above 0; None where none is."""
    given = np.asarray(prices, dtype=np.float64)
    given = given[given > 0]
    return float(np.exp(np.log(given).mean())) if len(given) else None


def events_of(basis: Basis, events: Sequence[Applied]) -> Sequence[Applied]:
    """The events (oldest first) that a recommendation rests on; may be none."""
    if basis == "history":
        return events
    if basis == "last":
        return events[-1:]
    bought = [event for event in events if event.event_type == EventType.PURCHASE]
    return bought[-1:]
