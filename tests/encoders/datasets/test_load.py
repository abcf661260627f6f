"""One function for all formats."""

from __future__ import annotations

import pytest

from encoders.datasets import NAMES, load
from encoders.errors import DataError


def test_the_formats_are_those_that_the_command_line_promises():
    expected = "amazon-reviews movielens online-retail rees46 retailrocket unisrec yoochoose"
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
    with pytest.raises(DataError, match="choose one of amazon-reviews, movielens"):
        load("netflix", tmp_path)
