"""MiniOneRec's order-only sets: rows of predictions put together again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from encoders.datasets import load, minionerec
from encoders.errors import DataError
from encoders.events import Item

HEADER = "user_id,history_item_title,item_title,history_item_id,item_id,history_item_sid,item_sid\n"


def row(user: str, history: list[int], target: int) -> str:
    """As published: titles with commas and quotes, ids as Python prints a list."""
    return f'{user},"[\'a, b\', \'12"" wide\']","c, d","{history}",{target},"[\'<a_1><b_2>\']",<a_3>\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "valid.csv").write_text(HEADER + row("ann", [0], 1) + row("bob", [2], 3))
    (tmp_path / "test.csv").write_text(HEADER + row("ann", [0, 1], 2) + row("ann", [1, 2], 0))
    described = {
        str(index): {
            "title": title,
            "description": "['<!-- .x {} --> Good &amp; <b>cheap</b>']",
            "brand": "",
            "categories": "",
        }
        for index, title in enumerate(["Pen", "Ink", "", "Desk"])
    }
    (tmp_path / "items.json").write_text(json.dumps(described))
    return tmp_path


def test_items_stand_in_the_order_of_their_indices_without_markup(folder):
    items = load("minionerec", folder).items
    assert [item.title for item in items] == ["Pen", "Ink", "2", "Desk"]
    assert items[0] == Item("0", "Pen", "Good & cheap")


def test_rows_of_windows_join_to_each_users_whole_history(folder):
    dataset = load("minionerec", folder)
    by_user: dict[str, list[str]] = {}
    for event in dataset.interactions():
        by_user.setdefault(event.user_id, []).append(event.item_id)
    assert by_user == {"ann": ["0", "1", "2", "0"], "bob": ["2", "3"]}
    assert (dataset.ordered, dataset.n_interactions) == (True, 6)


def test_everybodys_last_item_is_the_test_target_where_there_are_three(folder):
    split = load("minionerec", folder).split
    assert split is not None
    assert split.valid == [([0, 1], 2)]
    assert split.test == [([0, 1, 2], 0)]
    assert split.sequences == [[0, 1], [2, 3]]


def test_every_line_is_read_or_counted(folder):
    with (folder / "test.csv").open("a") as file:
        file.write(row("ann", [3, 3], 1) + row("eve", [], 1) + row("eve", [9], 1) + 'eve,"cut off')
    assert load("minionerec", folder).skipped == {minionerec.NO_CONTINUATION: 1, "malformed": 3}


def test_an_item_without_a_usable_description_is_counted_and_kept(folder):
    (folder / "items.json").write_text('{"0": 7, "1": {"title": "Ink"}, "2": {}, "3": {}}')
    dataset = load("minionerec", folder)
    assert (dataset.skipped_items, dataset.items[0]) == ({"malformed": 1}, Item("0", "0"))


@pytest.mark.parametrize(
    ("catalogue", "reason"), [('{"0": {}, "2": {}}', "without a gap"), ("[]", "no JSON object")]
)
def test_a_catalogue_of_another_form_is_refused(folder, catalogue, reason):
    (folder / "items.json").write_text(catalogue)
    with pytest.raises(DataError, match=reason):
        load("minionerec", folder)


def test_a_catalogue_beyond_any_size_is_refused_unread(folder, monkeypatch):
    monkeypatch.setattr(minionerec, "MAX_CATALOGUE_BYTES", 10)
    with pytest.raises(DataError, match="larger than"):
        load("minionerec", folder)


@pytest.mark.data
def test_amazon_office_is_read_to_its_last_line(data_dir):
    found = load("minionerec", data_dir / "amazon_office")
    assert (len(found.items), found.skipped, found.skipped_items) == (3_459, {}, {})
    assert found.split is not None
    # 2 x 4,866 rows: one item each, and what came before each user's first row.
    histories = found.n_interactions - 2 * 4_866
    assert histories >= 3_231
    assert len(found.split.sequences) == 3_231
