"""Amazon Reviews 2023, on small files of the published form."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from encoders.datasets import load
from encoders.datasets.amazon_reviews import MAX_DESCRIPTION
from encoders.errors import DataError
from encoders.events import EventType, Interaction, Item

REVIEW = {
    "rating": 5.0,
    "title": "Good",
    "text": "Works",
    "images": [],
    "asin": "B1-RED",
    "parent_asin": "B1",
    "user_id": "AE",
    "timestamp": 1_588_687_728_923,
    "helpful_vote": 0,
    "verified_purchase": True,
}
META = {
    "main_category": "Video Games",
    "title": "Pad &amp; Stick",
    "features": ["Light", "Fast"],
    "description": ["For both hands."],
    "price": 27.99,
    "categories": ["Video Games", "PC"],
    "parent_asin": "B1",
    "details": {"Brand": "X"},
}


def write(folder: Path, reviews: list[dict], metas: list[dict], *, zipped: bool = False) -> None:
    for name, rows in (("Video_Games.jsonl", reviews), ("meta_Video_Games.jsonl", metas)):
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(data) if zipped else data)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_review_is_a_purchase_of_the_parent(tmp_path, zipped):
    write(tmp_path, [REVIEW], [META], zipped=zipped)
    assert list(load("amazon-reviews", tmp_path).interactions()) == [
        Interaction("AE", "B1", EventType.PURCHASE, 1_588_687_728_923, "amazon-reviews-Video_Games-1")
    ]


def test_the_item_is_described_by_its_metadata(tmp_path):
    write(tmp_path, [REVIEW], [META])
    assert load("amazon-reviews", tmp_path).items == [
        Item("B1", "Pad & Stick", "Light Fast For both hands.", ("Video Games", "PC"), 27.99)
    ]


@pytest.mark.parametrize(
    ("published", "price"),
    [
        (None, None),
        ("None", None),
        ("—", None),
        ("from 7.99", None),
        ("$1,299.00", 1299.0),
        ("7.5", 7.5),
        (-1, None),
    ],
)
def test_prices_that_are_words_are_no_prices(tmp_path, published, price):
    write(tmp_path, [REVIEW], [META | {"price": published}])
    assert load("amazon-reviews", tmp_path).items[0].price == price


def test_an_older_dump_calls_its_time_sort_timestamp(tmp_path):
    older = {key: value for key, value in REVIEW.items() if key != "timestamp"} | {"sort_timestamp": 5}
    write(tmp_path, [older], [META])
    assert [row.timestamp_ms for row in load("amazon-reviews", tmp_path).interactions()] == [5]


def test_long_descriptions_are_cut(tmp_path):
    write(tmp_path, [REVIEW], [META | {"description": ["x" * 100_000]}])
    assert len(load("amazon-reviews", tmp_path).items[0].description) == MAX_DESCRIPTION


def test_unusable_lines_are_counted(tmp_path):
    bad = [REVIEW | {"timestamp": "soon"}, REVIEW | {"user_id": " "}, {"rating": 1}]
    write(tmp_path, [REVIEW, *bad], [META, {"title": "no id"}])
    with (tmp_path / "Video_Games.jsonl").open("a") as file:
        file.write('{"user_id": "AE", "parent_as')
    found = load("amazon-reviews", tmp_path)
    assert (found.n_interactions, found.skipped, found.skipped_items) == (
        1,
        {"malformed": 4},
        {"malformed": 1},
    )


def test_several_categories_are_one_stream(tmp_path):
    write(tmp_path, [REVIEW], [META])
    (tmp_path / "Books.jsonl").write_text(json.dumps(REVIEW | {"parent_asin": "B2", "timestamp": 7}))
    (tmp_path / "meta_Books.jsonl").write_text(json.dumps(META | {"parent_asin": "B2"}))
    assert [row.item_id for row in load("amazon-reviews", tmp_path).interactions()] == ["B2", "B1"]


def test_reviews_without_their_items_are_refused(tmp_path):
    write(tmp_path, [REVIEW], [META])
    (tmp_path / "meta_Video_Games.jsonl").unlink()
    with pytest.raises(DataError, match=r"meta_X\.jsonl"):
        load("amazon-reviews", tmp_path)
