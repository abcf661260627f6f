"""Retailrocket: 4.5 months of a shop's visits, 2015, with hashed item properties.

- ``events.csv``: ``timestamp,visitorid,event,itemid,transactionid`` (milliseconds; view, addtocart,
  transaction)
- ``item_properties_part1.csv``, ``..._part2.csv``: ``timestamp,itemid,property,value``
- ``category_tree.csv``: ``categoryid,parentid``

https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset (CC BY-NC-SA 4.0)

A view is a click, and so is putting into the cart; a transaction is a purchase, and the items of one
transaction share its id as their session. Of the properties only ``categoryid`` has a meaning that was
published: an item's categories are the path in the tree from the root to the earliest category it is known
with; what it came to later is not known at the start. All text is hashed, so a title is an id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

from encoders.datasets import files, lines, values
from encoders.datasets.dataset import MALFORMED, Catalogue, Dataset, Skip, Skipped, from_rows
from encoders.events import EventType, Interaction, Item

NAME = "retailrocket"
EXPECTED = "events.csv, item_properties_part1.csv, item_properties_part2.csv and category_tree.csv"
EVENT_TYPES = {
    "view": EventType.CLICK,
    "addtocart": EventType.CLICK,
    "transaction": EventType.PURCHASE,
}

_OTHER_PROPERTY = Skip("property without published meaning")


def load(path: Path) -> Dataset:
    """Read the folder (or the folder of the file); ``DataError`` where one of the files is missing."""
    folder = path.parent if path.is_file() else path
    events, tree = files.find_one(folder, "events.csv"), files.find_one(folder, "category_tree.csv")
    properties = files.find(folder, "item_properties*.csv")
    if not (events and tree and properties):
        raise files.missing(path, EXPECTED)
    skipped: Skipped = Counter()
    parents = _read_tree(tree, skipped)
    catalogue = {
        item: Item(item, item, categories=_category_path(category, parents))
        for item, category in _first_categories(properties, skipped).items()
    }
    return _with_events(events, catalogue, skipped)


def _with_events(events: Path, catalogue: Catalogue, skipped_items: Skipped) -> Dataset:
    wanted = ("timestamp", "visitorid", "event", "itemid", "transactionid")
    pick = itemgetter(*lines.columns(events, wanted, lines.split_csv))

    def parse(number: int, line: str) -> Interaction | Skip:
        timestamp, visitor, event, item, transaction = pick(lines.split_csv(line))
        if event not in EVENT_TYPES:
            return MALFORMED
        return Interaction(
            user_id=values.identifier(visitor),
            item_id=values.identifier(item),
            event_type=EVENT_TYPES[event],
            timestamp_ms=values.checked_milliseconds(int(timestamp)),
            event_id=f"{NAME}-{number}",
            session_id=transaction.strip() or None,
        )

    def rows() -> Iterator[Interaction | Skip]:
        return lines.parse_lines(events, parse, header=True)

    return from_rows(NAME, rows, catalogue, skipped_items)


def _first_categories(properties: list[Path], skipped: Skipped) -> dict[str, str]:
    """Item -> the category of its earliest snapshot; the files are not in the order of time."""
    first: dict[str, tuple[int, str]] = {}
    for path in properties:
        for timestamp, item, category in lines.kept(_category_snapshots(path), skipped):
            if item not in first or timestamp < first[item][0]:
                first[item] = (timestamp, category)
    return {item: category for item, (_, category) in first.items()}


def _category_snapshots(path: Path) -> Iterator[tuple[int, str, str] | Skip]:
    pick = itemgetter(*lines.columns(path, ("timestamp", "itemid", "property", "value"), lines.split_csv))

    def parse(_: int, line: str) -> tuple[int, str, str] | Skip:
        timestamp, item, name, value = pick(lines.split_csv(line))
        if name != "categoryid":
            return _OTHER_PROPERTY
        return int(timestamp), values.identifier(item), values.identifier(value)

    return lines.parse_lines(path, parse, header=True)


def _read_tree(path: Path, skipped: Skipped) -> dict[str, str]:
    """Category -> parent; a root's parent is the empty string."""
    pick = itemgetter(*lines.columns(path, ("categoryid", "parentid"), lines.split_csv))

    def parse(_: int, line: str) -> tuple[str, str]:
        category, parent = pick(lines.split_csv(line))
        return values.identifier(category), parent.strip()

    return dict(lines.kept(lines.parse_lines(path, parse, header=True), skipped))


def _category_path(category: str, parents: dict[str, str]) -> tuple[str, ...]:
    """From the root down; a cycle in the tree ends the walk."""
    path: list[str] = []
    while category and category not in path:
        path.append(category)
        category = parents.get(category, "")
    return tuple(f"category {name}" for name in reversed(path))
