"""Scenarios in the settings: ``[scenarios.NAME]`` tables over the defaults, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from encoders.events import EventType
from streams.rules import DAY_MS, read_rules
from streams.scenarios import SOURCES, Basis, Scenario, Source
from streams.settings_sections import RecommendationSettings, Section

if TYPE_CHECKING:
    from streams.settings import Settings

EventName = Literal["click", "purchase", "cart", "dislike", "rating"]
Factor = Annotated[float, Field(ge=0, le=1e6)]
Cap = Annotated[int, Field(ge=1)]

DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "home": {"publish_after": ("click", "purchase", "cart", "dislike", "rating")},
    "complements": {"basis": "purchase", "sources": ("covisited",)},
    "trending": {"sources": ("trending",)},
    "similar": {"basis": "last", "sources": ("interest", "covisited")},
}
"""Scenarios that are always there; settings may change each, one name at a time."""


class ScenarioSettings(Section):
    """One scenario: what a recommendation rests on, where candidates come from, what may be in the list."""

    k: int | None = Field(None, ge=1, le=200, description="Items; unset: as in [recommendations].")
    basis: Basis = Field(
        "history", description="Rests on all recent events, the last one, or the last purchase."
    )
    sources: tuple[Source, ...] = Field(SOURCES, min_length=1, description="Where candidates come from.")
    hide_seen_days: float | None = Field(None, ge=0, description="Unset: as in [recommendations].")
    hide_bought_days: float | None = Field(None, ge=0, description="Unset: as in [recommendations].")
    filters: tuple[dict[str, Any], ...] = Field(
        (), description="Rules on price (min, max), category, brand (any_of, none_of), age_days (max)."
    )
    price_band: tuple[Factor, Factor] | None = Field(
        None, description="Least and most of an item's price over the user's usual price."
    )
    max_per_category: Cap | None = Field(None, description="Items of one (narrowest) category in a list.")
    max_per_brand: Cap | None = Field(None, description="Items of one brand in a list.")
    diversity: float = Field(0.0, ge=0, le=1, description="How strongly lookalikes are kept apart.")
    exploration: float = Field(0.0, ge=0, le=0.5, description="Share of the list given to new items.")
    publish_after: tuple[EventName, ...] = Field(
        (), description="Events after which this scenario is published on the topic."
    )

    @field_validator("filters")
    @classmethod
    def _rules_are_meant(cls, filters: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        read_rules(filters)
        return filters

    @field_validator("price_band")
    @classmethod
    def _band_has_room(cls, band: tuple[float, float] | None) -> tuple[float, float] | None:
        if band is not None and (band[0] > band[1] or band[1] == 0):
            raise ValueError(f"[{band[0]:g}, {band[1]:g}] holds no price: give least and most, as [0.5, 2]")
        return band


def over_defaults(given: object) -> object:
    """The scenarios of a configuration laid over ``DEFAULTS``; raises ``ValueError`` for a wrong name."""
    if not isinstance(given, Mapping):
        return given
    for name in given:
        if not re.fullmatch("[a-z0-9-]{1,40}", str(name)):
            raise ValueError(f"scenario {name!r}: a name is 1 to 40 of a-z, 0-9 and -")
    return {name: _laid_over(DEFAULTS.get(name, {}), given.get(name, {})) for name in {**DEFAULTS, **given}}


def scenarios_of(settings: Settings) -> dict[str, Scenario]:
    """All scenarios by name, what they leave unset taken from ``settings.recommendations``."""
    return {name: _scenario(name, one, settings.recommendations) for name, one in settings.scenarios.items()}


def _laid_over(default: Mapping[str, Any], given: Any) -> Any:
    return {**default, **given} if isinstance(given, Mapping) else given


def _scenario(name: str, own: ScenarioSettings, common: RecommendationSettings) -> Scenario:
    rules = read_rules(own.filters)
    return Scenario(
        name=name,
        k=common.k if own.k is None else own.k,
        basis=own.basis,
        sources=own.sources,
        hide_seen_ms=_ms(own.hide_seen_days, common.hide_seen_days),
        hide_bought_ms=_ms(own.hide_bought_days, common.hide_bought_days),
        filter=rules.filter,
        price_band=own.price_band,
        max_age_ms=rules.max_age_ms,
        max_per_category=own.max_per_category,
        max_per_brand=own.max_per_brand,
        diversity=own.diversity,
        exploration=own.exploration,
        publish_after=frozenset(EventType[event.upper()] for event in own.publish_after),
    )


def _ms(own: float | None, common: float) -> int:
    return round((common if own is None else own) * DAY_MS)
