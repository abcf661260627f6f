"""What the page knows of the catalogue: titles, categories and prices, bounded, from the topic ``items``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from encoders.events import Item
from streams.codec import Delisted


class Shelf:
    """Items by id. One thread writes; the others see each item whole."""

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._items: dict[str, Item] = {}
        self.full = False
        """Whether an item was left out: then an unknown id may be one of those."""

    def __len__(self) -> int:
        return len(self._items)

    def take(self, message: Item | Delisted) -> None:
        """Put an item in, or take it out; without its description, which nobody reads here."""
        if isinstance(message, Delisted):
            self._items.pop(message.item_id, None)
        elif message.item_id in self._items or len(self._items) < self._max_items:
            self._items[message.item_id] = message
        else:
            self.full = True

    def find(self, item_id: str) -> Item | None:
        """The item of this id."""
        return self._items.get(item_id)

    def title(self, item_id: str) -> str:
        """What to call an item: its id where nothing else is known."""
        item = self._items.get(item_id)
        return (item.title if item else "") or item_id

    def search(self, text: str, limit: int) -> list[Item]:
        """Items on sale with every word of ``text`` in title, categories or brand.

        Without words, items spread evenly over the catalogue.
        """
        items = list(self._items.values())
        words = text.casefold().split()
        if words:
            return list(islice(_with_words(items, words), limit))
        on_sale = [item for item in items if item.available]
        return on_sale[:: max(1, len(on_sale) // limit)][:limit]


def _with_words(items: list[Item], words: list[str]) -> Iterator[Item]:
    for item in items:
        text = " ".join((item.title, *item.categories, item.brand or "")).casefold()
        if item.available and all(word in text for word in words):
            yield item
