"""The UCI table: what is a purchase, what is left out, and the published counts."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from encoders.datasets import Dataset, load
from encoders.errors import DataError
from encoders.events import EventType, Interaction, Item

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
EIGHT = int(datetime(2010, 12, 1, 8, 26, tzinfo=UTC).timestamp() * 1000)


def dataset(folder: Path, lines: str, *, encoding: str = "utf-8") -> Dataset:
    file = folder / "retail.csv"
    file.write_bytes((HEADER + lines).encode(encoding))
    return load("online-retail", file)


def test_a_line_is_a_purchase_in_the_session_of_its_invoice(tmp_path):
    found = dataset(tmp_path, "536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n")
    assert list(found.interactions()) == [
        Interaction("17850", "85123A", EventType.PURCHASE, EIGHT, "online-retail-2", "536365", 6, 2.55)
    ]
    assert found.items == [Item("85123A", "HOLDER", price=2.55)]


def test_the_other_common_form_of_times_and_bytes_is_read(tmp_path):
    found = dataset(tmp_path, "1,A,CRÊPE PAN £5,1,12/1/2010 8:26,5,17850,UK\n", encoding="latin-1")
    (row,) = found.interactions()
    assert (row.timestamp_ms, row.user_id, found.items[0].title) == (EIGHT, "17850", "CRÊPE PAN £5")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("C1,A,X,-1,2010-12-01 08:26:00,1,7,UK", "cancellation"),
        ("1,A,X,1,2010-12-01 08:26:00,1,,UK", "no customer"),
        ("1,A,X,0,2010-12-01 08:26:00,1,7,UK", "quantity not positive"),
        ("1,A,X,one,2010-12-01 08:26:00,1,7,UK", "malformed"),
        ("1,A,X,1,yesterday,1,7,UK", "malformed"),
        ("1,A,X,1,2010-12-01 08:26:00,-1,7,UK", "malformed"),
        ("1,A,X,1,2010-12-01 08:26:00,nan,7,UK", "malformed"),
        ("1,,X,1,2010-12-01 08:26:00,1,7,UK", "malformed"),
        ('1,A,"X,1,2010-12-01 08:26:00,1,7,UK', "malformed"),
        ("", "malformed"),
    ],
)
def test_what_is_no_purchase_is_counted_by_reason(tmp_path, line, reason):
    good = "1,A,X,1,2010-12-01 08:26:00,1,7,UK\n"
    found = dataset(tmp_path, f"{good}{line}\n{good}")
    assert (found.n_interactions, found.skipped) == (2, {reason: 1})


def test_gifts_and_postage_stay(tmp_path):
    found = dataset(
        tmp_path, "1,POST,POSTAGE,1,2010-12-01 08:26:00,18,7,UK\n1,A,GIFT,1,2010-12-01 08:26:00,0,7,UK\n"
    )
    assert [row.price for row in found.interactions()] == [18.0, 0.0]


def test_quoted_commas_stay_in_their_field(tmp_path):
    found = dataset(tmp_path, '1,A,"PAPER, ""RED""",1,2010-12-01 08:26:00,1,7,UK\n')
    assert found.items[0].title == 'PAPER, "RED"'


def test_text_and_price_are_those_of_the_first_usable_line(tmp_path):
    lines = "C1,A,damaged,-1,2010-12-01 08:26:00,1,7,UK\n1,A,FIRST,1,2010-12-01 08:26:00,2,7,UK\n"
    found = dataset(tmp_path, lines + "2,A,SECOND,1,2010-12-02 08:26:00,3,7,UK\n")
    assert found.items == [Item("A", "FIRST", price=2.0)]


def test_lines_of_equal_time_keep_their_order(tmp_path):
    codes = [f"A{i}" for i in range(50)]
    lines = "".join(f"1,{code},X,1,2010-12-01 08:26:00,1,7,UK\n" for code in codes)
    found = dataset(tmp_path, "0,LATER,X,1,2010-12-02 08:26:00,1,7,UK\n" + lines)
    assert [row.item_id for row in found.interactions()] == [*codes, "LATER"]


def test_a_file_cut_in_the_middle_of_gzip_is_a_data_error(tmp_path):
    line = "1,A,X,1,2010-12-01 08:26:00,1,7,UK\n"
    whole = gzip.compress((HEADER + line * 1000).encode())
    file = tmp_path / "retail.csv.gz"
    file.write_bytes(whole[:-20])
    with pytest.raises(DataError, match="damaged gzip"):
        load("online-retail", file)


@pytest.fixture(scope="module")
def real(data_dir: Path) -> Dataset:
    return load("online-retail", data_dir / "online_retail")


@pytest.mark.data
def test_online_retail_has_its_published_size(real):
    users = {row.user_id for row in real.interactions()}
    assert (real.n_interactions, len(users), len(real.items)) == (397_924, 4_339, 3_665)


@pytest.mark.data
def test_every_line_of_online_retail_is_accounted_for(real):
    assert real.n_interactions + real.skipped.total() == 541_909
