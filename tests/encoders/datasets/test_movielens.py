"""The four forms of MovieLens, each on a small file of that form and on the real one where it is there."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from encoders.datasets import Dataset, load
from encoders.datasets.movielens import GENRES_100K
from encoders.errors import DataError
from encoders.events import EventType, Interaction, Item


def flags(*genres: str) -> str:
    return "|".join(str(int(genre in genres)) for genre in GENRES_100K)


def folder_100k(folder: Path) -> None:
    (folder / "u.data").write_text("1\t10\t5\t300\n2\t11\t1\t100\n1\t11\t3\t200\n")
    (folder / "u.item").write_bytes(
        f"10|Les Misérables (1995)|01-Jan-1995||http://x|{flags('Drama', 'Musical')}\n"
        f"11|unknown||||{flags('unknown')}\n".encode("latin-1")
    )


def folder_1m(folder: Path) -> None:
    (folder / "ratings.dat").write_text("1::10::5::300\n2::11::1::100\n1::11::3::200\n")
    (folder / "movies.dat").write_bytes(
        "10::Les Misérables (1995)::Drama|Musical\n11::unknown::\n".encode("latin-1")
    )


def folder_latest(folder: Path) -> None:
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,10,5.0,300\n2,11,0.5,100\n1,11,3.0,200\n"
    )
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n10,"Les Misérables (1995)",Drama|Musical\n11,unknown,(no genres listed)\n',
        encoding="utf-8",
    )


def folder_recbole(folder: Path) -> None:
    (folder / "ml.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t5\t300\n2\t11\t1\t100\n1\t11\t3\t200\n"
    )
    (folder / "ml.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "10\tLes Misérables\t1995\tDrama Musical\n11\tunknown\t\tunknown\n",
        encoding="utf-8",
    )


FORMS = pytest.mark.parametrize("make", [folder_100k, folder_1m, folder_latest, folder_recbole])


@FORMS
def test_ratings_become_clicks_in_the_order_of_time(tmp_path, make):
    make(tmp_path)
    first = (
        2 if make in (folder_100k, folder_1m) else 3
    )  # the line of the earliest rating, behind a header or not
    dataset = load("movielens", tmp_path)
    assert list(dataset.interactions()) == [
        Interaction("2", "11", EventType.CLICK, 100_000, f"movielens-{first}"),
        Interaction("1", "11", EventType.CLICK, 200_000, f"movielens-{first + 1}"),
        Interaction("1", "10", EventType.CLICK, 300_000, f"movielens-{first - 1}"),
    ]


@FORMS
def test_films_have_titles_and_genres(tmp_path, make):
    make(tmp_path)
    assert load("movielens", tmp_path).items == [
        Item("10", "Les Misérables (1995)", categories=("Drama", "Musical")),
        Item("11", "unknown"),
    ]


@FORMS
def test_a_file_names_its_folder(tmp_path, make):
    make(tmp_path)
    for file in tmp_path.iterdir():
        assert load("movielens", file).n_interactions == 3


def test_gzipped_files_are_read(tmp_path):
    folder_latest(tmp_path)
    for file in list(tmp_path.iterdir()):
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert load("movielens", tmp_path).n_interactions == 3


def test_unusable_lines_are_counted(tmp_path):
    folder_100k(tmp_path)
    with (tmp_path / "u.data").open("a") as file:
        file.write("1\t10\t5\n\nx\t10\t5\tnan\n1\t\t5\t300\n1\t10\t5\t-3\n1\t10\t5\t1e400\n")
    dataset = load("movielens", tmp_path)
    assert (dataset.n_interactions, dataset.skipped) == (3, {"malformed": 6})


def test_unusable_films_are_counted_and_their_ratings_kept(tmp_path):
    folder_1m(tmp_path)
    (tmp_path / "movies.dat").write_text("10::A film::Drama\n11::cut o")
    dataset = load("movielens", tmp_path)
    assert dataset.skipped_items == {"malformed": 1}
    assert dataset.items == [Item("10", "A film", categories=("Drama",)), Item("11", "11")]


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"u\.data and u\.item"):
        load("movielens", tmp_path)


def test_another_header_is_refused(tmp_path):
    folder_latest(tmp_path)
    (tmp_path / "ratings.csv").write_text("user,film,stars\n1,10,5\n")
    with pytest.raises(DataError, match="should name userId, movieId, timestamp"):
        load("movielens", tmp_path)


@pytest.fixture(scope="module")
def real(data_dir: Path) -> Dataset:
    return load("movielens", data_dir / "ml-100k")


@pytest.mark.data
def test_movielens_100k_has_its_published_size(real):
    users = {row.user_id for row in real.interactions()}
    assert (real.n_interactions, len(users), len(real.items)) == (100_000, 943, 1_682)


@pytest.mark.data
def test_movielens_100k_comes_in_the_order_of_time(real):
    times = [row.timestamp_ms for row in real.interactions()]
    assert times == sorted(times)
