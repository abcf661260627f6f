"""The simulated shop's catalogue: texts that a sentence encoder can tell apart, coarsely and finely.

Every item stands on a *shelf*: category, subcategory, style ("Kitchen", "Coffee makers", "French press"). The
words come from ``catalogue.toml``; the seed decides which of them meet.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from encoders.errors import SettingsError
from encoders.events import Item

WORDS = Path(__file__).with_name("catalogue.toml")

BRANDS_PER_CATEGORY = 6

ID_WIDTH = 5

CREATED_MS = 1_577_836_800_000
"""2020-01-01T00:00:00Z: since when every item is there, years before the first simulated event."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the items of one style share; ``price`` is the lowest and the highest, in the shop's currency."""

    category: str
    subcategory: str
    style: str
    style_words: str
    sentence: str
    product: str
    materials: tuple[str, ...]
    variants: tuple[str, ...]
    features: tuple[str, ...]
    price: tuple[float, float]


@cache
def _words() -> dict[str, Any]:
    return tomllib.loads(WORDS.read_text(encoding="utf-8"))


def _subcategories() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for category, subcategories in _words().items():
        if isinstance(subcategories, dict):
            for subcategory, entry in subcategories.items():
                yield category, subcategory, entry


@cache
def shelves() -> tuple[Shelf, ...]:
    """Every shelf of the shop, in the order of the file."""
    return tuple(
        Shelf(
            category=category,
            subcategory=subcategory,
            style=style,
            style_words=style_words,
            sentence=sentence,
            product=entry["product"],
            materials=tuple(entry["materials"]),
            variants=tuple(entry.get("variants", _words()["colours"])),
            features=tuple(entry["features"]),
            price=(entry["price"][0], entry["price"][1]),
        )
        for category, subcategory, entry in _subcategories()
        for style, (style_words, sentence) in entry["styles"].items()
    )


@cache
def bought_with() -> dict[str, str]:
    """Subcategory -> the subcategory that shoppers turn to after buying from it."""
    return {subcategory: entry["bought_with"] for _, subcategory, entry in _subcategories()}


def make_catalogue(count: int = 2_000, seed: int = 0) -> list[Item]:
    """Compose ``count`` items with distinct titles, spread evenly over the shelves.

    The same arguments give the same items. Raises ``SettingsError`` when ``count`` is not 1 to 20,000.
    """
    if not 0 < count <= 20_000:
        raise SettingsError(
            f"the simulated shop has 1 to 20000 items, not {count}: choose --items in that range"
        )
    random = Random(f"catalogue-{seed}")
    brands = {category: _brands(random) for category in dict.fromkeys(s.category for s in shelves())}
    titles: set[str] = set()
    items = []
    for number in range(count):
        shelf = shelves()[number % len(shelves())]
        items.append(_compose(f"item-{number:0{ID_WIDTH}d}", shelf, brands[shelf.category], titles, random))
    return items


def _brands(random: Random) -> list[str]:
    return random.sample(_words()["brands"], BRANDS_PER_CATEGORY)


def _compose(item_id: str, shelf: Shelf, brands: list[str], titles: set[str], random: Random) -> Item:
    while True:
        material = random.choice(shelf.materials)
        name = f"{random.choice(brands)} {random.choice(_words()['lines'])}"
        title = f"{_named(shelf)} {name}, {material}, {random.choice(shelf.variants)}"
        if title not in titles:
            break
    titles.add(title)
    low, high = shelf.price
    # Most goods are cheap: the square pulls prices to the lower end.
    price = round(low + (high - low) * random.random() ** 2, 2)
    return Item(
        item_id=item_id,
        title=title,
        description=f"{shelf.sentence} {random.choice(shelf.features)}",
        categories=(shelf.category, shelf.subcategory, shelf.style),
        price=price,
        created_ms=CREATED_MS,
    )


def _named(shelf: Shelf) -> str:
    """The style's words, then the product where the words do not already name it (socks, a serum)."""
    named = f"{shelf.style_words} {shelf.product}".rstrip()
    return named[0].upper() + named[1:]
