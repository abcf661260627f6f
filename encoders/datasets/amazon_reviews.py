"""Amazon Reviews 2023: reviews and item descriptions, one pair of JSON Lines files a category.

``Video_Games.jsonl`` holds the reviews (``user_id``, ``parent_asin``, ``timestamp`` in milliseconds; older
dumps call it ``sort_timestamp``), ``meta_Video_Games.jsonl`` the items (``title``, ``features``,
``description``, ``categories``, ``price``); both may be gzipped. https://amazon-reviews-2023.github.io/
(research use)

A review is a purchase. The item is the parent, which colours and sizes share. The reviews' own texts and
stars are not read.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from encoders.datasets import files, lines, values
from encoders.datasets.dataset import Catalogue, Dataset, Skip, Skipped, from_rows
from encoders.events import EventType, Interaction, Item

NAME = "amazon-reviews"
EXPECTED = "reviews as X.jsonl and their items as meta_X.jsonl (or .jsonl.gz)"
MAX_DESCRIPTION = 2_000
"""Characters kept of features and description: about twice what a text tower reads."""


class _Review(msgspec.Struct):
    parent_asin: str
    user_id: str
    timestamp: int | None = None
    sort_timestamp: int | None = None


class _Meta(msgspec.Struct):
    parent_asin: str
    title: str | None = None
    features: list[str] | str | None = None
    description: list[str] | str | None = None
    categories: list[str] | None = None
    price: float | str | None = None


_decode_review = msgspec.json.Decoder(_Review).decode
_decode_meta = msgspec.json.Decoder(_Meta).decode


def load(path: Path) -> Dataset:
    """Read one review file and the items beside it, or every pair in the folder.

    Raises ``DataError`` where there are no reviews, or reviews without a file of items.
    """
    found = files.require(path, EXPECTED, "*.jsonl")
    reviews = [file for file in found if not file.name.startswith("meta_")]
    metas = [files.find_one(file.parent, f"meta_{file.name.removesuffix('.gz')}") for file in reviews]
    if not reviews or None in metas:
        raise files.missing(path, EXPECTED)
    catalogue: Catalogue = {}
    skipped_items: Skipped = Counter()
    for meta in filter(None, metas):
        found_items = lines.kept(lines.parse_lines(meta, _parse_item), skipped_items)
        catalogue.update((item.item_id, item) for item in found_items)

    def rows() -> Iterator[Interaction | Skip]:
        return chain.from_iterable(_read_reviews(file) for file in reviews)

    return from_rows(NAME, rows, catalogue, skipped_items)


def _read_reviews(file: Path) -> Iterator[Interaction | Skip]:
    stem = file.name.partition(".jsonl")[0]

    def parse(number: int, line: str) -> Interaction:
        review = _decode_review(line)
        timestamp = review.sort_timestamp if review.timestamp is None else review.timestamp
        if timestamp is None:
            raise ValueError("no timestamp")
        return Interaction(
            user_id=values.identifier(review.user_id),
            item_id=values.identifier(review.parent_asin),
            event_type=EventType.PURCHASE,
            timestamp_ms=values.checked_milliseconds(timestamp),
            event_id=f"{NAME}-{stem}-{number}",
        )

    return lines.parse_lines(file, parse)


def _parse_item(_: int, line: str) -> Item:
    meta = _decode_meta(line)
    item_id = values.identifier(meta.parent_asin)
    description = " ".join(_texts(meta.features) + _texts(meta.description))
    return Item(
        item_id,
        html.unescape(meta.title or "").strip() or item_id,
        html.unescape(description)[:MAX_DESCRIPTION].strip(),
        tuple(html.unescape(name) for name in meta.categories or ()),
        _price(meta.price),
    )


def _texts(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _price(value: float | str | None) -> float | None:
    """The price; "from 7.99", a dash and other words are no price."""
    text = "" if value is None else str(value)
    try:
        return values.price(text.removeprefix("$").replace(",", ""))
    except ValueError:
        return None
