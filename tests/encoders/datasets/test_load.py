"""One function for all formats."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.datasets import NAMES, load
from encoders.errors import DataError


def test_the_formats_are_those_that_the_command_line_promises():
    expected = "amazon-reviews minionerec movielens online-retail rees46 retailrocket unisrec yoochoose"
    assert " ".join(NAMES) == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_does_not_exist_says_so(tmp_path, name):
    with pytest.raises(DataError, match="does not exist: expected"):
        load(name, tmp_path / "none")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_without_the_data_says_what_was_expected(tmp_path, name):
    (tmp_path / "readme.md").write_text("nothing here")
    with pytest.raises(DataError, match="does not hold the data set: expected"):
        load(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_noise_is_a_data_error(tmp_path, name):
    file = tmp_path / "noise"
    file.write_bytes(bytes(range(256)) * 50)
    with pytest.raises(DataError):
        load(name, file)


def test_an_unknown_format_lists_the_known_ones(tmp_path):
    with pytest.raises(DataError, match="choose one of amazon-reviews, minionerec"):
        load("netflix", tmp_path)


RETAIL = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
REES46 = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
WHOLE = {
    "online-retail": (RETAIL, "536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n"),
    "rees46": (REES46, "2019-10-01 00:00:00 UTC,view,3900821,2053,a.b,aqua,33.20,554748717,9333dfbd\n"),
    "yoochoose": ("SessionId\tItemId\tTime\n", "1\t214536502\t1396860669.277\n"),
}
FILE = {"online-retail": "x.csv", "rees46": "x.csv", "yoochoose": "x.txt"}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(WHOLE)),
    damage=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), min_size=1, max_size=5),
)
def test_damaged_lines_are_all_accounted_for(scratch, name, damage):
    header, line = WHOLE[name]
    body = bytearray((line * 8).encode())
    for at, junk in damage:
        place = at % len(body)
        body[place : place + len(junk)] = junk
    data = bytes(body) + b"\n" + line.encode()  # one whole line at least
    (scratch / FILE[name]).write_bytes(header.encode() + data)
    dataset = load(name, scratch / FILE[name])
    assert dataset.n_interactions + dataset.skipped.total() == data.count(b"\n")
    assert sum(1 for _ in dataset.interactions()) == dataset.n_interactions
