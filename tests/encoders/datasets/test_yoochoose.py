"""YooChoose as published (.dat) and as preprocessed (.txt)."""

from __future__ import annotations

import pytest

from encoders.datasets import load
from encoders.errors import DataError
from encoders.events import EventType, Interaction, Item

CLICKS = "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n"
BUYS = "1,2014-04-07T10:55:00.000Z,214536500,1046,2\n1,2014-04-07T10:55:00.001Z,214536502,0,0\n"
AT = 1_396_867_869_277


def test_clicks_of_a_session_are_clicks_of_a_user(tmp_path):
    (tmp_path / "yoochoose-clicks.dat").write_text(CLICKS)
    first, _ = load("yoochoose", tmp_path).interactions()
    assert first == Interaction("1", "214536502", EventType.CLICK, AT, "yoochoose-clicks-1", "1")


def test_buys_are_purchases_and_zero_means_unknown(tmp_path):
    (tmp_path / "yoochoose-clicks.dat").write_text(CLICKS)
    (tmp_path / "yoochoose-buys.dat").write_text(BUYS)
    bought = [r for r in load("yoochoose", tmp_path).interactions() if r.event_type is EventType.PURCHASE]
    assert [(row.price, row.quantity) for row in bought] == [(1046.0, 2), (None, 1)]


def test_items_take_the_first_category_that_a_click_names(tmp_path):
    (tmp_path / "yoochoose-clicks.dat").write_text(CLICKS)
    assert load("yoochoose", tmp_path).items == [
        Item("214536502", "214536502"),
        Item("214536500", "214536500", categories=("category S",)),
    ]


def test_an_item_that_was_only_bought_is_in_the_catalogue(tmp_path):
    (tmp_path / "yoochoose-buys.dat").write_text(BUYS)
    assert [item.item_id for item in load("yoochoose", tmp_path).items] == ["214536500", "214536502"]


def test_the_preprocessed_form_is_read_in_the_order_of_time(tmp_path):
    file = tmp_path / "yoochoose-clicks-100k_test.txt"
    file.write_text("SessionId\tItemId\tTime\n2\t8\t1396860669.277\n1\t9\t1396860600.5\n")
    rows = list(load("yoochoose", file).interactions())
    assert [row.timestamp_ms for row in rows] == [1_396_860_600_500, 1_396_860_669_277]
    assert rows[0].event_id == "yoochoose-clicks-100k_test-3"


def test_unusable_lines_are_counted(tmp_path):
    (tmp_path / "yoochoose-clicks.dat").write_text(CLICKS + "1,2014-04-07,7\n1,soon,7,0\n,2014-04-07,7,0\n")
    assert load("yoochoose", tmp_path).skipped == {"malformed": 3}


def test_a_file_without_a_usable_line_is_refused(tmp_path):
    (tmp_path / "yoochoose-clicks.dat").write_text("nothing\nof the kind\n")
    with pytest.raises(DataError, match="no line is a usable yoochoose interaction"):
        load("yoochoose", tmp_path)


@pytest.mark.data
@pytest.mark.parametrize(("part", "clicks"), [("train_full", 70_278), ("test", 13_568)])
def test_both_parts_have_their_published_size(data_dir, part, clicks):
    found = load("yoochoose", data_dir / "yoochoose" / f"yoochoose-clicks-100k_{part}.txt")
    assert (found.n_interactions, found.skipped.total()) == (clicks, 0)


@pytest.mark.data
def test_the_folder_is_both_parts(data_dir):
    found = load("yoochoose", data_dir / "yoochoose")
    assert (found.n_interactions, len(found.items)) == (70_278 + 13_568, 2_933)
