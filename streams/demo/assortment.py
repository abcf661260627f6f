"""How a simulated shop's items are asked for: shelves, Zipf popularity, what is bought or given together.

A shelf is the set of items with equal ``categories``. Popularity follows Zipf's law twice: over the shelves,
and over the items of each shelf (G. K. Zipf, Human Behavior and the Principle of Least Effort, 1949).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

from encoders.events import Item
from streams.demo.catalogue import bought_with

Key = tuple[str, ...]
"""A shelf: category, subcategory, style."""

T = TypeVar("T")

SHELF_EXPONENT = 0.8

ITEM_EXPONENT = 1.0


class Zipf(Generic[T]):
    """Draws from ``values``; the one of rank r (counted from 1) has weight r ** -exponent."""

    def __init__(self, values: Sequence[T], exponent: float) -> None:
        self.values = values
        self._cumulative = list(accumulate(rank**-exponent for rank in range(1, len(values) + 1)))

    def draw(self, random: Random) -> T:
        """Draw one value."""
        return random.choices(self.values, cum_weights=self._cumulative)[0]


class Assortment:
    """The items on their shelves. Ranks are drawn from ``random``; ``items`` must not be empty."""

    def __init__(self, items: Sequence[Item], random: Random) -> None:
        self._stock = {key: Zipf(stock, ITEM_EXPONENT) for key, stock in _shelved(items, random).items()}
        self._by_subcategory = _grouped(list(self._stock), depth=2)
        self._by_category = _grouped(list(self._stock), depth=1)
        self._companions: dict[str, Item] = {}
        self._presents: dict[str, Item] = {}
        self.reshuffle(random)

    def reshuffle(self, random: Random) -> None:
        """Give the shelves a new order of popularity: what the shop's customers want has shifted."""
        keys = sorted(self._stock)
        random.shuffle(keys)
        self._shelves = Zipf(keys, SHELF_EXPONENT)

    def shelf(self, random: Random) -> Key:
        """A shelf, the popular ones more often."""
        return self._shelves.draw(random)

    def neighbour(self, key: Key, random: Random) -> Key:
        """A shelf of the same subcategory (it may be the same shelf)."""
        return random.choice(self._by_subcategory[key[:2]])

    def relative(self, key: Key, random: Random) -> Key:
        """A shelf of the same category (it may be the same shelf)."""
        return random.choice(self._by_category[key[:1]])

    def item(self, key: Key, random: Random) -> Item:
        """An item of a shelf, the popular ones more often."""
        return self._stock[key].draw(random)

    def companion(self, item: Item, random: Random) -> Item:
        """What is bought with an item: drawn once from the fitting subcategory, then always the same."""
        if item.item_id not in self._companions:
            self._companions[item.item_id] = self.item(self._fitting(item.categories, random), random)
        return self._companions[item.item_id]

    def present(self, item: Item, random: Random) -> Item:
        """What is given together with an item: of any shelf of another category, drawn once, then always the
        same.
        """
        if item.item_id not in self._presents:
            others = [key for key in self._stock if key[:1] != item.categories[:1]]
            shelf = random.choice(others or list(self._stock))
            self._presents[item.item_id] = self.item(shelf, random)
        return self._presents[item.item_id]

    def _fitting(self, key: Key, random: Random) -> Key:
        name = bought_with().get(key[1]) if len(key) > 1 else None
        shelves = [other for other in self._stock if name is not None and other[1:2] == (name,)]
        return random.choice(shelves or self._by_category[key[:1]])


def _shelved(items: Sequence[Item], random: Random) -> dict[Key, list[Item]]:
    shelved: dict[Key, list[Item]] = {}
    for item in random.sample(items, len(items)):
        shelved.setdefault(item.categories, []).append(item)
    return shelved


def _grouped(keys: Sequence[Key], depth: int) -> dict[Key, list[Key]]:
    groups: dict[Key, list[Key]] = {}
    for key in sorted(keys):
        groups.setdefault(key[:depth], []).append(key)
    return groups
