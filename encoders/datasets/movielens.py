"""MovieLens: ratings of films, in the four forms in which people have it.

- 100k: ``u.data`` (tab-separated user, item, rating, seconds) and ``u.item`` (``|``-separated, genre flags
  at the end)
- 1m, 10m: ``ratings.dat`` and ``movies.dat``, separated by ``::``
- latest, 20m, 25m, 32m: ``ratings.csv`` and ``movies.csv`` with headers
- RecBole's atomic files: ``*.inter`` and ``*.item``, tab-separated with typed headers

https://grouplens.org/datasets/movielens/ (research use). Every rating is a click, whatever its stars: who
rates a film has turned to it, and the set says nothing of purchases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from encoders.datasets import files, lines, values
from encoders.datasets.dataset import Dataset, Skip, Skipped, from_rows
from encoders.events import EventType, Interaction, Item

NAME = "movielens"
EXPECTED = "u.data and u.item, ratings.dat and movies.dat, ratings.csv and movies.csv, or *.inter and *.item"
GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War"),
    "Western",
)
"""What the flags in ``u.item`` mean, in their order (``u.genre``)."""

_NO_GENRES = {"(no genres listed)", "unknown", ""}


@dataclass(frozen=True)
class _Form:
    """One of the published forms; ``columns`` are names in a header, positions where there is none."""

    ratings: str
    items: str
    split: Callable[[str], list[str]]
    columns: tuple[str, ...] | tuple[int, ...]
    split_item: Callable[[str], list[str]]
    item_columns: tuple[str, ...]
    to_item: Callable[[Sequence[str]], Item]


def load(path: Path) -> Dataset:
    """Read the folder (or the folder of the file) in whichever form it has.

    Raises ``DataError`` where it holds none of them.
    """
    folder = path.parent if path.is_file() else path
    for form in _FORMS:
        ratings, items = files.find_one(folder, form.ratings), files.find_one(folder, form.items)
        if ratings and items:
            return _load(form, ratings, items)
    raise files.missing(path, EXPECTED)


def _load(form: _Form, ratings: Path, items: Path) -> Dataset:
    skipped_items: Skipped = Counter()
    catalogue = {film.item_id: film for film in _read_items(form, items, skipped_items)}
    parse = _rating_parser(form, ratings)
    header = isinstance(form.columns[0], str)

    def rows() -> Iterator[Interaction | Skip]:
        return lines.parse_lines(ratings, parse, header=header, encodings=lines.UTF8_OR_LATIN1)

    return from_rows(NAME, rows, catalogue, skipped_items)


def _rating_parser(form: _Form, path: Path) -> Callable[[int, str], Interaction]:
    pick = itemgetter(*_positions(path, form.columns, form.split))

    def parse(number: int, line: str) -> Interaction:
        user, item, seconds = pick(form.split(line))
        return Interaction(
            user_id=values.identifier(user),
            item_id=values.identifier(item),
            event_type=EventType.CLICK,
            timestamp_ms=values.milliseconds(float(seconds)),
            event_id=f"{NAME}-{number}",
        )

    return parse


def _read_items(form: _Form, path: Path, skipped: Skipped) -> Iterator[Item]:
    named = bool(form.item_columns)
    pick = itemgetter(*_positions(path, form.item_columns, form.split_item)) if named else tuple

    def parse(number: int, line: str) -> Item:
        return form.to_item(pick(form.split_item(line)))

    rows = lines.parse_lines(path, parse, header=named, encodings=lines.UTF8_OR_LATIN1)
    return lines.kept(rows, skipped)


def _positions(
    path: Path, wanted: tuple[str, ...] | tuple[int, ...], split: Callable[[str], list[str]]
) -> list[int]:
    names = [name for name in wanted if isinstance(name, str)]
    return lines.columns(path, names, split) if names else [at for at in wanted if isinstance(at, int)]


def _film(film: str, title: str, genres: Sequence[str]) -> Item:
    kept = tuple(genre for genre in genres if genre not in _NO_GENRES)
    film = values.identifier(film)
    return Item(film, title.strip() or film, categories=kept)


def _film_100k(fields: Sequence[str]) -> Item:
    flags = fields[-len(GENRES_100K) :]
    return _film(fields[0], fields[1], [g for g, flag in zip(GENRES_100K, flags, strict=True) if flag == "1"])


def _film_with_genres(fields: Sequence[str]) -> Item:
    film, title, genres = fields
    return _film(film, title, genres.split("|"))


def _film_recbole(fields: Sequence[str]) -> Item:
    film, title, year, genres = fields
    return _film(film, f"{title} ({year})" if year else title, genres.split(" "))


def _split_double_colon(line: str) -> list[str]:
    return line.split("::")


def _split_bar(line: str) -> list[str]:
    return line.split("|")


_FORMS = (
    _Form("u.data", "u.item", lines.split_tabs, (0, 1, 3), _split_bar, (), _film_100k),
    _Form(
        "ratings.dat",
        "movies.dat",
        _split_double_colon,
        (0, 1, 3),
        _split_double_colon,
        (),
        _film_with_genres,
    ),
    _Form(
        "ratings.csv",
        "movies.csv",
        lines.split_csv,
        ("userId", "movieId", "timestamp"),
        lines.split_csv,
        ("movieId", "title", "genres"),
        _film_with_genres,
    ),
    _Form(
        "*.inter",
        "*.item",
        lines.split_tabs,
        ("user_id", "item_id", "timestamp"),
        lines.split_tabs,
        ("item_id", "movie_title", "release_year", "class"),
        _film_recbole,
    ),
)
