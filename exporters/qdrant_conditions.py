"""What Freshet asks of points' payloads, in its own words; each adapter translates it in one place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporters.vector_store import ItemFilter


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Points whose number ``key`` is there and at least ``minimum``."""

    key: str
    minimum: float


@dataclass(frozen=True, slots=True)
class AtMost:
    """Points whose number ``key`` is there and at most ``maximum``."""

    key: str
    maximum: float


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Points whose string ``key``, or one in the list ``key``, is one of ``values``."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """Points that ``AnyOf`` leaves out, those without any such string included."""

    key: str
    values: tuple[str, ...]


Condition = AtLeast | AtMost | AnyOf | NoneOf
Conditions = tuple[Condition, ...]
"""All of them must hold; an empty tuple asks for nothing."""

# A flag is the integer 1 or 0: qdrant-edge 0.9.0 reads ``MatchValue(True)`` as 1, which matches no boolean.
AVAILABLE = AtLeast("available", 1)
WAITING = AtLeast("waiting", 1)


def updated_since(timestamp_ms: int) -> Conditions:
    """Condition on ``updated_at`` (milliseconds since 1970), or none when everything is asked for."""
    return (AtLeast("updated_at", timestamp_ms),) if timestamp_ms > 0 else ()


def conditions_of(wanted: ItemFilter | None) -> Conditions:
    """What a filter asks of the payload of items; nothing where there is no filter."""
    return tuple(_conditions(wanted)) if wanted else ()


def _conditions(wanted: ItemFilter) -> Iterator[Condition]:
    if wanted.min_price is not None:
        yield AtLeast("price", wanted.min_price)
    if wanted.max_price is not None:
        yield AtMost("price", wanted.max_price)
    if wanted.any_category:
        yield AnyOf("categories", wanted.any_category)
    if wanted.no_category:
        yield NoneOf("categories", wanted.no_category)
    if wanted.any_brand:
        yield AnyOf("brand", wanted.any_brand)
    if wanted.no_brand:
        yield NoneOf("brand", wanted.no_brand)
    # Points of older versions have no such key: they are as old as items of which nobody said.
    if wanted.created_since_ms is not None and wanted.created_since_ms > 0:
        yield AtLeast("created_at", wanted.created_since_ms)
