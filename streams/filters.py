"""What an ``ItemFilter`` means, computed over the catalogue in memory; and two filters made one. Pure.

The store applies the same filters to its own search (``VectorStore.nearest_items``); candidates from other
sources pass through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from exporters.vector_store import ItemFilter

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ANYTHING: Final = ItemFilter()
"""Asks for nothing: every item passes."""
NOTHING: Final = ItemFilter(min_price=1.0, max_price=0.0)
"""Passes no item, whatever else is asked: no price is both."""


class Facts(Protocol):
    """What is known of n items, by row."""

    @property
    def prices(self) -> Floats:
        """[n]; NaN where unknown."""
        ...

    @property
    def created_ms(self) -> Integers:
        """[n]: since when in the catalogue, milliseconds since 1970; 0 where nobody said."""
        ...

    @property
    def brands(self) -> Integers:
        """[n]: a number for each brand; -1 where unknown."""
        ...

    @property
    def brand_numbers(self) -> Mapping[str, int]:
        """Brand -> its number in ``brands``."""
        ...

    @property
    def categories(self) -> Sequence[tuple[str, ...]]:
        """[n]: all categories of each item."""
        ...


def allowed(asked: ItemFilter, rows: Integers, facts: Facts) -> Mask:
    """Which of the items ``rows`` [c] (all at least 0) pass: -> [c]. Availability is not looked at.

    Prices are compared as float32, since that is what the rows hold: 19.99 is at least 19.99.
    """
    passed = np.ones(len(rows), dtype=np.bool_)
    if asked == ANYTHING:
        return passed
    if asked.min_price is not None or asked.max_price is not None:
        passed &= _priced(asked, facts.prices[rows])
    if asked.created_since_ms is not None:
        passed &= facts.created_ms[rows] >= asked.created_since_ms
    if asked.any_brand or asked.no_brand:
        passed &= _branded(asked, facts.brands[rows], facts.brand_numbers)
    if asked.any_category or asked.no_category:
        passed &= _categorised(asked, rows, facts.categories)
    return passed


def passes_nothing(asked: ItemFilter) -> bool:
    """Whether no item at all can pass, so that nobody need search."""
    low, high = asked.min_price, asked.max_price
    return low is not None and high is not None and low > high


def tightened(first: ItemFilter, second: ItemFilter) -> tuple[ItemFilter, ...]:
    """Filters that an item passes, all of them, if and only if it passes ``first`` and ``second``.

    One filter, unless both name categories and neither names all of the other's: an item of several
    categories may pass each with another one, which no single filter can say. Then the first is the one to
    search with (it has the categories of ``second``), and one more asks for the categories of ``first``.
    """
    categories, *more = _both(first.any_category, second.any_category)
    brands = _shared(first.any_brand, second.any_brand)
    together = ItemFilter(
        min_price=_narrower(max, first.min_price, second.min_price),
        max_price=_narrower(min, first.max_price, second.max_price),
        any_category=categories,
        no_category=_union(first.no_category, second.no_category),
        any_brand=brands,
        no_brand=_union(first.no_brand, second.no_brand),
        created_since_ms=_narrower(max, first.created_since_ms, second.created_since_ms),
    )
    if first.any_brand and second.any_brand and not brands:
        return (NOTHING,)  # An empty ``any_brand`` would pass every brand.
    return (together, *(ItemFilter(any_category=one) for one in more))


Bound = TypeVar("Bound", int, float)
Names = tuple[str, ...]


def _narrower(
    choose: Callable[[Bound, Bound], Bound], one: Bound | None, other: Bound | None
) -> Bound | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)


def _union(one: Names, other: Names) -> Names:
    return tuple(dict.fromkeys(one + other))


def _shared(one: Names, other: Names) -> Names:
    if not one or not other:
        return one or other
    return tuple(name for name in other if name in one)


def _both(one: Names, other: Names) -> tuple[Names, ...]:
    """Sets of names of which each must be met by one: the smaller set where it lies in the other."""
    if not one or (set(other) <= set(one) and other):
        return (other,)
    if not other or set(one) <= set(other):
        return (one,)
    return other, one


def _priced(asked: ItemFilter, prices: Floats) -> Mask:
    low = -np.inf if asked.min_price is None else asked.min_price
    high = np.inf if asked.max_price is None else asked.max_price
    inside: Mask = (prices >= np.float32(low)) & (prices <= np.float32(high))
    return inside


def _branded(asked: ItemFilter, brands: Integers, numbers: Mapping[str, int]) -> Mask:
    passed = np.ones(len(brands), dtype=np.bool_)
    if asked.any_brand:
        passed &= np.isin(brands, _numbers(asked.any_brand, numbers))
    if asked.no_brand:
        passed &= ~np.isin(brands, _numbers(asked.no_brand, numbers))
    return passed


def _numbers(names: Names, numbers: Mapping[str, int]) -> list[int]:
    return [numbers[name] for name in names if name in numbers]


def _categorised(asked: ItemFilter, rows: Integers, categories: Sequence[Names]) -> Mask:
    wanted, unwanted = set(asked.any_category), set(asked.no_category)
    found = [categories[row] for row in rows.tolist()]
    passed = [unwanted.isdisjoint(names) and not (wanted and wanted.isdisjoint(names)) for names in found]
    return np.array(passed, dtype=np.bool_)
