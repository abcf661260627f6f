"""REES46: the behaviour of a multi-category shop's (or the cosmetics shop's) visitors, one CSV file a month.

``event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session``
https://www.kaggle.com/datasets/mkechinov/ecommerce-behavior-data-from-multi-category-store

A view is a click and a purchase a purchase. Putting into the cart is a click as well: it is a visit to the
item, and interest that should not be lost. Taking out of the cart is left out and counted. The text of an
item is its category path and its brand, as they stand in its first line; the set has no titles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from operator import itemgetter
from pathlib import Path

from encoders.datasets import files, lines, values
from encoders.datasets.dataset import MALFORMED, Catalogue, Dataset, Skip, from_rows
from encoders.events import EventType, Interaction, Item

NAME = "rees46"
COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
EVENT_TYPES = {"view": EventType.CLICK, "cart": EventType.CLICK, "purchase": EventType.PURCHASE}

_REMOVED = Skip("removed from cart")


def load(path: Path) -> Dataset:
    """Read the file, or every ``*.csv`` and ``*.csv.gz`` of the folder; ``DataError`` where there is none."""
    found = files.require(path, "REES46 event files such as 2019-Oct.csv (or .csv.gz)", "*.csv")
    catalogue: Catalogue = {}
    parsers = [(file, _parser(file, catalogue)) for file in found]

    def rows() -> Iterator[Interaction | Skip]:
        return chain.from_iterable(lines.parse_lines(file, parse, header=True) for file, parse in parsers)

    return from_rows(NAME, rows, catalogue)


def _parser(file: Path, catalogue: Catalogue) -> Callable[[int, str], Interaction | Skip]:
    pick = itemgetter(*lines.columns(file, COLUMNS, lines.split_csv))
    stem = file.name.partition(".csv")[0]

    def parse(number: int, line: str) -> Interaction | Skip:
        when, kind, product, category, brand, price, user, session = pick(lines.split_csv(line))
        if kind == "remove_from_cart":
            return _REMOVED
        if kind not in EVENT_TYPES:
            return MALFORMED
        row = Interaction(
            user_id=values.identifier(user),
            item_id=values.identifier(product),
            event_type=EVENT_TYPES[kind],
            timestamp_ms=values.iso_milliseconds(when),
            event_id=f"{NAME}-{stem}-{number}",
            session_id=session.strip() or None,
            price=values.price(price),
        )
        if row.item_id not in catalogue:
            catalogue[row.item_id] = _item(row, category, brand)
        return row

    return parse


def _item(row: Interaction, category: str, brand: str) -> Item:
    """``appliances.kitchen.mixer`` of ``elenberg`` is called "elenberg mixer"; with neither, by its id."""
    path = tuple(part.replace("_", " ") for part in category.split(".") if part)
    title = " ".join(part for part in (brand.strip(), *path[-1:]) if part)
    return Item(row.item_id, title or row.item_id, categories=path, price=row.price)
