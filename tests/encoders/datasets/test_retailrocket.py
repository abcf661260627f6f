"""Retailrocket, on small files of the published form."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.datasets import load
from encoders.errors import DataError
from encoders.events import EventType, Interaction, Item


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n"
        "1433221332118,257597,addtocart,355908,\n"
        "1433221332100,1,transaction,1000,234\n"
        "1433221332100,1,ponder,1000,\n"
    )
    (tmp_path / "item_properties_part1.csv").write_text(
        "timestamp,itemid,property,value\n"
        "1435460400000,355908,categoryid,536\n"
        "1435460400000,355908,790,n15360.000\n"
        "cut,355908,categoryid,536\n"
    )
    (tmp_path / "item_properties_part2.csv").write_text(
        "timestamp,itemid,property,value\n1431831600000,355908,categoryid,1691\n1431831600000,42,categoryid,7\n"
    )
    (tmp_path / "category_tree.csv").write_text("categoryid,parentid\n536,1691\n1691,885\n885,\n7,8\n8,7\n")
    return tmp_path


def test_views_and_carts_are_clicks_and_transactions_purchases(folder):
    assert list(load("retailrocket", folder).interactions()) == [
        Interaction("1", "1000", EventType.PURCHASE, 1_433_221_332_100, "retailrocket-4", "234"),
        Interaction("257597", "355908", EventType.CLICK, 1_433_221_332_117, "retailrocket-2"),
        Interaction("257597", "355908", EventType.CLICK, 1_433_221_332_118, "retailrocket-3"),
    ]


def test_the_earliest_category_counts_with_its_path_from_the_root(folder):
    items = {item.item_id: item for item in load("retailrocket", folder).items}
    assert items["355908"] == Item("355908", "355908", categories=("category 885", "category 1691"))


def test_a_cycle_in_the_tree_ends(folder):
    items = {item.item_id: item for item in load("retailrocket", folder).items}
    assert items["42"].categories == ("category 8", "category 7")


def test_items_without_properties_are_in_the_catalogue(folder):
    assert Item("1000", "1000") in load("retailrocket", folder).items


def test_left_out_lines_are_counted(folder):
    found = load("retailrocket", folder)
    assert found.skipped == {"malformed": 1}
    assert found.skipped_items == {"property without published meaning": 1, "malformed": 1}


@pytest.mark.parametrize("name", ["events.csv", "category_tree.csv"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=r"expected events\.csv, item_properties_part1\.csv"):
        load("retailrocket", folder)
