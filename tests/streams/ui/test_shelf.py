"""The titles that the page keeps: bounded, and found by their words."""

from __future__ import annotations

from encoders.events import Item
from streams.codec import Delisted
from streams.ui.shelf import Shelf

STOCK = [
    Item("pot", "Tea pot", categories=("Kitchen", "Tea")),
    Item("cup", "Cup", categories=("Kitchen",), brand="Orvindle"),
    Item("tent", "Tent", categories=("Camping",)),
    Item("gone", "Tea towel", available=False),
]


def stocked(max_items: int = 10) -> Shelf:
    shelf = Shelf(max_items)
    for item in STOCK:
        shelf.take(item)
    return shelf


def found(text: str, limit: int = 10) -> list[str]:
    return [item.item_id for item in stocked().search(text, limit)]


def test_every_word_must_be_in_title_category_or_brand() -> None:
    assert found("kitchen TEA") == ["pot"]
    assert found("orvindle") == ["cup"]
    assert found("kitchen tent") == []


def test_what_is_not_on_sale_is_not_found() -> None:
    assert found("towel") == []


def test_without_words_items_are_spread_over_the_catalogue() -> None:
    shelf = Shelf(1_000)
    for n in range(100):
        shelf.take(Item(str(n), f"Item {n}"))
    assert [item.item_id for item in shelf.search("", 4)] == ["0", "25", "50", "75"]


def test_a_delisted_item_is_forgotten() -> None:
    shelf = stocked()
    shelf.take(Delisted("pot"))
    assert shelf.find("pot") is None
    assert shelf.title("pot") == "pot"


def test_what_does_not_fit_is_left_out_and_that_is_known() -> None:
    shelf = stocked(max_items=2)
    assert (len(shelf), shelf.full) == (2, True)


def test_an_item_on_a_full_shelf_is_still_brought_up_to_date() -> None:
    shelf = stocked(max_items=2)
    shelf.take(Item("pot", "Coffee pot"))
    assert shelf.title("pot") == "Coffee pot"
