"""YooChoose (RecSys Challenge 2015): anonymous shopping sessions of 2014; a session is a user.

As published, without headers: ``yoochoose-clicks.dat`` (session, ISO time, item, category),
``yoochoose-test.dat`` (same) and ``yoochoose-buys.dat`` (session, ISO time, item, price, quantity). As
preprocessed by most papers on sessions: tab-separated ``*.txt`` with the header ``SessionId ItemId Time``
and seconds. https://recsys.acm.org/recsys15/challenge/

The set has no text: an item's title is its id, its category the first that a click names (0 means none).
Buys without price or quantity hold 0 in the file: no price, and one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from encoders.datasets import files, lines, values
from encoders.datasets.dataset import Catalogue, Dataset, Skip, from_rows
from encoders.events import EventType, Interaction, Item

NAME = "yoochoose"
COLUMNS = ("SessionId", "ItemId", "Time")
EXPECTED = "yoochoose-clicks.dat and yoochoose-buys.dat, or tab-separated *.txt with SessionId, ItemId, Time"

_Parse: TypeAlias = Callable[[int, str], Interaction | Skip]


def load(path: Path) -> Dataset:
    """Read the file, or all files of the folder in either form; ``DataError`` where there are none."""
    found = files.require(path, EXPECTED, "yoochoose*.dat", "*.txt")
    catalogue: Catalogue = {}
    parsers = [_reader(file, catalogue) for file in found]

    def rows() -> Iterator[Interaction | Skip]:
        return chain.from_iterable(
            lines.parse_lines(file, parse, header=header) for file, parse, header in parsers
        )

    return from_rows(NAME, rows, catalogue)


def _reader(file: Path, catalogue: Catalogue) -> tuple[Path, _Parse, bool]:
    """The file, its parser, and whether it has a header."""
    stem = file.name.partition(".")[0].removeprefix("yoochoose-")
    if ".dat" not in file.name:
        return file, _parse_tabs(lines.columns(file, COLUMNS, lines.split_tabs), stem), True
    return file, _parse_buys(stem) if "buys" in stem else _parse_clicks(stem, catalogue), False


def _parse_tabs(positions: list[int], stem: str) -> _Parse:
    pick = itemgetter(*positions)

    def parse(number: int, line: str) -> Interaction:
        session, item, seconds = pick(line.split("\t"))
        return _interaction(session, item, values.milliseconds(float(seconds)), f"{stem}-{number}")

    return parse


def _parse_clicks(stem: str, catalogue: Catalogue) -> _Parse:
    def parse(number: int, line: str) -> Interaction:
        session, when, item, category = line.split(",")
        row = _interaction(session, item, values.iso_milliseconds(when), f"{stem}-{number}")
        if row.item_id not in catalogue:
            named = () if category.strip() in ("", "0") else (f"category {category.strip()}",)
            catalogue[row.item_id] = Item(row.item_id, row.item_id, categories=named)
        return row

    return parse


def _parse_buys(stem: str) -> _Parse:
    def parse(number: int, line: str) -> Interaction:
        session, when, item, price, quantity = line.split(",")
        row = _interaction(session, item, values.iso_milliseconds(when), f"{stem}-{number}")
        return Interaction(
            row.user_id,
            row.item_id,
            EventType.PURCHASE,
            row.timestamp_ms,
            row.event_id,
            row.session_id,
            quantity=max(1, int(quantity)),
            price=values.price(price) or None,
        )

    return parse


def _interaction(session: str, item: str, timestamp_ms: int, number: str) -> Interaction:
    user = values.identifier(session)
    return Interaction(
        user, values.identifier(item), EventType.CLICK, timestamp_ms, f"{NAME}-{number}", session_id=user
    )
