"""Lines of any file: whatever its bytes, every line is parsed or accounted for."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.datasets.dataset import Skip
from encoders.datasets.lines import (
    MAX_LINE_BYTES,
    UTF8_OR_LATIN1,
    columns,
    parse_lines,
    split_csv,
    split_tabs,
)
from encoders.errors import DataError


def read(path: Path, **options: object) -> list[tuple[int, str] | Skip]:
    return list(parse_lines(path, lambda number, line: (number, line), **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("lines") / "x.txt"


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))))
def test_lines_are_those_that_were_written(file, texts):
    file.write_bytes("".join(text + "\n" for text in texts).encode())
    assert read(file) == list(enumerate(texts, start=1))


@settings(max_examples=50)
@given(st.binary(max_size=2_000))
def test_any_bytes_give_one_row_for_each_line(file, data):
    file.write_bytes(b"x" + data)
    expected = (b"x" + data).removesuffix(b"\n").count(b"\n") + 1
    assert len(read(file)) == expected


@pytest.mark.parametrize(
    "length", [MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 3 * MAX_LINE_BYTES]
)
@pytest.mark.parametrize("end", [b"", b"\n", b"\nnext\n"])
def test_only_lines_within_the_limit_are_parsed(file, length, end):
    file.write_bytes(b"x" * length + end)
    kept = (1, "x" * length) if length <= MAX_LINE_BYTES else Skip("line too long")
    assert read(file) == ([kept, (2, "next")] if b"next" in end else [kept])


def test_windows_line_ends_are_no_part_of_a_line(file):
    file.write_bytes(b"a\r\nb\r\n")
    assert read(file) == [(1, "a"), (2, "b")]


def test_bytes_of_another_encoding_are_counted_or_read(file):
    file.write_bytes("£\n".encode("latin-1"))
    assert read(file) == [Skip("wrong encoding")]
    assert read(file, encodings=UTF8_OR_LATIN1) == [(1, "£")]


def test_numbers_count_the_header(file):
    file.write_bytes(b"header\na\n")
    assert read(file, header=True) == [(2, "a")]


def test_gzip_is_known_by_its_bytes_not_its_name(file):
    file.write_bytes(gzip.compress(b"a\nb"))
    assert read(file) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    "broken",
    [gzip.compress(b"a\n" * 1000, mtime=0)[:-9], b"\x1f\x8b\x00", b"\x1f\x8b\x08\x00" + b"\xff" * 50],
)
def test_damaged_gzip_is_a_data_error(file, broken):
    file.write_bytes(broken)
    with pytest.raises(DataError, match="damaged gzip"):
        read(file)


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / "none")


def test_columns_are_found_by_name_whatever_mark_or_type_they_carry(file):
    file.write_bytes("\ufeffUser_id:token\titem\ttime:float\n".encode())
    assert columns(file, ("time", "user_id"), split_tabs) == [2, 0]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])), min_size=1))
def test_quoted_fields_come_apart_as_they_were_joined(fields):
    line = ",".join('"' + field.replace('"', '""') + '"' for field in fields)
    assert split_csv(line) == fields
