"""UniSRec's order-only sets and their published split."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.datasets import load
from encoders.datasets.ordered import START_MS
from encoders.errors import DataError
from encoders.events import EventType, Interaction, Item

HEADER = "user_id:token\titem_id_list:token_seq\titem_id:token\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "X.train.inter").write_text(HEADER + "0\t0 1\t2\n0\t0\t1\n1\t3\t0\n")
    (tmp_path / "X.valid.inter").write_text(HEADER + "0\t0 1 2\t3\n1\t3 0\t1\n")
    (tmp_path / "X.test.inter").write_text(HEADER + "0\t0 1 2 3\t0\n1\t3 0 1\t2\n")
    (tmp_path / "X.item2index").write_text("A\t0\nB\t1\nC\t2\nD\t3\n")
    (tmp_path / "X.text").write_text("item_id:token\ttext:token_seq\nD\tDee \nA\tTom &amp; A\nB\tBee\n")
    return tmp_path


def test_items_stand_in_the_order_of_their_indices(folder):
    expected = [Item("A", "Tom & A"), Item("B", "Bee"), Item("C", "C"), Item("D", "Dee")]
    assert load("unisrec", folder).items == expected


def test_the_split_is_the_published_one(folder):
    split = load("unisrec", folder).split
    assert split is not None
    assert split.sequences == [[0, 1, 2], [3, 0]]
    assert split.valid == [([0, 1, 2], 3), ([3, 0], 1)]
    assert split.test == [([0, 1, 2, 3], 0), ([3, 0, 1], 2)]


def test_training_cases_are_all_prefixes(folder):
    split = load("unisrec", folder).split
    assert split is not None
    assert split.train == [([0], 1), ([0, 1], 2), ([3], 0)]


def test_training_rows_that_are_cut_to_the_newest_items_join_up(folder):
    (folder / "X.train.inter").write_text(HEADER + "0\t2 3\t1\n0\t1 2\t3\n0\t0 1\t2\n0\t0\t1\n")
    split = load("unisrec", folder).split
    assert split is not None
    assert split.sequences[0] == [0, 1, 2, 3, 1]


def test_without_a_training_file_the_validation_histories_are_trained_on(folder):
    (folder / "X.train.inter").unlink()
    split = load("unisrec", folder).split
    assert split is not None
    assert split.sequences == [[0, 1, 2], [3, 0]]


def test_without_texts_by_id_the_titles_by_index_are_read(folder):
    (folder / "X.item2index").unlink()
    (folder / "X.text").unlink()
    (folder / "X.item").write_text("item_id:token\ttitle:token_seq\n0\tzero\n1\tone\n3\tthree\n2\ttwo\n")
    assert [item.title for item in load("unisrec", folder).items] == ["zero", "one", "two", "three"]


def test_interactions_mix_the_users_a_second_apart(folder):
    dataset = load("unisrec", folder)
    expected = ["0 A", "1 D", "0 B", "1 A", "0 C", "1 B", "0 D", "1 C", "0 A"]
    rows = list(dataset.interactions())
    assert [f"{row.user_id} {row.item_id}" for row in rows] == expected
    assert [row.timestamp_ms for row in rows] == [START_MS + 1000 * i for i in range(9)]
    assert rows[2] == Interaction("0", "B", EventType.PURCHASE, START_MS + 2000, "unisrec-0-1")
    assert (dataset.ordered, dataset.n_interactions) == (True, 9)


def test_unusable_rows_are_counted(folder):
    with (folder / "X.test.inter").open("a") as file:
        file.write("2\t0 4\t1\n3\t0 x\t1\n4\t0 1")
    assert load("unisrec", folder).skipped == {"malformed": 3}


def test_indices_with_a_gap_are_refused(folder):
    (folder / "X.item2index").write_text("A\t0\nB\t2\n")
    with pytest.raises(DataError, match="without a gap"):
        load("unisrec", folder)


@pytest.mark.parametrize("name", ["X.valid.inter", "X.test.inter", "X.text"])
def test_a_missing_part_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=r"expected X\.valid\.inter"):
        load("unisrec", folder)


@pytest.mark.data
def test_amazon_scientific_has_its_published_size(data_dir):
    found = load("unisrec", data_dir / "amazon_scientific")
    assert found.split is not None
    assert (len(found.split.test), len(found.split.valid), len(found.items)) == (8_442, 8_442, 4_385)
    assert (len(found.split.train), found.n_interactions) == (34_101, 34_101 + 3 * 8_442)


@pytest.mark.data
def test_amazon_games_has_its_published_size(data_dir):
    found = load("unisrec", data_dir / "amazon_games")
    assert found.split is not None
    assert (len(found.split.test), len(found.items), found.n_interactions) == (50_546, 16_859, 440_264)
