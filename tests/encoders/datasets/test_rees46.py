"""REES46's months of shop events."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.datasets import Dataset, load
from encoders.errors import DataError
from encoders.events import EventType, Item

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"


def line(
    kind: str = "view", product: str = "1", category: str = "", brand: str = "", at: str = "00:00:00"
) -> str:
    return f"2019-10-01 {at} UTC,{kind},{product},99,{category},{brand},35.79,541312140,session-1\n"


def dataset(folder: Path, text: str) -> Dataset:
    (folder / "2019-Oct.csv").write_text(HEADER + text)
    return load("rees46", folder)


def test_views_and_carts_are_clicks_and_purchases_are_purchases(tmp_path):
    found = dataset(tmp_path, line("view") + line("cart") + line("purchase"))
    kinds = [row.event_type for row in found.interactions()]
    assert kinds == [EventType.CLICK, EventType.CLICK, EventType.PURCHASE]


def test_a_row_keeps_time_user_session_price_and_line(tmp_path):
    (row,) = dataset(tmp_path, line(at="00:00:01")).interactions()
    assert (row.timestamp_ms, row.user_id, row.session_id) == (1_569_888_001_000, "541312140", "session-1")
    assert (row.price, row.event_id) == (35.79, "rees46-2019-Oct-2")


def test_taking_out_of_the_cart_is_counted(tmp_path):
    found = dataset(tmp_path, line() + line("remove_from_cart") + line("dance"))
    assert found.skipped == {"removed from cart": 1, "malformed": 1}


@pytest.mark.parametrize(
    ("category", "brand", "title", "path"),
    [
        (
            "appliances.environment.water_heater",
            "aqua",
            "aqua water heater",
            ("appliances", "environment", "water heater"),
        ),
        ("computers", "", "computers", ("computers",)),
        ("", "shiseido", "shiseido", ()),
        ("", "", "1", ()),
    ],
)
def test_text_is_made_of_category_and_brand(tmp_path, category, brand, title, path):
    found = dataset(tmp_path, line(category=category, brand=brand))
    assert found.items == [Item("1", title, categories=path, price=35.79)]


def test_a_cut_off_last_line_is_counted(tmp_path):
    found = dataset(tmp_path, line() + line()[:50])
    assert (found.n_interactions, found.skipped) == (1, {"malformed": 1})


def test_months_are_one_stream_in_the_order_of_time(tmp_path):
    (tmp_path / "2019-Nov.csv").write_text(HEADER + line(product="2").replace("2019-10", "2019-11"))
    found = dataset(tmp_path, line(product="1"))
    assert [row.item_id for row in found.interactions()] == ["1", "2"]


def test_a_table_of_another_kind_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="should name event_time"):
        load("rees46", tmp_path)


@pytest.mark.data
def test_the_first_hours_have_their_published_counts(data_dir):
    found = load("rees46", data_dir / "rees46")
    kinds = [row.event_type for row in found.interactions()]
    assert (kinds.count(EventType.CLICK), kinds.count(EventType.PURCHASE)) == (17_055 + 165, 214)
    assert (len(found.items), found.skipped) == (6_493, {"malformed": 1})
